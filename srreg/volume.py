"""Voxels and the grid they lie on: `Grid`, `Volume`, `LabelMap`."""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from srreg.errors import DataError, GeometryError

Affine = NDArray[np.float64]


def _checked_affine(affine: NDArray[np.floating]) -> Affine:
    matrix = np.array(affine, dtype=np.float64)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
        raise GeometryError(f"expected a finite 4 x 4 affine, got {matrix.tolist()}")
    if abs(np.linalg.det(matrix[:3, :3])) < 1e-9:
        raise GeometryError(f"the affine has no volume (a voxel of zero size): {matrix.tolist()}")
    matrix.flags.writeable = False
    return matrix


def _frozen_view(data: NDArray[Any]) -> NDArray[Any]:
    """A read-only view, so that no holder of a volume can edit it under another's hands."""
    view = np.ascontiguousarray(data).view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True, eq=False)
class Grid:
    """Where voxels lie.

    Args:
        shape: [D, H, W], the three array axes in storage order.
        affine: [4, 4], voxel index to world (RAS+, mm).
    """

    shape: tuple[int, int, int]
    affine: Affine

    def __post_init__(self) -> None:
        object.__setattr__(self, "affine", _checked_affine(self.affine))

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Edge lengths of a voxel along the array axes."""
        d, h, w = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(d), float(h), float(w)

    def matches(self, other: "Grid", tolerance_mm: float = 1e-3) -> bool:
        """True if shapes are equal and no corner lies further apart than the tolerance."""
        if self.shape != other.shape:
            return False
        corners = np.indices((2, 2, 2)).reshape(3, -1) * (np.array(self.shape)[:, None] - 1)
        homogeneous = np.vstack([corners, np.ones(8)])
        apart = (self.affine - other.affine)[:3] @ homogeneous
        return bool(np.linalg.norm(apart, axis=0).max() <= tolerance_mm)

    def __str__(self) -> str:
        spacing = " x ".join(f"{s:.4g}" for s in self.spacing_mm)
        return f"{'x'.join(map(str, self.shape))} at {spacing} mm"


@dataclass(frozen=True, eq=False)
class _OnGrid:
    """An array on a grid. `data` [D, H, W]; `affine` [4, 4], voxel to world (RAS+, mm)."""

    data: NDArray[Any]
    affine: Affine = field(repr=False)

    def __post_init__(self) -> None:
        if self.data.ndim != 3 or 0 in self.data.shape:
            raise DataError(f"expected three axes of at least one voxel, got shape {self.data.shape}")
        object.__setattr__(self, "affine", _checked_affine(self.affine))
        object.__setattr__(self, "data", _frozen_view(self.data))

    @property
    def grid(self) -> Grid:
        """Shape and affine, without the voxels."""
        d, h, w = self.data.shape
        return Grid((d, h, w), self.affine)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Edge lengths of a voxel along the array axes."""
        return self.grid.spacing_mm

    @cached_property
    def digest(self) -> str:
        """sha256 of type, shape, affine (to 1e-6) and voxels; not of any file's bytes."""
        header = f"{type(self).__name__} {self.data.dtype.str} {self.data.shape} "
        rounded = np.round(self.affine, 6) + 0.0  # + 0.0: no negative zero
        hasher = hashlib.sha256(header.encode() + rounded.tobytes())
        hasher.update(self.data.data)
        return hasher.hexdigest()


@dataclass(frozen=True, eq=False)
class Volume(_OnGrid):
    """An image on its grid.

    Args:
        data: [D, H, W] float32; other number types are converted.
        affine: [4, 4], voxel to world (RAS+, mm).

    Raises:
        DataError: not three axes, or complex values.
        GeometryError: an affine that is not finite or has no volume.
    """

    data: NDArray[Any]

    def __post_init__(self) -> None:
        if not (np.issubdtype(self.data.dtype, np.number) or self.data.dtype == np.bool_):
            raise DataError(f"expected numbers, got {self.data.dtype}")
        if np.issubdtype(self.data.dtype, np.complexfloating):
            raise DataError("expected real voxels, got complex ones")
        object.__setattr__(self, "data", self.data.astype(np.float32, copy=False))
        super().__post_init__()


@dataclass(frozen=True, eq=False)
class LabelMap(_OnGrid):
    """Integer regions on their grid; a brain mask is one with the values 0 and 1.

    Args:
        data: [D, H, W]; whole numbers from 0 to 32767, kept as int16.
        affine: [4, 4], voxel to world (RAS+, mm).

    Raises:
        DataError: values that are not whole numbers in range (the offenders are listed).
    """

    data: NDArray[Any]

    def __post_init__(self) -> None:
        object.__setattr__(self, "data", _as_int16(self.data))
        super().__post_init__()

    @cached_property
    def values(self) -> tuple[int, ...]:
        """The values that occur, in ascending order, background 0 included where it occurs."""
        counts = np.bincount(self.data.reshape(-1))
        return tuple(int(v) for v in np.flatnonzero(counts))

    def volume_ml(self) -> float:
        """Volume of everything that is not background."""
        voxel_mm3 = abs(float(np.linalg.det(self.affine[:3, :3])))
        return float(np.count_nonzero(self.data)) * voxel_mm3 / 1000


def _as_int16(data: NDArray[Any]) -> NDArray[np.int16]:
    if data.dtype in (np.bool_, np.uint8, np.int8):
        whole = data.astype(np.int16)
    elif data.dtype == np.int16:
        whole = data
    else:
        whole = _rounded(data)
    if whole.size and whole.min() < 0:
        raise DataError(f"labels must not be negative, got {np.unique(whole[whole < 0])[:10].tolist()}")
    return whole


def _rounded(data: NDArray[np.generic]) -> NDArray[np.int16]:
    numbers = data.astype(np.float64)
    is_good = np.isfinite(numbers) & (np.abs(numbers) <= 32767) & (numbers == np.round(numbers))
    if not is_good.all():
        found = np.unique(numbers[~is_good])[:10].tolist()
        raise DataError(f"labels must be whole numbers from 0 to 32767, got {found}")
    return numbers.astype(np.int16)
