"""The training loop: epochs of steps, validation, and what is kept of them.

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

import torch
from torch import Tensor, nn

from models import checkpoint
from models.training_alarm import alarm, early_warning
from models.training_loss import Terms
from models.training_settings import Batch, Progress, Selection, TrainingSettings, check
from models.training_state import EpochRow, Past, write_history
from models.training_step import Stepper

log = logging.getLogger(__name__)

Batches = Callable[[int], Batch]
Report = Callable[[Progress], None]

WEIGHTS = "weights.safetensors"  # the best epoch's
LAST = "last.safetensors"  # where an interrupted training goes on
HISTORY = "training.csv"


@dataclass(frozen=True)
class TrainingResult:
    """What came of a training.

    Args:
        history: a row an epoch; row 0 is the untrained network.
        best_epoch: whose weights were kept.
        weights: their file.
        digest: of the weights.
        alarm: why the network seems not to have learned; empty if it has.
        notes: what a reader of its record must know beside.
        is_main_process: True in the one process that writes.
    """

    history: tuple[EpochRow, ...]
    best_epoch: int
    weights: Path
    digest: str
    alarm: str
    notes: tuple[str, ...]
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
    stepper = Stepper(network, settings, device)
    is_main = stepper.accelerator.is_main_process
    loop = _Loop(stepper, settings, validation, progress if is_main else None)
    past = stepper.state.load(folder / LAST, settings, config) or Past([loop.untrained_row()])
    history = past.history
    if is_main:
        _publish(folder, past, config)  # which a process that was killed may have left to do
    for epoch in range(history[-1].epoch + 1, settings.epochs + 1):
        history.append(loop.epoch(epoch, batches))
        if is_main:
            if _best(history, settings.selection) == epoch:
                past.best = stepper.state.weights()
            stepper.state.save(folder / LAST, settings, config, past)
            _publish(folder, past, config)
            if warning := early_warning(history[-1], settings):
                log.warning("epoch %d of %d: %s", epoch, settings.epochs, warning)
    stepper.accelerator.wait_for_everyone()
    digest = checkpoint.load(folder / WEIGHTS, network, config)
    best = _best(history, settings.selection)
    return TrainingResult(
        history=tuple(history),
        best_epoch=best,
        weights=folder / WEIGHTS,
        digest=digest,
        alarm=alarm(kept=history[best], untrained=history[0]),
        notes=_notes(history, settings),
        is_main_process=is_main,
    )


def _publish(folder: Path, past: Past, config: object) -> None:
    """Write what others read; the state goes first, since from it these can be written again."""
    if past.best:
        checkpoint.write(folder / WEIGHTS, past.best, {"config": checkpoint.flatten(config)})
    write_history(folder / HISTORY, past.history)


class _Loop:
    """The epochs of one training."""

    def __init__(
        self, stepper: Stepper, settings: TrainingSettings, validation: Sequence[Batch], progress: Report | None
    ) -> None:
        self.stepper, self.settings, self.validation, self.progress = stepper, settings, validation, progress

    def epoch(self, epoch: int, batches: Batches) -> EpochRow:
        """One epoch of training and its validation."""
        started = time.perf_counter()
        kept: list[Tensor] = []
        for step, (number, batch) in enumerate(_prefetched(batches, self._numbers(epoch)), start=1):
            terms = self.stepper.step(number, batch, done=number / self._batches_in_all)
            kept += [] if terms is None else [terms]
            if self.progress is not None:
                loss = math.nan if terms is None else float(terms[0])
                self.progress(self._progress(epoch, step, loss, time.perf_counter() - started))
        skipped = self.settings.steps_per_epoch - len(kept)
        row = self._row(epoch, self.stepper.mean(kept), self._validated(), skipped, started)
        log.info("epoch %d of %d: loss %.4f, validation Dice %.4f", epoch, self.settings.epochs, row.loss, row.validation_dice)
        return row

    def untrained_row(self) -> EpochRow:
        """Row 0: what the later ones are held against."""
        nothing, found = self.stepper.mean([]), self._validated()
        moved = nothing._replace(displacement=found.displacement, furthest=found.furthest)
        return self._row(0, moved, found, skipped=0, started=time.perf_counter())

    def _validated(self) -> Terms:
        return self.stepper.mean([self.stepper.validate(batch) for batch in self.validation])

    def _row(self, epoch: int, trained: Terms, validated: Terms, skipped: int, started: float) -> EpochRow:
        return EpochRow(
            epoch=epoch,
            step=epoch * self.settings.steps_per_epoch,
            **trained._asdict(),
            validation_loss=validated.loss,
            validation_dice=validated.dice,
            skipped=skipped,
            seconds=round(time.perf_counter() - started, 3),
        )

    def _numbers(self, epoch: int) -> range:
        """The numbers of this process's batches."""
        processes, steps = self.stepper.accelerator.num_processes, self.settings.steps_per_epoch
        first = (epoch - 1) * steps * processes + self.stepper.accelerator.process_index
        return range(first, first + steps * processes, processes)

    @property
    def _batches_in_all(self) -> int:
        return self.settings.epochs * self.settings.steps_per_epoch * self.stepper.accelerator.num_processes

    def _progress(self, epoch: int, step: int, loss: float, seconds: float) -> Progress:
        return Progress(epoch, self.settings.epochs, step, self.settings.steps_per_epoch, loss, seconds)


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
    """The epoch with the highest validation Dice or the lowest training loss, the earliest of several; row 0 is none."""
    trained = [row for row in history if row.epoch > 0]
    losses = [-row.validation_dice if selection == "validation-dice" else row.loss for row in trained]
    ranked = [math.inf if math.isnan(loss) else loss for loss in losses]
    return trained[ranked.index(min(ranked))].epoch


def _notes(history: Sequence[EpochRow], settings: TrainingSettings) -> tuple[str, ...]:
    if settings.contrastive_weight == 0:
        return ()
    trained = [row for row in history if not math.isnan(row.contrastive)]
    if not trained:
        return ("no contrastive loss: this network has no read-out",)
    left_out = sum(row.left_out for row in trained) / len(trained)
    if left_out == 0:
        return ()
    return (f"contrastive loss: {left_out:.2f} classes a step were in one image only, and left out of it",)
