"""More variety than a few people have: pairs both ways round, images bent by smooth random fields, windows of them."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.spatial import warp
from models.training_settings import Batch

_KNOT_VOXELS = 8  # between the knots of a bending field: smooth enough not to fold at one voxel's amplitude


def joined(first: Batch, second: Batch) -> Batch:
    """Two batches as one."""
    return Batch(
        torch.cat([first.moving, second.moving]),
        torch.cat([first.fixed, second.fixed]),
        torch.cat([first.moving_labels, second.moving_labels]),
        torch.cat([first.fixed_labels, second.fixed_labels]),
        f"{first.name} {second.name}",
    )


def bent(batch: Batch, amplitude_voxels: float, generator: torch.Generator) -> Batch:
    """Every image of a batch, with its labels, under a random field of its own.

    Args:
        batch: pairs.
        amplitude_voxels: standard deviation of each component at the field's knots.
        generator: what the fields are drawn from.
    """
    moving, moving_labels = _bent(batch.moving, batch.moving_labels, amplitude_voxels, generator)
    fixed, fixed_labels = _bent(batch.fixed, batch.fixed_labels, amplitude_voxels, generator)
    return Batch(moving, fixed, moving_labels, fixed_labels, batch.name)


def windowed(batch: Batch, size: tuple[int, int, int], rng: np.random.Generator) -> Batch:
    """The same window of every image and label map of a batch, at a random place.

    Args:
        batch: pairs.
        size: of the window in voxels; an axis that is shorter stays whole.
        rng: what the place is drawn from.
    """
    shape = batch.moving.shape[2:]
    firsts = [int(rng.integers(max(0, whole - part) + 1)) for whole, part in zip(shape, size, strict=True)]
    d, h, w = (slice(first, first + part) for first, part in zip(firsts, size, strict=True))

    def part(whole: Tensor) -> Tensor:
        return whole[..., d, h, w].contiguous()

    return Batch(part(batch.moving), part(batch.fixed), part(batch.moving_labels), part(batch.fixed_labels), batch.name)


def _bent(image: Tensor, labels: Tensor, amplitude_voxels: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """[B, 1, D, H, W] and [B, D, H, W], moved alike."""
    shape = image.shape[2:]
    knots = torch.randn(len(image), 3, *(size // _KNOT_VOXELS + 1 for size in shape), generator=generator)
    field = F.interpolate(amplitude_voxels * knots, shape, mode="trilinear", align_corners=True)  # [B, 3, D, H, W]
    return warp(image.float(), field), warp(labels[:, None], field, "nearest")[:, 0]
