from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import ClassVar

import numpy as np

from srreg.build.reference import Size, grid_of
from srreg.build.step import Field
from srreg.errors import StepFailed
from srreg.geometry import resample
from srreg.subject import Subject
from srreg.volume import Affine, LabelMap, Volume


@dataclass(frozen=True)
class Conform:
    """Bring everything onto the data set's grid: one interpolation, then one mask, then [0, 1].

    Images are linear (with a blur where the new voxels are coarser), labels nearest. Masking comes
    last because 0 HU is water, not background.

    Args:
        size: which grid.
        ct_window_hu: HU that become 0 and 1: the standard brain window (level 40, width 80).
        mr_top_percentile: of the MR in the brain; what is brighter becomes 1, so that a vessel does not set the scale.
    """

    size: Size = "full"
    ct_window_hu: tuple[float, float] = (0.0, 80.0)
    mr_top_percentile: float = 99.9

    name: ClassVar[str] = "conform"
    version: ClassVar[int] = 2
    reads: ClassVar[tuple[Field, ...]] = ("mr", "ct", "brain", "labels", "bias", "to_reference")
    adds: ClassVar[tuple[Field, ...]] = ("mr", "ct", "brain", "labels")

    def parameters(self, subject_id: str) -> Mapping[str, object]:
        """The settings."""
        return asdict(self)

    def __call__(self, subject: Subject) -> Subject:
        """`mr` and `ct` in [0, 1] with 0 outside the brain, `brain` and `labels` on the same grid (RAS)."""
        assert subject.brain is not None
        assert subject.labels is not None
        grid, way = grid_of(self.size), subject.to_reference
        brain = resample(subject.brain, grid, way)
        inside = brain.data > 0
        if not inside.any():
            raise StepFailed(f"{subject.id}: no brain lies on the data set's grid; align with --align affine or center")
        labels = resample(subject.labels, grid, way)
        mr = _evened(resample(subject.mr, grid, way), subject.bias, way)
        ct = resample(subject.ct, grid, way, background=-1000.0)
        top = float(np.percentile(mr[inside], self.mr_top_percentile))
        if top <= 0:
            raise StepFailed(f"{subject.id}: the MR has no signal inside the brain mask")
        return replace(
            subject,
            mr=Volume(np.where(inside, (mr / top).clip(0, 1), 0), grid.affine),
            ct=Volume(np.where(inside, _windowed(ct.data, self.ct_window_hu), 0), grid.affine),
            brain=brain,
            labels=LabelMap(np.where(inside, labels.data, 0), grid.affine),
        )


def _evened(mr: Volume, bias: Volume | None, way: Affine | None) -> np.ndarray:
    if bias is None:
        return mr.data
    field = resample(bias, mr.grid, way, background=None)
    return mr.data / np.maximum(field.data, 1e-3)


def _windowed(ct: np.ndarray, window_hu: tuple[float, float]) -> np.ndarray:
    low, high = window_hu
    return ((ct - low) / (high - low)).clip(0, 1)
