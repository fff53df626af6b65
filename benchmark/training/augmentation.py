"""More variety than a few people have: both ways round, bent images, other grey values, known fields."""

from dataclasses import replace

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
        generator: what the fields are drawn from; on the images' device.
    """
    moving, moving_labels = _bent(batch.moving, batch.moving_labels, amplitude_voxels, generator)
    fixed, fixed_labels = _bent(batch.fixed, batch.fixed_labels, amplitude_voxels, generator)
    return replace(batch, moving=moving, fixed=fixed, moving_labels=moving_labels, fixed_labels=fixed_labels)


def with_known_fields(batch: Batch, amplitude_voxels: float, generator: torch.Generator) -> Batch:
    """Every fixed image of a batch bent by a random field of its own, which the batch then holds as its displacement.

    Args:
        batch: of people to themselves, so that the field is all there is between moving and fixed.
        amplitude_voxels: standard deviation of each component at the field's knots.
        generator: what the fields are drawn from; on the images' device.
    """
    field = _random_field(batch.fixed, amplitude_voxels, generator)
    fixed, fixed_labels = _warped(batch.fixed, batch.fixed_labels, field)
    return replace(batch, fixed=fixed, fixed_labels=fixed_labels, displacement=field)


def grey_varied(batch: Batch, amount: float, generator: torch.Generator) -> Batch:
    """Every image of a batch with a contrast, a brightness, a smooth bias and a noise of its own; background stays 0.

    Args:
        batch: pairs.
        amount: 1 changes contrast by half (a power of e^0.5), bias and brightness by a tenth, and adds up to 0.04 of noise.
        generator: what is drawn from; on the images' device.
    """
    moving, fixed = (_grey_varied(image, amount, generator) for image in (batch.moving, batch.fixed))
    return replace(batch, moving=moving, fixed=fixed)


def _bent(image: Tensor, labels: Tensor, amplitude_voxels: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    return _warped(image, labels, _random_field(image, amplitude_voxels, generator))


def _warped(image: Tensor, labels: Tensor, field: Tensor) -> tuple[Tensor, Tensor]:
    """[B, 1, D, H, W] and [B, D, H, W], moved alike."""
    return warp(image.float(), field), warp(labels[:, None], field, "nearest")[:, 0]


def _random_field(image: Tensor, amplitude_voxels: float, generator: torch.Generator) -> Tensor:
    """[B, 3, D, H, W] in voxels, for images [B, 1, D, H, W]."""
    shape = image.shape[2:]
    counts = (size // _KNOT_VOXELS + 1 for size in shape)
    knots = torch.randn(len(image), 3, *counts, generator=generator, device=generator.device)
    return F.interpolate(amplitude_voxels * knots, shape, mode="trilinear", align_corners=True)


def _grey_varied(image: Tensor, amount: float, generator: torch.Generator) -> Tensor:
    """[B, 1, D, H, W] in about [0, 1]."""

    def drawn(*size: int) -> Tensor:
        return amount * torch.randn(len(image), 1, *size, generator=generator, device=generator.device)

    one = (1, 1, 1)
    bias = F.interpolate(0.15 * drawn(3, 3, 3), image.shape[2:], mode="trilinear", align_corners=True)
    varied = image.clamp(0, 1) ** torch.exp(0.5 * drawn(*one)) * torch.exp(bias)
    varied = varied * (1 + 0.1 * drawn(*one)) + 0.05 * drawn(*one)
    noise = 0.04 * torch.rand(len(image), 1, *one, generator=generator, device=generator.device) * drawn(*image.shape[2:])
    return torch.where(image > 0, varied + noise, 0.0)
