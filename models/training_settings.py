"""What goes into a training: its settings and its batches."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

Precision = Literal["fp32", "bf16", "fp16"]
Selection = Literal["validation-dice", "training-loss"]
Schedule = Literal["constant", "cosine"]


@dataclass(frozen=True)
class TrainingSettings:
    """How a network is trained; defaults are those of the authors' code, but for precision and selection.

    Args:
        labels: the classes in the Dice mean.
        epochs: after each, the network is validated and saved.
        steps_per_epoch: of one batch each (with several processes: of one batch in each).
        learning_rate: of Adam.
        second_moment_decay: Adam's beta 2.
        schedule: `constant`, or down to zero along half a cosine.
        smoothness_weight: lambda.
        smoothness_multiplier: 2 for every network in the authors' code.
        contrastive_weight: of the contrastive loss, for networks that have a read-out; 0: it is not computed.
        gradient_surgery: take from the contrastive loss's gradient what works against registration.
        gradient_norm_limit: a gradient longer than this over all weights is shortened to it; 0: none is, as published.
        precision: fp32, or mixed with bf16 or fp16.
        selection: the weights kept are those of the epoch with the highest validation Dice, or the lowest training loss.
        seed: of everything drawn.
        most_skipped_in_a_row: steps without a finite gradient after which the training gives up.
            The loss scale of fp16 needs at most 16 to fall from 65536 to 1.

    Raises:
        ValueError: numbers that cannot be.
    """

    labels: tuple[int, ...]
    epochs: int
    steps_per_epoch: int
    learning_rate: float = 1e-4
    second_moment_decay: float = 0.999
    schedule: Schedule = "constant"
    smoothness_weight: float = 0.1
    smoothness_multiplier: float = 2.0
    contrastive_weight: float = 0.0
    gradient_surgery: bool = False
    gradient_norm_limit: float = 0.0
    precision: Precision = "fp32"
    selection: Selection = "validation-dice"
    seed: int = 0
    most_skipped_in_a_row: int = 20

    def __post_init__(self) -> None:
        if not self.labels:
            raise ValueError("expected at least one label in the Dice mean, got none")
        for name, known in (("precision", Precision), ("selection", Selection), ("schedule", Schedule)):
            if getattr(self, name) not in get_args(known):
                raise ValueError(f"expected {name} {', '.join(get_args(known))}, got {getattr(self, name)!r}")
        for name in ("epochs", "steps_per_epoch", "learning_rate", "most_skipped_in_a_row"):
            if getattr(self, name) <= 0:
                raise ValueError(f"expected {name} above 0, got {getattr(self, name)}")
        for name in ("contrastive_weight", "gradient_norm_limit"):
            if getattr(self, name) < 0:
                raise ValueError(f"expected a {name} of 0 or more, got {getattr(self, name)}")
        if self.gradient_surgery and self.contrastive_weight == 0:
            raise ValueError("gradient surgery needs a contrastive loss, and its weight is 0 here")

    def learning_rate_at(self, done: float) -> float:
        """Of a step, when a part of the training, from 0 to 1, is done."""
        return self.learning_rate if self.schedule == "constant" else self.learning_rate * (1 + math.cos(math.pi * done)) / 2


@dataclass(frozen=True, eq=False)
class Batch:
    """Pairs to train on.

    Args:
        moving: images [B, 1, D, H, W] in [0, 1].
        fixed: as moving.
        moving_labels: [B, D, H, W], whole numbers.
        fixed_labels: as moving_labels.
        name: of its pairs, for messages.
        displacement: [B, 3, D, H, W], voxels: the fields that lead from fixed to moving, where they are known, as of images
            that were bent; the field is then learned from them, not from the labels.
    """

    moving: Tensor
    fixed: Tensor
    moving_labels: Tensor
    fixed_labels: Tensor
    name: str = ""
    displacement: Tensor | None = None

    def to(self, device: torch.device) -> "Batch":
        """The batch on a device, images as float32."""
        return Batch(
            self.moving.to(device, torch.float32),
            self.fixed.to(device, torch.float32),
            self.moving_labels.to(device),
            self.fixed_labels.to(device),
            self.name,
            None if self.displacement is None else self.displacement.to(device, torch.float32),
        )


@dataclass(frozen=True)
class Progress:
    """How far a training is; `epoch` and `step` count from 1, `seconds` from the start of the epoch."""

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    seconds: float


def check(settings: TrainingSettings, validation: Sequence[Batch], device: str) -> None:
    """Refuse what cannot be before anything is computed.

    Raises:
        ValueError: with what to change.
    """
    if settings.selection == "validation-dice" and not validation:
        raise ValueError("weights cannot be selected by validation without validation pairs; select by training loss")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"device {device} was asked for, but torch sees no GPU here; use cpu")
    if device == "cpu" and settings.precision == "fp16":
        raise ValueError("fp16 needs a GPU; on the CPU use fp32 or bf16")
