"""Short trainings of every row with the project's own loop, on heads painted on the device."""

import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import models
from models.losses import dice_loss, one_hot
from models.spatial import warp
from models.training import fit
from models.training_settings import Batch, TrainingSettings
from models.training_step import Stepper
from models.variants import configure
from perf.gpu.measuring import Row
from perf.gpu.networks import CLASSES

HEADS = Path(__file__).parent / "heads.npz"
_HELD_OUT = 3  # people
_EPOCHS = 4
_TRIED = 5  # steps, to see how long one takes
_LEARNING_RATE = 5e-4


def rows(device: torch.device, seconds: float) -> Iterable[Row]:
    """A row a network: steps, and the Dice over held-out people before and after."""
    if not HEADS.is_file():
        return [{"left out": "no perf/gpu/heads.npz; make it with python -m perf.gpu.prepare DATASET"}]
    labels = np.load(HEADS, allow_pickle=False)["labels"]  # [people, D, H, W], 0..16
    heads = Heads(torch.from_numpy(labels).to(device), both_ways=True)
    return (_row(name, heads, device, seconds / len(models.names())) for name in models.names())


@dataclass(frozen=True)
class Heads:
    """Label maps of people, from which an MR of one and a CT of another are painted anew for each batch.

    Args:
        labels: [people, D, H, W], 0 to 16; the last three people are held out.
        both_ways: batches of two, a pair in both directions.
    """

    labels: Tensor
    both_ways: bool

    def __call__(self, number: int) -> Batch:
        """The batch of a number."""
        rng = np.random.default_rng([0, number])
        first, second = (int(k) for k in rng.integers(len(self.labels) - _HELD_OUT, size=2))
        pair = self.pair(first, second, seed=number)
        if not self.both_ways:
            return pair
        back = self.pair(second, first, seed=number + 10**6)
        return Batch(*(torch.cat(parts) for parts in zip(_parts(pair), _parts(back), strict=True)))

    def held_out(self) -> list[Batch]:
        """Every ordered pair of two held-out people."""
        people = range(len(self.labels) - _HELD_OUT, len(self.labels))
        return [self.pair(a, b, seed=a * 100 + b) for a in people for b in people if a != b]

    def pair(self, first: int, second: int, seed: int) -> Batch:
        """An MR and a CT: one grey value a label, drawn for each image, and noise."""
        generator = torch.Generator(self.labels.device).manual_seed(seed)
        moving, fixed = (self.labels[person][None] for person in (first, second))
        return Batch(_painted(moving, generator), _painted(fixed, generator), moving, fixed)


def _parts(batch: Batch) -> tuple[Tensor, ...]:
    return batch.moving, batch.fixed, batch.moving_labels, batch.fixed_labels


def _painted(labels: Tensor, generator: torch.Generator) -> Tensor:
    """[1, 1, D, H, W] in [0, 1], 0 outside."""
    grey = 0.2 + 0.7 * torch.rand(17, generator=generator, device=labels.device)
    noise = torch.randn(labels.shape, generator=generator, device=labels.device)
    return torch.where(labels > 0, grey[labels.long()] + 0.03 * noise, 0.0).clamp(0, 1)[:, None]


def _row(name: str, heads: Heads, device: torch.device, seconds: float) -> Row:
    torch.manual_seed(0)
    network, config = models.create(name), configure(name)
    before = _dice(network.to(device), heads)
    steps = max(int(seconds / _seconds_a_step(network, heads, device)) // _EPOCHS, 1)
    torch.manual_seed(0)
    network = models.create(name)
    settings = TrainingSettings(
        labels=CLASSES,
        epochs=_EPOCHS,
        steps_per_epoch=steps,
        learning_rate=_LEARNING_RATE,
        schedule="cosine",
        precision="bf16",
        selection="training",
        contrastive_weight=1e-3,
    )
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        result = fit(network, heads, settings, Path(folder), config=config, device=str(device))
    return {
        "network": name,
        "steps": steps * _EPOCHS,
        "seconds": time.perf_counter() - started,
        "Dice before": before,
        "Dice after": _dice(network, heads),
        "skipped": sum(row.skipped for row in result.history),
        "alarm": result.alarm,
    }


def _seconds_a_step(network: torch.nn.Module, heads: Heads, device: torch.device) -> float:
    """Of a few steps after the first, which compiles."""
    stepper = Stepper(network, TrainingSettings(labels=CLASSES, epochs=1, steps_per_epoch=1, precision="bf16"), str(device))
    stepper.step(0, heads(0), done=0.0)
    started = time.perf_counter()
    for number in range(1, _TRIED + 1):  # a step ends with a look at its gradients, which waits for the device
        stepper.step(number, heads(number), done=0.0)
    return (time.perf_counter() - started) / _TRIED


@torch.no_grad()
def _dice(network: torch.nn.Module, heads: Heads) -> float:
    """Mean over pairs and the 16 classes, hard labels; a class that is nowhere counts as 0."""
    network.eval()
    found = []
    for batch in heads.held_out():
        field = network(batch.moving, batch.fixed).displacement
        moved = warp(batch.moving_labels[:, None].float(), field, "nearest")[:, 0].to(torch.uint8)
        found.append(-float(dice_loss(one_hot(moved, CLASSES), one_hot(batch.fixed_labels, CLASSES))))
    return float(np.mean(found))
