"""Find the way from a subject's world to the common frame; nothing is resampled here."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from srreg.build.reference import template
from srreg.build.step import Field
from srreg.errors import StepFailed
from srreg.geometry import apply_affine, bounding_box, ras_lps, resample, to_ants
from srreg.subject import Subject
from srreg.volume import Affine, Grid, LabelMap, Volume

if TYPE_CHECKING:
    import ants

Alignment = Literal["affine", "rigid", "center", "none"]


@dataclass(frozen=True)
class Align:
    """Register the brain of the MR to the template's brain, at 2 mm, and prove the result by brain masks.

    Mutual information alone can end far off with a good value, so what it finds must also lay the
    brain on the template's; where it does not, the two masks are registered instead.

    Args:
        kind: `affine` (12 degrees of freedom), `rigid` (6), `center` (brain centre on brain centre), `none`.
        working_mm: voxel size the transform is found at, or the MR's own where that is coarser.
        least_overlap: shared part of the smaller brain mask under which the result is not believed.
        least_size: volume of the smaller mask as a part of the larger's under which an affine is not believed. The
            subject's mask may reach further down the brain stem than the template's, and hold less fluid.
        seed: of the sampling in ANTs.
    """

    kind: Alignment = "affine"
    working_mm: float = 2.0
    least_overlap: float = 0.85
    least_size: float = 0.7
    seed: int = 1

    name: ClassVar[str] = "align"
    version: ClassVar[int] = 2
    reads: ClassVar[tuple[Field, ...]] = ("mr", "brain")
    adds: ClassVar[tuple[Field, ...]] = ("to_reference",)

    def parameters(self, subject_id: str) -> Mapping[str, object]:
        """The settings, and the library's release."""
        from importlib.metadata import version

        return {**asdict(self), "antspyx": version("antspyx"), "template": template().digest}

    def __call__(self, subject: Subject) -> Subject:
        """Adds `to_reference`: [4, 4], the subject's world to the frame's (RAS+, mm)."""
        assert subject.brain is not None
        found = np.round(self._transform(subject.mr, subject.brain, subject.id), 9)
        return replace(subject, to_reference=Grid((1, 1, 1), found).affine)

    def _transform(self, mr: Volume, brain: LabelMap, subject_id: str) -> Affine:
        if self.kind == "none":
            return np.eye(4)
        if self.kind == "center":
            return _centred(brain)
        fixed = template()
        return self._registered(_masked(mr, brain), brain, fixed, LabelMap(fixed.data > 0, fixed.affine), subject_id)

    def _registered(self, mr: Volume, brain: LabelMap, fixed: Volume, fixed_brain: LabelMap, subject_id: str) -> Affine:
        attempts = ((mr, fixed), (_as_image(brain), _as_image(fixed_brain)))
        working_mm = max(self.working_mm, *mr.spacing_mm)
        for moving_image, fixed_image in attempts:
            found = _ants(moving_image, fixed_image, self, working_mm)
            if _is_believed(brain, fixed_brain, found, self, working_mm):
                return found
        raise StepFailed(
            f"{subject_id}: could not be aligned to the common frame: neither by the MR nor by its brain mask does the "
            "brain come to lie on the template's. Look at the mask, or build with --align center."
        )


def _masked(mr: Volume, brain: LabelMap) -> Volume:
    return Volume(np.where(brain.data > 0, mr.data, 0), mr.affine)


def _as_image(mask: LabelMap) -> Volume:
    return Volume(mask.data, mask.affine)


def _centred(brain: LabelMap) -> Affine:
    frame = template()
    shift = np.eye(4)
    shift[:3, 3] = _centre_of(frame.data > 0, frame.affine) - _centre_of(brain.data > 0, brain.affine)
    return shift


def _centre_of(mask: np.ndarray, affine: Affine) -> np.ndarray:
    return apply_affine(affine, np.argwhere(mask).mean(axis=0))


def _coarse(image: Volume, working_mm: float) -> Volume:
    """The part of an image that is not zero, at the working voxel size."""
    box = bounding_box(image.data, margin=4)
    start = np.array([side.start for side in box], dtype=np.float64)
    stop = np.array([side.stop for side in box], dtype=np.float64)
    step = working_mm / np.array(image.spacing_mm)
    scale = np.diag([*step, 1.0])
    affine = image.affine @ scale
    affine[:3, 3] = apply_affine(image.affine, start + (step - 1) / 2)
    d, h, w = (int(n) for n in np.ceil((stop - start) / step))
    return resample(image, Grid((d, h, w), affine))


def _ants(moving: Volume, fixed: Volume, settings: Align, working_mm: float) -> Affine:
    """World of the moving image to world of the fixed one (RAS+, mm)."""
    import ants

    # The seed alone is not enough: only this makes ANTs sample the same points and sum them in the same order.
    ants.config.set_ants_deterministic(True, seed_value=settings.seed)
    found = ants.registration(
        fixed=to_ants(_coarse(fixed, working_mm)),
        moving=to_ants(_coarse(moving, working_mm)),
        type_of_transform="Affine" if settings.kind == "affine" else "Rigid",
    )
    return world_to_world(ants.read_transform(found["fwdtransforms"][0]))


def world_to_world(transform: "ants.ANTsTransform") -> Affine:
    """What ANTs found, an affine about a centre that leads from fixed to moving (LPS), as moving to fixed (RAS+, mm)."""
    centre = np.array(transform.fixed_parameters)
    fixed_to_moving = np.eye(4)
    fixed_to_moving[:3, :3] = np.array(transform.parameters[:9]).reshape(3, 3)
    fixed_to_moving[:3, 3] = transform.parameters[9:] + centre - fixed_to_moving[:3, :3] @ centre
    return ras_lps(np.linalg.inv(fixed_to_moving).astype(np.float64))


def _is_believed(brain: LabelMap, fixed_brain: LabelMap, found: Affine, settings: Align, working_mm: float) -> bool:
    """Whether the masks lie on one another on a coarse grid of the frame and, where size may change, are of one size."""
    grid = _coarse(_as_image(fixed_brain), working_mm).grid
    moved, there = resample(brain, grid, found).data > 0, resample(fixed_brain, grid).data > 0
    sizes = _voxels(brain, found, grid), float(there.sum())
    if settings.kind == "affine" and min(sizes) < settings.least_size * max(sizes):
        return False
    return int((moved & there).sum()) >= settings.least_overlap * min(sizes)


def _voxels(brain: LabelMap, to_reference: Affine, grid: Grid) -> float:
    """Volume of the mask in the frame, in voxels of a grid it may reach out of."""
    scale = np.linalg.det(to_reference[:3, :3] @ brain.affine[:3, :3]) / np.linalg.det(grid.affine[:3, :3])
    return float(abs(scale) * np.count_nonzero(brain.data))
