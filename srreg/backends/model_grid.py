"""The grid a network works on, and the way back: tools that do this themselves round shapes and shift what they find."""

import numpy as np

from srreg import geometry
from srreg.volume import Grid, LabelMap, Volume


def model_grid(grid: Grid, spacing_mm: float) -> Grid:
    """The grid that covers the same box with cubes of `spacing_mm`, along the same axes."""
    spacing = np.array(grid.spacing_mm)
    extent_mm = spacing * grid.shape
    d, h, w = np.maximum(np.ceil(extent_mm / spacing_mm - 1e-6), 2).astype(int)
    affine = np.eye(4)
    affine[:3, :3] = grid.affine[:3, :3] / spacing * spacing_mm
    first_corner = geometry.apply_affine(grid.affine, np.full(3, -0.5))
    affine[:3, 3] = first_corner + affine[:3, :3] @ np.full(3, 0.5)
    return Grid((int(d), int(h), int(w)), affine)


def mask_on(mask: LabelMap, grid: Grid) -> LabelMap:
    """A mask where at least half of a voxel is inside: smoother than its nearest neighbours."""
    share = geometry.resample(Volume(mask.data, mask.affine), grid)
    return LabelMap(share.data >= 0.5, grid.affine)
