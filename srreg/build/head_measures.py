"""What is measured of a whole head while the build has it: the data set holds the masked brain alone."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from srreg.build.stairs import image_bends, image_stairs, label_stairs
from srreg.errors import DataError
from srreg.geometry import bounding_box
from srreg.subject import Subject

_SIDES = (("left", "right"), ("back", "front"), ("bottom", "top"))  # lower and upper end of each axis of an image in RAS

_BLOCK = 3  # voxels
_REACH_MM = 3.0  # skull and scalp are thicker, a child's too: sound images go on for longer
_AIR_HU = -500.0
_BESIDE_MM = 30.0  # behind and above the middle of the brain, skin lies within 25 mm of it
_BESIDE_GRID_MM = 4.0
_SOLID_HU = -300.0  # plastic and carbon shells; foam is air to us


@dataclass(frozen=True)
class HeadMeasures:
    """Numbers of one whole head, on its own grid; nan where one cannot be measured.

    Args:
        cut_cm2: side (`left`, `right`, `back`, `front`, `bottom`, `top`) -> area of the brain's surface where the MR ends
            within 3 mm: at the border of the grid, or at zeros that reach it (another field of view, defacing).
        mr_blank_ml: brain in which the MR is 0, in blocks.
        ct_blank_ml: brain in which the CT is air, in blocks.
        beside_ml: what is solid in the CT, and too far from the brain to be head; behind and above the middle of the brain,
            where neither face nor neck is.
        mr_stairs, mr_bends, ct_stairs, label_stairs: how far an image comes in steps, in percent; see `srreg.build.stairs`.
    """

    cut_cm2: Mapping[str, float]
    mr_blank_ml: float
    ct_blank_ml: float
    beside_ml: float
    mr_stairs: float
    mr_bends: float
    ct_stairs: float
    label_stairs: float

    def record(self) -> dict[str, object]:
        """As JSON holds it: rounded, and null for nan."""
        numbers = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "cut_cm2"}
        rounded = {name: None if np.isnan(number) else round(number, 2) for name, number in numbers.items()}
        return {"cut_cm2": {side: round(area, 2) for side, area in self.cut_cm2.items()}, **rounded}

    @classmethod
    def from_record(cls, record: object) -> "HeadMeasures":
        """From what `record` gave.

        Raises:
            DataError: it is something else.
        """
        try:
            cut_cm2, *numbers = (record[f.name] for f in fields(cls))  # type: ignore[index]
            areas = {str(side): float(area) for side, area in cut_cm2.items()}
            return cls(areas, *(float("nan") if number is None else float(number) for number in numbers))
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise DataError(f"expected the measures of a head, got {record!r}") from error


def measure_head(subject: Subject) -> HeadMeasures:
    """Measure MR and CT, whole, with brain and labels; all on one grid, in RAS."""
    assert subject.brain is not None
    assert subject.labels is not None
    brain, spacing_mm = subject.brain.data > 0, np.array(subject.mr.spacing_mm)
    no_mr = _blocks(subject.mr.data == 0)
    box = bounding_box(brain, margin=_BLOCK)  # what is blank in the brain may go on outside it
    inside, mr, ct = brain[box], subject.mr.data[box], subject.ct.data[box]
    voxel_ml = float(np.prod(spacing_mm)) / 1000
    return HeadMeasures(
        cut_cm2=_cut_cm2(brain, _reaching_border(no_mr), spacing_mm),
        mr_blank_ml=_count(no_mr[box] & inside) * voxel_ml,
        ct_blank_ml=_count(_blocks(ct < _AIR_HU) & inside) * voxel_ml,
        beside_ml=_beside_ml(subject.ct.data, brain, spacing_mm),
        mr_stairs=image_stairs(mr, inside),
        mr_bends=image_bends(mr, inside),
        ct_stairs=image_stairs(ct, inside),
        label_stairs=label_stairs(subject.labels.data[box], inside),
    )


def _blocks(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What of a mask is three voxels thick: no specks, and no rim of bone that a brain mask took in."""
    return ndimage.grey_opening(mask.view(np.uint8), size=_BLOCK) > 0


def _reaching_border(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pieces of a mask that reach the border of the array: zeros in a sinus do not."""
    pieces, _ = ndimage.label(mask)
    ends = [np.unique(pieces.take((0, -1), axis)) for axis in range(3)]
    reaching: NDArray[np.bool_] = np.isin(pieces, np.concatenate(ends)) & mask
    return reaching


def _cut_cm2(brain: NDArray[np.bool_], no_image: NDArray[np.bool_], spacing_mm: NDArray[np.float64]) -> dict[str, float]:
    """Side -> area of the brain's faces to it where the image ends within reach; sides without any are left out."""
    reach = np.maximum(np.round(_REACH_MM / spacing_mm), 1).astype(int)
    margins = [(n, n) for n in reach]
    brain, no_image = np.pad(brain, margins), np.pad(no_image, margins, constant_values=True)
    box = tuple(slice(s.start - n, s.stop + n) for s, n in zip(bounding_box(brain), reach, strict=True))
    brain, no_image = brain[box], no_image[box]
    areas: dict[str, float] = {}
    for axis, sides in enumerate(_SIDES):
        face_cm2 = float(np.prod(np.delete(spacing_mm, axis))) / 100
        for side, way in zip(sides, (1, -1), strict=True):
            # Nothing is rolled around the ends: the margin is as wide as the reach.
            faces = brain & ~np.roll(brain, way, axis)
            ends = np.logical_or.reduce([np.roll(no_image, way * n, axis) for n in range(1, reach[axis] + 1)])
            areas[side] = _count(faces & ends) * face_cm2
    return {side: area for side, area in areas.items() if area > 0}


def _beside_ml(ct: NDArray[np.float32], brain: NDArray[np.bool_], spacing_mm: NDArray[np.float64]) -> float:
    """Counted on every few voxels; 0 where there is no brain."""
    step = np.maximum(np.round(_BESIDE_GRID_MM / spacing_mm), 1).astype(int)
    thinned = tuple(slice(None, None, n) for n in step)
    brain, ct = brain[thinned], ct[thinned]
    if not brain.any():
        return 0.0
    _, middle, height = (int(places.mean()) for places in np.nonzero(brain))
    distance = ndimage.distance_transform_edt(~brain, sampling=step * spacing_mm)
    beside = (ct > _SOLID_HU) & (distance > _BESIDE_MM)
    return _count(beside[:, :middle, height:]) * float(np.prod(step * spacing_mm)) / 1000


def _count(mask: NDArray[np.bool_]) -> int:
    return int(np.count_nonzero(mask))
