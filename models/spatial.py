"""Where voxels lie and how fields move them: `identity_grid`, `warp`, `integrate`, `resize`.

A displacement points from fixed to moving: the fixed voxel x matches moving at x + u(x).
Component k moves along array axis k, in voxels of the fixed grid.
"""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Mode = Literal["linear", "nearest"]
_SAMPLER_MODE: dict[str, str] = {"linear": "bilinear", "nearest": "nearest"}  # torch says bilinear in 3-D too


def identity_grid(shape: Sequence[int], like: Tensor) -> Tensor:
    """Every voxel's own index.

    Args:
        shape: [D, H, W].
        like: a tensor whose device and number type the grid takes.

    Returns:
        [1, 3, D, H, W], voxels.
    """
    axes = [torch.arange(size, device=like.device, dtype=like.dtype) for size in shape]
    return torch.stack(torch.meshgrid(*axes, indexing="ij")).unsqueeze(0)


def warp(image: Tensor, displacement: Tensor, mode: Mode = "linear") -> Tensor:
    """The image resampled where the displacement points: moved(x) = image(x + u(x)); 0 outside.

    Args:
        image: [B, C, D, H, W]; of any number type for `nearest`, floating for `linear`.
        displacement: [B, 3, D, H, W], voxels. An axis of a single voxel has nowhere to move: its component does nothing.
        mode: `linear` for images and soft labels, `nearest` for hard ones.

    Raises:
        ValueError: image and displacement do not lie on one grid, or the mode is unknown.
    """
    _check_grids(image, displacement)
    if mode not in _SAMPLER_MODE:
        raise ValueError(f"expected mode 'linear' or 'nearest', got {mode!r}")
    shape = displacement.shape[2:]
    # In half precision positions would be off by whole voxels; integer labels cannot be sampled as they are.
    precise = torch.promote_types(torch.promote_types(image.dtype, displacement.dtype), torch.float32)
    displacement = displacement.to(precise)
    positions = (identity_grid(shape, displacement) + displacement).unbind(dim=1)
    # The sampler wants -1..1 between the outermost voxel centres, and the last array axis first.
    scaled = [2 * (p / max(size - 1, 1) - 0.5) for p, size in zip(positions, shape, strict=True)]
    sampling_grid = torch.stack(scaled[::-1], dim=-1)  # [B, D, H, W, 3]
    moved = F.grid_sample(image.to(precise), sampling_grid, mode=_SAMPLER_MODE[mode], align_corners=True)
    return moved.to(image.dtype)


def _check_grids(image: Tensor, displacement: Tensor) -> None:
    if displacement.ndim != 5 or displacement.shape[1] != 3:
        raise ValueError(f"expected a displacement [B, 3, D, H, W], got {list(displacement.shape)}")
    if image.ndim != 5 or image.shape[2:] != displacement.shape[2:] or len(image) != len(displacement):
        raise ValueError(f"image and displacement must lie on one grid, got {list(image.shape)} and {list(displacement.shape)}")


def integrate(velocity: Tensor, steps: int = 7) -> Tensor:
    """The displacement a stationary velocity field leads to in unit time, by scaling and squaring.

    Args:
        velocity: [B, 3, D, H, W], voxels.
        steps: how often the field is composed with itself; 0 takes the velocity as the displacement.

    Returns:
        [B, 3, D, H, W], voxels.
    """
    displacement = velocity / 2**steps
    for _ in range(steps):
        displacement = displacement + warp(displacement, displacement)
    return displacement


def resize(field: Tensor, factor: float) -> Tensor:
    """A field on a grid finer or coarser by a factor, its vectors in voxels of the new grid.

    Args:
        field: [B, 3, D, H, W], voxels.
        factor: 2 doubles every axis and every vector; 1 returns the field.

    Returns:
        [B, 3, factor * D, factor * H, factor * W], voxels.
    """
    if factor == 1:
        return field
    if factor > 1:  # multiply where there are fewer voxels
        return _interpolate(field * factor, factor)
    return _interpolate(field, factor) * factor


def _interpolate(field: Tensor, factor: float) -> Tensor:
    return F.interpolate(field, scale_factor=factor, mode="trilinear", align_corners=True)
