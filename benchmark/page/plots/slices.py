"""One slice through a registration, cut so that a picture can be drawn of it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from srreg.displacement import Displacement, warp
from srreg.geometry import bounding_box, crop
from srreg.qc.planes import Plane
from srreg.volume import LabelMap, Volume

_MARGIN_MM = 8.0


@dataclass(frozen=True, eq=False)
class Registered:
    """A pair and the field between its images.

    Args:
        moving: MR in [0, 1].
        moving_labels: its regions.
        fixed: CT in [0, 1].
        fixed_labels: its regions, on its grid.
        displacement: on the fixed grid.
    """

    moving: Volume
    moving_labels: LabelMap
    fixed: Volume
    fixed_labels: LabelMap
    displacement: Displacement


@dataclass(frozen=True, eq=False)
class Slice:
    """A slice of the fixed grid, every array [rows, columns] as it lies on the page.

    Args:
        fixed: the fixed image, `before` the moving one as it was, `after` as the field moves it.
        fixed_labels: the regions likewise.
        across_mm: where each voxel's match lies in the moving image, along the columns, and `down_mm` along the rows.
        height_to_width: of a voxel.
    """

    fixed: NDArray[np.float32]
    before: NDArray[np.float32]
    after: NDArray[np.float32]
    fixed_labels: NDArray[np.int16]
    before_labels: NDArray[np.int16]
    after_labels: NDArray[np.int16]
    across_mm: NDArray[np.float64]
    down_mm: NDArray[np.float64]
    height_to_width: float


def middle_slice(registered: Registered, plane: Plane) -> Slice:
    """The slice through the middle of the fixed brain; nothing but the slice is warped."""
    cut = _cut(registered.fixed_labels, plane)
    fixed, fixed_labels = crop(registered.fixed, cut), crop(registered.fixed_labels, cut)
    field = Displacement(registered.displacement.data[cut], fixed.affine)
    still = Displacement.zero(fixed.grid)
    spacing, places = fixed.spacing_mm, np.indices(fixed.data.shape)

    def goes_mm(axis: int) -> NDArray[Any]:
        return _turned((places[axis] + field.data[..., axis]) * spacing[axis], plane)

    return Slice(
        fixed=_turned(fixed.data, plane),
        before=_turned(warp(registered.moving, still).data, plane),
        after=_turned(warp(registered.moving, field).data, plane),
        fixed_labels=_turned(fixed_labels.data, plane),
        before_labels=_turned(warp(registered.moving_labels, still).data, plane),
        after_labels=_turned(warp(registered.moving_labels, field).data, plane),
        across_mm=goes_mm(plane.across),
        down_mm=goes_mm(plane.down),
        height_to_width=spacing[plane.down] / spacing[plane.across],
    )


def _cut(labels: LabelMap, plane: Plane) -> tuple[slice, slice, slice]:
    """One voxel thick across the plane; around all regions, or all of the grid where there are none."""
    box = bounding_box(labels.data > 0, margin=round(_MARGIN_MM / min(labels.spacing_mm)))
    parts = list(box) if box[0].stop else [slice(0, size) for size in labels.data.shape]
    middle = (parts[plane.axis].start + parts[plane.axis].stop) // 2
    parts[plane.axis] = slice(middle, middle + 1)
    return parts[0], parts[1], parts[2]


def _turned(array: NDArray[Any], plane: Plane) -> NDArray[Any]:
    """[D, H, W], one of them 1, as it lies on the page: both axes run the other way."""
    return array.squeeze(plane.axis)[::-1, ::-1].T
