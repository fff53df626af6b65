"""Which slices of a brain are shown, and how a slice lies on the page.

Radiological convention: one looks at the patient from the feet and from the front, so the patient's
right is on the left of axial and coronal pictures; sagittal ones face left.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from srreg.qc.case import Case


@dataclass(frozen=True)
class Plane:
    """A way to cut.

    Args:
        name: as anatomists call it.
        axis: of the array (RAS), across which the slices lie.
        across, down: the array axes that run over the columns and the rows of a picture, both reversed.
        slices: how many are shown, evenly over the middle of the brain.
        letters: at the left, right, top and bottom of a picture.
    """

    name: str
    axis: int
    across: int
    down: int
    slices: int
    letters: tuple[str, str, str, str]


# As many as fill rows of about one width: a head is longer than wide.
PLANES: tuple[Plane, ...] = (
    Plane("axial", axis=2, across=0, down=1, slices=6, letters=("R", "L", "A", "P")),
    Plane("coronal", axis=1, across=0, down=2, slices=6, letters=("R", "L", "S", "I")),
    Plane("sagittal", axis=0, across=1, down=2, slices=5, letters=("A", "P", "S", "I")),
)
_SHOWN = (0.14, 0.86)  # of the brain's extent: the caps beyond show little
_MARGIN_MM = 6.0


@dataclass(frozen=True)
class Cut:
    """The slices of one plane through one brain: `frame` is the box that is shown, in voxels of the grid."""

    plane: Plane
    indices: tuple[int, ...]
    frame: tuple[slice, slice, slice]

    def tiles(self, image: NDArray[np.generic]) -> list[NDArray[np.generic]]:
        """The slices [rows, columns] of an image of the whole grid [D, H, W], as they lie on the page."""
        frame = list(self.frame)
        pictures = []
        for index in self.indices:
            frame[self.plane.axis] = slice(index, index + 1)
            flat = image[tuple(frame)].squeeze(self.plane.axis)  # the lower of the two axes left comes first
            pictures.append(flat[::-1, ::-1].T)
        return pictures

    def strip(self, image: NDArray[np.generic]) -> NDArray[np.generic]:
        """The slices side by side."""
        return np.hstack(self.tiles(image))


def cuts_of(case: Case) -> list[Cut]:
    """Where a brain is cut: a list in the order of `PLANES`."""
    frame = tuple(
        slice(max(s.start - margin, 0), min(s.stop + margin, size))
        for s, size, margin in zip(case.box, case.subject.mr.data.shape, _margins(case), strict=True)
    )
    return [Cut(plane, _indices(case.box[plane.axis], plane.slices), frame) for plane in PLANES]  # type: ignore[arg-type]


def _margins(case: Case) -> list[int]:
    return [max(round(_MARGIN_MM / mm), 1) for mm in case.spacing_mm]


def _indices(extent: slice, count: int) -> tuple[int, ...]:
    first, length = extent.start, extent.stop - 1 - extent.start
    return tuple(round(first + length * share) for share in np.linspace(*_SHOWN, count))
