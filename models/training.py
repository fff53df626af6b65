"""The training loop: label overlap and smoothness, on accelerate (devices, precision, several processes).

The same seed gives the same weights, bit for bit on a CPU, whether or not the training was
interrupted between two epochs: what is drawn at a step depends on seed and step alone.
"""

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor, nn

from models import checkpoint
from models.losses import dice_loss, one_hot, smoothness_loss
from models.network import Registration
from models.spatial import warp
from models.training_settings import Batch, Precision, Progress, Selection, TrainingSettings, check
from models.training_state import EpochRow, State, write_history

log = logging.getLogger(__name__)

Batches = Callable[[int], Batch]
Report = Callable[[Progress], None]

WEIGHTS = "weights.safetensors"  # the best epoch's
LAST = "last.safetensors"  # where an interrupted training goes on
HISTORY = "training.csv"
_STILL_VOXELS = 0.01  # a mean displacement below this is none


@dataclass(frozen=True)
class TrainingResult:
    """What came of a training.

    Args:
        history: a row an epoch; row 0 is the untrained network.
        best_epoch: whose weights were kept.
        weights: their file.
        digest: of the weights.
        alarm: why the network seems not to have learned; empty if it has.
        is_main_process: True in the one process that writes.
    """

    history: tuple[EpochRow, ...]
    best_epoch: int
    weights: Path
    digest: str
    alarm: str
    is_main_process: bool


