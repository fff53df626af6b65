"""From a common frame back to the images' own grids: a field found in the one, applied in the other.

Two images are registered in a frame that neither of them lies in. What is wanted is one field on the
fixed image's own grid that says where in the moving image's own world each of its voxels has its match.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from srreg.displacement import Displacement
from srreg.geometry import Image, apply_affine
from srreg.volume import Affine, Grid, LabelMap


def carried(displacement: Displacement, fixed: Grid, fixed_to_frame: Affine, moving_to_frame: Affine) -> Displacement:
    """The one field that does all: fixed voxel to the frame, along the displacement, to the moving image's world.

    Beyond the frame's border the displacement goes on with its last value.

    Args:
        displacement: on the frame's grid.
        fixed: the fixed image's own grid, in any orientation.
        fixed_to_frame: [4, 4], world of the fixed image to world of the frame (RAS+, mm).
        moving_to_frame: [4, 4], the same for the moving image.

    Returns:
        On the fixed image's grid: its voxel `x` matches what lies at the world point of `x + u(x)` in the moving image.
    """
    into_frame = np.linalg.inv(displacement.affine) @ fixed_to_frame @ fixed.affine
    out_of_frame = np.linalg.inv(fixed.affine) @ np.linalg.inv(moving_to_frame) @ displacement.affine
    found = np.empty((*fixed.shape, 3), np.float32)
    for plane, voxels in _planes(fixed):
        inside = apply_affine(into_frame, voxels)
        steps = [_at(displacement.data[..., k], inside, order=1) for k in range(3)]
        found[plane] = apply_affine(out_of_frame, inside + np.stack(steps, axis=-1)) - voxels
    return Displacement(found, fixed.affine)


def moved(moving: Image, displacement: Displacement, background: float = 0.0) -> Image:
    """The moving image on the fixed grid in one interpolation: linear for an image, nearest for labels.

    The rule at the border is ITK's, so that ITK and ANTs make the same image of the same field: a voxel fills
    its whole box, what lies outside of all boxes is background.

    Args:
        moving: on its own grid.
        displacement: on the fixed grid, into the moving image's world.
        background: value outside the moving image.
    """
    to_moving = np.linalg.inv(moving.affine) @ displacement.affine
    order = 0 if isinstance(moving, LabelMap) else 1
    found = np.empty(displacement.grid.shape, moving.data.dtype)
    for plane, voxels in _planes(displacement.grid):
        there = apply_affine(to_moving, voxels + displacement.data[plane])
        is_inside = ((there >= -0.5) & (there <= np.array(moving.data.shape) - 0.5)).all(axis=-1)
        found[plane] = np.where(is_inside, _at(moving.data, there, order), background)
    return type(moving)(found, displacement.affine)


def _planes(grid: Grid) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Plane by plane, its index and its voxels [H, W, 3]: positions of a whole head would fill gigabytes."""
    depth, *sides = grid.shape
    rows, columns = np.indices(sides, dtype=np.float64)
    for plane in range(depth):
        yield plane, np.stack([np.full_like(rows, plane), rows, columns], axis=-1)


def _at(data: NDArray[np.generic], positions: NDArray[np.float64], order: int) -> NDArray[np.generic]:
    """Values at positions [..., 3], in voxels; beyond the border the outermost go on."""
    sampled: NDArray[np.generic] = ndimage.map_coordinates(data, np.moveaxis(positions, -1, 0), order=order, mode="nearest")
    return sampled
