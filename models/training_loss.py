"""What one pair costs: registration, contrast, and the numbers that the history keeps of it."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from models.contrastive import Contrast, contrast
from models.losses import dice_loss, displacement_loss, one_hot, smoothness_loss
from models.network import Registration
from models.spatial import warp
from models.training_settings import Batch, TrainingSettings


class Terms(NamedTuple):
    """Means over some steps; `EpochRow` says what each is."""

    loss: float
    dice: float
    smoothness: float
    contrastive: float
    left_out: float
    displacement: float
    furthest: float


@dataclass(frozen=True, eq=False)
class Losses:
    """Of one step.

    Args:
        registration: Dice and weighted smoothness, or the distance from fields that are known.
        contrastive: weighted; None where it was not asked for or the network has no read-out.
        terms: [7], detached, in the order of `Terms`.
    """

    registration: Tensor
    contrastive: Tensor | None
    terms: Tensor

    @property
    def total(self) -> Tensor:
        """What is lowered."""
        return self.registration if self.contrastive is None else self.registration + self.contrastive


def losses(out: Registration, batch: Batch, settings: TrainingSettings) -> Losses:
    """Everything a step needs to know.

    The authors warp all 19 labels and drop three in the Dice mean; to warp the scored ones alone gives the same for less.

    Args:
        out: of the network, with its embedding where contrast is wanted.
        batch: what it was given.
        settings: labels and weights.
    """
    moving, fixed = (one_hot(labels, settings.labels) for labels in (batch.moving_labels, batch.fixed_labels))
    dice = dice_loss(warp(moving, out.displacement), fixed)
    smoothness = smoothness_loss(out.velocity, settings.smoothness_multiplier)
    if batch.displacement is None:
        registration = dice + settings.smoothness_weight * smoothness
    else:
        registration = displacement_loss(out.displacement, batch.displacement, batch.fixed_labels > 0)
    contrastive = None if out.embedding is None else contrast(*out.embedding, moving, fixed)
    field = out.displacement.detach()
    terms = [registration, -dice, smoothness, *_seen(contrastive, registration), field.norm(dim=1).mean(), field.abs().max()]
    weighted = None if contrastive is None else settings.contrastive_weight * contrastive.loss
    return Losses(registration, weighted, torch.stack(terms).detach())


def hard_dice(displacement: Tensor, batch: Batch, labels: tuple[int, ...]) -> Tensor:
    """Mean Dice of labels moved by nearest neighbour, as a table has it; the soft one of the loss counts blur as error.

    Args:
        displacement: [B, 3, D, H, W], voxels.
        batch: whose labels.
        labels: in the mean.
    """
    moved = warp(batch.moving_labels[:, None], displacement, "nearest")[:, 0]
    return -dice_loss(one_hot(moved, labels), one_hot(batch.fixed_labels, labels))


def _seen(contrastive: Contrast | None, like: Tensor) -> tuple[Tensor, Tensor]:
    if contrastive is None:
        nothing = torch.full_like(like, torch.nan)
        return nothing, nothing
    return contrastive.loss, contrastive.left_out.to(like.dtype)
