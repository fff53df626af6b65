"""A displacement field on the fixed grid: warp with it, compose two, take it to millimetres and back."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from srreg.errors import DataError, GeometryError
from srreg.geometry import Image, Mode, apply_affine
from srreg.volume import Affine, Grid, LabelMap


@dataclass(frozen=True, eq=False)
class Displacement:
    """Where each fixed voxel finds its match: fixed voxel `x` matches moving at `x + u(x)`.

    Args:
        data: [D, H, W, 3] float32, voxels of the fixed grid; component k moves along array axis k.
        affine: [4, 4] of the fixed grid, voxel to world (RAS+, mm).

    Raises:
        DataError: another shape, or vectors that are not finite.
    """

    data: NDArray[np.float32]
    affine: Affine = field(repr=False)

    def __post_init__(self) -> None:
        if self.data.ndim != 4 or self.data.shape[3] != 3:
            raise DataError(f"expected a displacement [D, H, W, 3], got shape {self.data.shape}")
        if not np.isfinite(self.data).all():
            raise DataError(f"{np.count_nonzero(~np.isfinite(self.data))} components of the displacement are not finite")
        view = np.ascontiguousarray(self.data, dtype=np.float32).view()
        view.flags.writeable = False
        object.__setattr__(self, "data", view)
        object.__setattr__(self, "affine", Grid((1, 1, 1), self.affine).affine)

    @property
    def grid(self) -> Grid:
        """The fixed grid."""
        d, h, w, _ = self.data.shape
        return Grid((d, h, w), self.affine)

    def to_millimetres(self) -> NDArray[np.float32]:
        """The vectors in the world: [D, H, W, 3], RAS+, mm."""
        millimetres: NDArray[np.float32] = (self.data @ self.affine[:3, :3].T).astype(np.float32)
        return millimetres

    @classmethod
    def from_millimetres(cls, vectors: NDArray[np.floating], affine: Affine) -> "Displacement":
        """From world vectors [D, H, W, 3] (RAS+, mm) on the grid of `affine`."""
        return cls((vectors @ np.linalg.inv(affine[:3, :3]).T).astype(np.float32), affine)

    @classmethod
    def zero(cls, grid: Grid) -> "Displacement":
        """The identity on a grid."""
        return cls(np.zeros((*grid.shape, 3), np.float32), grid.affine)


def _positions(displacement: Displacement) -> NDArray[np.float64]:
    """[3, D, H, W]: `x + u(x)` in voxels of the fixed grid."""
    shape = displacement.grid.shape
    return np.indices(shape, dtype=np.float64) + np.moveaxis(displacement.data, 3, 0)


def warp(moving: Image, displacement: Displacement, mode: Mode | None = None) -> Image:
    """The moving image on the fixed grid: moved(x) = moving(x + u(x)); 0 outside.

    Args:
        moving: on any grid; where it is not the fixed one, positions go through the world.
        displacement: on the fixed grid.
        mode: `linear` for images, `nearest` for labels unless said otherwise.
    """
    mode = mode or ("nearest" if isinstance(moving, LabelMap) else "linear")
    positions = _positions(displacement)
    if not np.allclose(moving.affine, displacement.affine, atol=1e-9):
        fixed_to_moving = np.linalg.inv(moving.affine) @ displacement.affine
        positions = np.moveaxis(apply_affine(fixed_to_moving, np.moveaxis(positions, 0, 3)), 3, 0)
    order = 1 if mode == "linear" else 0
    # grid-constant: beyond the last voxel the image fades into zeros, as torch's grid_sample does.
    moved = ndimage.map_coordinates(moving.data, positions, order=order, mode="grid-constant", cval=0.0)
    return type(moving)(moved, displacement.affine)


def compose(first: Displacement, then: Displacement) -> Displacement:
    """The one field that does what `warp(warp(image, first), then)` does: u(x) = then(x) + first(x + then(x)).

    Beyond the border `first` goes on with its last value.

    Raises:
        GeometryError: two different grids.
    """
    if not first.grid.matches(then.grid):
        raise GeometryError(f"cannot compose fields on two grids: {first.grid} and {then.grid}")
    positions = _positions(then)
    sampled = [ndimage.map_coordinates(first.data[..., k], positions, order=1, mode="nearest") for k in range(3)]
    return Displacement(then.data + np.stack(sampled, axis=-1), then.affine)
