from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import ClassVar

import numpy as np

from srreg.build.step import Field
from srreg.errors import StepFailed
from srreg.geometry import bounding_box, crop, from_sitk, to_sitk
from srreg.subject import Subject
from srreg.volume import LabelMap, Volume


@dataclass(frozen=True)
class CorrectIntensity:
    """Find the MR's bias field with N4 inside the brain (Tustison et al. 2010, doi:10.1109/TMI.2010.2046908).

    The field is smooth, so it is found and kept on a coarse grid; the MR is divided by it at the
    end, when it has been resampled once. The CT needs no field: its window is set at the end too.

    Args:
        working_mm: voxel size N4 works at. At 2 mm it takes 7 times as long for the same field.
        iterations: at most so many at each of N4's four levels.
    """

    working_mm: float = 4.0
    iterations: int = 50

    name: ClassVar[str] = "correct_intensity"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[Field, ...]] = ("mr", "brain")
    adds: ClassVar[tuple[Field, ...]] = ("bias",)

    def parameters(self, subject_id: str) -> Mapping[str, object]:
        """The settings, and the library's release."""
        from importlib.metadata import version

        return {**asdict(self), "SimpleITK": version("SimpleITK")}

    def __call__(self, subject: Subject) -> Subject:
        """Adds `bias`: positive, its geometric mean over the brain is 1."""
        assert subject.brain is not None
        margin = round(2 * self.working_mm / min(subject.mr.spacing_mm))
        box = bounding_box(subject.brain.data, margin)
        bias = _bias_field(crop(subject.mr, box), crop(subject.brain, box), self)
        if not np.isfinite(bias.data).all() or bias.data.min() <= 0:
            raise StepFailed(f"{subject.id}: N4 found no usable bias field; is the MR inside the brain mask all one value?")
        return replace(subject, bias=bias)


def _bias_field(mr: Volume, brain: LabelMap, settings: CorrectIntensity) -> Volume:
    import SimpleITK as sitk

    factors = [max(1, round(settings.working_mm / s)) for s in mr.spacing_mm]
    image = sitk.Shrink(to_sitk(mr), factors)
    mask = sitk.Cast(sitk.Shrink(to_sitk(brain), factors), sitk.sitkUInt8)
    n4 = sitk.N4BiasFieldCorrectionImageFilter()
    n4.SetMaximumNumberOfIterations([settings.iterations] * 4)
    # N4 works on logarithms: a floor keeps scanner zeros inside the mask finite.
    n4.Execute(sitk.Maximum(image, float(mr.data[brain.data > 0].mean()) * 1e-3), mask)
    log_field = from_sitk(n4.GetLogBiasFieldAsImage(image))
    inside = sitk.GetArrayViewFromImage(mask).transpose(2, 1, 0) > 0
    return Volume(np.exp(log_field.data - log_field.data[inside].mean()), log_field.affine)