def fit(
    network: nn.Module,
    batches: Batches,
    settings: TrainingSettings,
    folder: Path,
    *,
    config: object,
    validation: Sequence[Batch] = (),
    device: str | None = None,
    progress: Report | None = None,
) -> TrainingResult:
    """Train a network, or go on where an interrupted training with the same settings stopped.

    Args:
        network: gives a `Registration`; ends with the best epoch's weights.
        batches: the batch of a number from 0; the same number must always give the same batch.
        settings: how to train.
        folder: gets the weights, the state to go on from and the history.
        config: the network's (a dataclass); written with the weights.
        validation: pairs to validate on after each epoch.
        device: "cpu", "cuda" or "cuda:N"; None: a GPU where there is one.
        progress: called after each step, in the main process.

    Raises:
        ValueError: settings that cannot be, or a folder that holds another training.
        FloatingPointError: too many steps in a row without a finite gradient.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    check(settings, validation, device)
    loop = _Loop(network, settings, _accelerator(settings.precision, device), progress)
    is_main = loop.accelerator.is_main_process
    history = loop.state.load(folder / LAST, settings, config) or [loop.untrained_row(validation)]
    for epoch in range(history[-1].epoch + 1, settings.epochs + 1):
        history.append(loop.epoch(epoch, batches, validation))
        if is_main:
            if _best(history, settings.selection) == epoch:
                checkpoint.save(folder / WEIGHTS, network, config)
            write_history(folder / HISTORY, history)
            loop.state.save(folder / LAST, settings, config, history)
    loop.accelerator.wait_for_everyone()
    digest = checkpoint.load(folder / WEIGHTS, network, config)
    best = _best(history, settings.selection)
    return TrainingResult(tuple(history), best, folder / WEIGHTS, digest, _alarm(history), is_main)


class _Loop:
    """Network, optimiser and device of one training."""

    def __init__(
        self, network: nn.Module, settings: TrainingSettings, accelerator: Accelerator, progress: Report | None
    ) -> None:
        network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]  # convolutions are faster so
        betas = (0.9, settings.second_moment_decay)
        optimiser = torch.optim.Adam(network.parameters(), lr=settings.learning_rate, betas=betas)
        self.settings, self.accelerator = settings, accelerator
        self.progress = progress if accelerator.is_main_process else None
        self.network, self.optimiser = accelerator.prepare(network, optimiser)
        self.state = State(network, self.optimiser, accelerator.scaler)
        self.skipped_in_a_row = 0

    def epoch(self, epoch: int, batches: Batches, validation: Sequence[Batch]) -> EpochRow:
        """One epoch of training and its validation."""
        started = time.perf_counter()
        self.network.train()
        kept: list[Tensor] = []
        for step, (number, batch) in enumerate(_prefetched(batches, self._numbers(epoch)), start=1):
            terms, is_good = self._step(number, batch.to(self.accelerator.device))
            kept += [terms] if is_good else []
            if self.progress is not None:
                self.progress(self._progress(epoch, step, terms, started))
        steps = self.settings.steps_per_epoch
        loss, dice, smoothness, displacement = self._mean(kept)
        valid_loss, valid_dice, _, _ = self._mean([self._validate(batch) for batch in validation])
        seconds = round(time.perf_counter() - started, 3)
        skipped = steps - len(kept)
        log.info("epoch %d of %d: loss %.4f, validation Dice %.4f", epoch, self.settings.epochs, loss, valid_dice)
        return EpochRow(epoch, epoch * steps, loss, dice, smoothness, valid_loss, valid_dice, displacement, skipped, seconds)

    def untrained_row(self, validation: Sequence[Batch]) -> EpochRow:
        """Row 0: what the later ones are held against."""
        nan = math.nan
        loss, dice, _, displacement = self._mean([self._validate(batch) for batch in validation])
        return EpochRow(0, 0, nan, nan, nan, loss, dice, displacement, skipped=0, seconds=0.0)

    def _numbers(self, epoch: int) -> range:
        """The numbers of this process's batches."""
        processes, steps = self.accelerator.num_processes, self.settings.steps_per_epoch
        first = (epoch - 1) * steps * processes + self.accelerator.process_index
        return range(first, first + steps * processes, processes)

    @property
    def _batches_in_all(self) -> int:
        return self.settings.epochs * self.settings.steps_per_epoch * self.accelerator.num_processes

    def _progress(self, epoch: int, step: int, terms: Tensor, started: float) -> Progress:
        settings = self.settings
        seconds = time.perf_counter() - started
        return Progress(epoch, settings.epochs, step, settings.steps_per_epoch, float(terms[0]), seconds)

    def _step(self, number: int, batch: Batch) -> tuple[Tensor, bool]:
        """One step: its loss terms, and whether it was finite."""
        # 32 bits, since a CPU generator takes no more. Seeded at every step, its state need not be saved.
        torch.manual_seed(int(np.random.SeedSequence([self.settings.seed, number]).generate_state(1)[0]))
        for group in self.optimiser.param_groups:
            group["lr"] = self.settings.learning_rate_at(number / self._batches_in_all)
        self.optimiser.zero_grad()
        loss, terms = self._losses(batch)
        self.accelerator.backward(loss)
        self.accelerator.unscale_gradients(self.optimiser)
        is_good = self._is_finite(loss)
        if is_good or self.accelerator.scaler is not None:  # fp16's scaler skips by itself, and learns from it
            self.optimiser.step()
        self._count(is_good, number)
        return terms, is_good

    def _losses(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The loss; and, detached: loss, Dice, smoothness, mean length of the displacement in voxels."""
        out: Registration = self.network(batch.moving, batch.fixed)
        moved = warp(one_hot(batch.moving_labels, self.settings.labels), out.displacement)
        dice = dice_loss(moved, one_hot(batch.fixed_labels, self.settings.labels))
        smoothness = smoothness_loss(out.velocity, self.settings.smoothness_multiplier)
        loss = dice + self.settings.smoothness_weight * smoothness
        length = out.displacement.norm(dim=1).mean()
        return loss, torch.stack([loss, -dice, smoothness, length]).detach()

    def _is_finite(self, loss: Tensor) -> bool:
        """True if loss and gradient are finite, in every process."""
        norm = torch.nn.utils.get_total_norm([p.grad for p in self.network.parameters() if p.grad is not None])
        is_bad = (~(torch.isfinite(loss) & torch.isfinite(norm))).float()
        return not bool(self.accelerator.reduce(is_bad, "sum") > 0)

    def _count(self, is_good: bool, number: int) -> None:
        self.skipped_in_a_row = 0 if is_good else self.skipped_in_a_row + 1
        if not is_good:
            log.warning("batch %d: loss or gradient is not finite, step skipped", number)
        if self.skipped_in_a_row >= self.settings.most_skipped_in_a_row:
            raise FloatingPointError(
                f"{self.skipped_in_a_row} steps in a row had no finite loss and gradient, the last at batch {number}; "
                "train in fp32 or with a lower learning rate, and look at the images"
            )

    @torch.no_grad()
    def _validate(self, batch: Batch) -> Tensor:
        self.network.eval()
        return self._losses(batch.to(self.accelerator.device))[1]

    def _mean(self, terms: list[Tensor]) -> list[float]:
        """Means over steps and processes; nan where there was none."""
        nothing = torch.full((4,), math.nan, device=self.accelerator.device)
        total = torch.stack(terms).mean(dim=0) if terms else nothing
        means: list[float] = self.accelerator.reduce(total, "mean").tolist()
        return means


def _accelerator(precision: Precision, device: str) -> Accelerator:
    if ":" in device:
        torch.cuda.set_device(device)
    # accelerate keeps a process's first precision and device for ever; here one process trains several networks.
    AcceleratorState._reset_state(reset_partial_state=not torch.distributed.is_initialized())
    return Accelerator(cpu=device == "cpu", mixed_precision="no" if precision == "fp32" else precision)


def _prefetched(batches: Batches, numbers: range) -> Iterator[tuple[int, Batch]]:
    """Numbers and their batches; the next one is read while one is in use."""
    with ThreadPoolExecutor(max_workers=1) as reader:
        coming = reader.submit(batches, numbers[0])
        for number, after in zip_longest(numbers, numbers[1:]):
            batch = coming.result()
            if after is not None:
                coming = reader.submit(batches, after)
            yield number, batch


def _best(history: Sequence[EpochRow], selection: Selection) -> int:
    """The epoch with the lowest loss, the earliest of several; the untrained row is none."""
    trained = [row for row in history if row.epoch > 0]
    losses = [row.validation_loss if selection == "validation" else row.loss for row in trained]
    ranked = [math.inf if math.isnan(loss) else loss for loss in losses]
    return trained[ranked.index(min(ranked))].epoch


def _alarm(history: Sequence[EpochRow]) -> str:
    """Why the network seems not to have learned; empty if it has, or if nothing was validated."""
    last = history[-1]
    if not last.displacement >= _STILL_VOXELS:
        return f"did not learn: the mean displacement is {last.displacement:.4f} voxels; try fp32 or a higher learning rate"
    initial, best = history[0].validation_dice, max(row.validation_dice for row in history[1:])
    if best <= initial:
        return f"did not learn: validation Dice {best:.4f} at best, {initial:.4f} untrained; train longer"
    return ""
