"""Short trainings of every row on painted heads: does it learn here?"""

import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

import models
from models.training_step import Stepper
from perf.gpu.heads import Heads
from perf.gpu.measuring import Row
from perf.gpu.scoring import dice
from perf.gpu.trainings import drawn, settings, train

_EPOCHS = 4
_TRIED = 3  # steps, to see how long one takes
_MOST_SCORED = 6  # pairs


def rows(device: torch.device, seconds: float, path: Path) -> Iterable[Row]:
    """A row a network: steps, and the Dice over test pairs before and after."""
    if not path.is_file():
        return [{"left out": f"no {path}; make it with python -m perf.gpu.prepare DATASET"}]
    heads = Heads.load(path, device)
    return (_row(name, heads, seconds / len(models.names())) for name in models.names())


def _row(name: str, heads: Heads, seconds: float) -> Row:
    torch.manual_seed(0)
    untrained = models.create(name).to(heads.labels.device).eval()
    before = _dice(untrained, heads)
    steps = max(int(seconds / _seconds_a_step(untrained, heads)) // _EPOCHS, 1)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        network, result = train(name, heads, settings(_EPOCHS, steps), Path(folder))
    return {
        "network": name,
        "steps": steps * _EPOCHS,
        "seconds": time.perf_counter() - started,
        "Dice before": before,
        "Dice after": _dice(network, heads),
        "skipped": sum(row.skipped for row in result.history),
        "alarm": result.alarm,
    }


def _seconds_a_step(network: torch.nn.Module, heads: Heads) -> float:
    """Of a few steps after the first, which compiles; its share of validation is in it."""
    stepper, batches = Stepper(network, settings(1, 1), str(heads.labels.device)), drawn(heads, seed=0, known=1)
    stepper.step(0, batches(0), done=0.0)
    started = time.perf_counter()
    for number in range(1, _TRIED + 1):  # a step ends with a look at its gradients, which waits for the device
        stepper.step(number, batches(number), done=0.0)
    return (time.perf_counter() - started) / _TRIED


@torch.no_grad()
def _dice(network: torch.nn.Module, heads: Heads) -> float:
    """Mean over pairs and structures."""
    batches = (heads.batch(*pair) for pair in heads.pairs("test")[:_MOST_SCORED])
    found = [list(dice(network(batch.moving, batch.fixed).displacement, batch).values()) for batch in batches]
    return float(np.nanmean(found))
