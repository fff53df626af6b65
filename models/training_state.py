"""What a training leaves on disk: its history, and the state from which it goes on."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models import checkpoint
from models.training_settings import TrainingSettings


@dataclass(frozen=True)
class EpochRow:
    """A line of `training.csv`; row 0 is the untrained network, and `nan` stands where nothing was measured.

    Args:
        epoch: from 1; 0 is before the first.
        step: steps done since the start.
        loss: of registration (Dice and weighted smoothness; where fields are known, the squared distance from them; never
            contrast), mean over the epoch's steps.
        dice: as the loss takes it, soft, in [0, 1].
        smoothness: before its weight.
        contrastive: before its weight.
        left_out: classes a step that only one image of a pair has, and the contrastive loss therefore leaves out.
        validation_loss: mean over the validation pairs.
        validation_dice: mean over the validation pairs, of labels moved by nearest neighbour: what a table shows.
        displacement: mean length over the training pairs (row 0: validation pairs), in voxels.
        furthest: largest component of any voxel, mean over the same pairs; under half a voxel no label moves.
        skipped: steps without a finite loss and gradient.
        seconds: of training and validation.
    """

    epoch: int
    step: int
    loss: float
    dice: float
    smoothness: float
    contrastive: float
    left_out: float
    validation_loss: float
    validation_dice: float
    displacement: float
    furthest: float
    skipped: int
    seconds: float


@dataclass
class Past:
    """What epochs have left.

    Args:
        history: a row an epoch.
        best: the best epoch's weights, on the CPU; empty before the first.
    """

    history: list[EpochRow]
    best: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class State:
    """The parts of a running training that change from step to step.

    Args:
        network: bare, not as accelerate wraps it.
        optimiser: Adam.
        scaler: of fp16's losses; None in another precision.
    """

    network: nn.Module
    optimiser: torch.optim.Optimizer
    scaler: Any

    def weights(self) -> dict[str, Tensor]:
        """A copy of the network's weights as they are now, on the CPU."""
        return {name: tensor.detach().to("cpu", copy=True) for name, tensor in self.network.state_dict().items()}

    def save(self, path: Path, settings: TrainingSettings, config: object, past: Past) -> None:
        """Write what `load` needs; no random state, since each step is seeded by its number.

        One file holds it all, the best weights too: a process that is killed leaves one epoch whole, never parts of two.
        """
        record = {
            "settings": checkpoint.flatten(settings),
            "config": checkpoint.flatten(config),
            "history": [astuple(row) for row in past.history],
            "scaler": self.scaler.state_dict() if self.scaler else None,
        }
        weights = _under("network.", self.network.state_dict()) | _under("best.", past.best)
        checkpoint.write(path, weights | _optimiser_tensors(self.optimiser), record)

    def load(self, path: Path, settings: TrainingSettings, config: object) -> Past | None:
        """Go back to where a training was saved; gives its past, None if there is none.

        Raises:
            ValueError: the file is damaged or of another training; the message names the field that differs.
        """
        if not path.is_file():
            return None
        tensors, record = checkpoint.read(path)
        checkpoint.compare(path, record.get("config"), checkpoint.flatten(config))
        checkpoint.compare(path, record.get("settings"), checkpoint.flatten(settings))
        self.network.load_state_dict(_below("network.", tensors))
        _restore(self.optimiser, tensors)
        if self.scaler:
            self.scaler.load_state_dict(record["scaler"])
        rows: Any = record["history"]
        return Past([EpochRow(*row) for row in rows], _below("best.", tensors))


def write_history(path: Path, history: Sequence[EpochRow]) -> None:
    """Write the rows as CSV with a header."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(EpochRow)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in history)
    checkpoint.write_whole(path, text.getvalue().encode())


def _optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Adam's moments and counters: `optimiser.<parameter>.<name>`."""
    state = optimiser.state_dict()["state"]
    return {f"optimiser.{index}.{name}": tensor for index, moments in state.items() for name, tensor in moments.items()}


def _restore(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in _below("optimiser.", tensors).items():
        index, _, name = key.partition(".")
        state.setdefault(int(index), {})[name] = tensor
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + key: tensor for key, tensor in tensors.items()}


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}
