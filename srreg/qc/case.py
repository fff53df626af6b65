"""One built subject as the checks see it: cropped to its brain, with what several of them need."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from srreg.build.head_measures import HeadMeasures
from srreg.build.steps.conform import Conform
from srreg.errors import DataError
from srreg.geometry import apply_affine, bounding_box
from srreg.labels import INDICES
from srreg.subject import Subject
from srreg.volume import LabelMap, Volume


@dataclass(frozen=True, eq=False)
class Case:
    """A built subject (MR, CT, brain, labels on the data set's grid) and its brain volume before alignment.

    Args:
        subject: images in [0, 1], 0 outside the brain; RAS.
        native_brain_ml: None where it is not known.
        is_in_frame: whether its world is that of the ICBM 152 template.
        head: what the build measured of the whole head; None where it did not.
        bias: what the MR was divided by, on the same grid; None where that is not known.

    Raises:
        DataError: brain or labels are missing, or the four do not lie on one grid.
    """

    subject: Subject
    native_brain_ml: float | None = None
    is_in_frame: bool = False
    head: HeadMeasures | None = None
    bias: Volume | None = None

    def __post_init__(self) -> None:
        if self.subject.brain is None or self.subject.labels is None:
            raise DataError(f"{self.subject.id}: has no brain mask or no labels; build it first")
        for name in ("ct", "brain", "labels"):
            other = getattr(self.subject, name).grid
            if not other.matches(self.subject.mr.grid):
                raise DataError(f"{self.subject.id}: {name} lies on another grid than the MR ({other}, {self.subject.mr.grid})")

    @property
    def brain_map(self) -> LabelMap:
        """The brain mask on the whole grid."""
        assert self.subject.brain is not None
        return self.subject.brain

    @property
    def label_map(self) -> LabelMap:
        """The regions on the whole grid."""
        assert self.subject.labels is not None
        return self.subject.labels

    @cached_property
    def box(self) -> tuple[slice, slice, slice]:
        """Around everything that is brain or labelled; the whole grid where nothing is."""
        occupied = (self.brain_map.data > 0) | (self.label_map.data > 0)
        box = bounding_box(occupied)
        whole = tuple(slice(0, n) for n in occupied.shape)
        return whole if box[0].stop == 0 else box  # type: ignore[return-value]

    @cached_property
    def brain(self) -> NDArray[np.bool_]:
        """The brain mask in the box."""
        return self.brain_map.data[self.box] > 0

    @cached_property
    def labels(self) -> NDArray[np.int16]:
        """The regions in the box."""
        return self.label_map.data[self.box]

    @cached_property
    def mr(self) -> NDArray[np.float32]:
        """The MR in the box."""
        return self.subject.mr.data[self.box]

    @cached_property
    def ct(self) -> NDArray[np.float32]:
        """The CT in the box."""
        return self.subject.ct.data[self.box]

    @cached_property
    def uncorrected(self) -> NDArray[np.float32] | None:
        """The MR on the whole grid before its intensity was corrected, in [0, 1]; None where that is not known.

        Scaled as the build scales the corrected one, so that their histograms compare.
        """
        if self.bias is None:
            return None
        image, inside = self.subject.mr.data * self.bias.data, self.brain_map.data > 0
        top = float(np.percentile(image[inside], Conform.mr_top_percentile)) if inside.any() else 0.0
        return (image / top).clip(0, 1) if top > 0 else image

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Edge lengths of a voxel."""
        return self.subject.mr.spacing_mm

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel."""
        return float(np.prod(self.spacing_mm)) / 1000

    @cached_property
    def label_ml(self) -> dict[int, float]:
        """Volume of each region of the table on the data set's grid (that is, after alignment)."""
        counts = np.bincount(self.labels.reshape(-1), minlength=max(INDICES) + 1)
        return {index: float(counts[index]) * self.voxel_ml for index in INDICES if index != 0}

    @cached_property
    def brain_ml(self) -> float:
        """Volume of the brain mask on the data set's grid."""
        return float(np.count_nonzero(self.brain)) * self.voxel_ml

    @cached_property
    def pieces(self) -> NDArray[np.int64]:
        """Voxels of each connected piece of the brain mask (faces touch), the largest first."""
        numbered, _ = ndimage.label(self.brain)
        return np.sort(np.bincount(numbered.reshape(-1))[1:])[::-1]

    @cached_property
    def brain_centre_mm(self) -> NDArray[np.float64]:
        """World position of the brain mask's centre of mass; nan where it is empty."""
        if not self.brain.any():
            return np.full(3, np.nan)
        start = [s.start for s in self.box]
        return apply_affine(self.brain_map.affine, np.argwhere(self.brain).mean(axis=0) + start)

    def within(self, image: NDArray[np.float32], *labels: int) -> NDArray[np.float32]:
        """The voxels [N] of an image of the box that lie in some regions and in the brain."""
        chosen: NDArray[np.float32] = image[np.isin(self.labels, labels) & self.brain]
        return chosen
