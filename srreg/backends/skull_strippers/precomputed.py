"""Brain masks that were made before."""

from collections.abc import Sequence
from typing import ClassVar

from srreg.backends.contract import checked_brain
from srreg.backends.precomputed import PrecomputedFolder
from srreg.backends.protocol import About, Resources
from srreg.subject import Subject
from srreg.volume import LabelMap


class Precomputed:
    """Reads `DIR/<ID>/brain.nii.gz`: what is not 0 is brain. Any orientation, but the MR's own voxels."""

    name: ClassVar[str] = "precomputed"
    takes_more: ClassVar[bool] = True
    about: ClassVar[About] = About(
        licence="that of the files",
        source="a folder of yours",
        citation="the tool that made them",
        weights="none",
        memory_gib=0.2,
        core_minutes=0.0,
    )

    def __init__(self, resources: Resources) -> None:
        self._folder = PrecomputedFolder.of(resources.directory, "brain.nii.gz", "--skull-stripper")

    def fingerprint(self, subject_id: str) -> str:
        """Digest of the subject's file."""
        return self._folder.fingerprint(subject_id)

    def check(self) -> Sequence[str]:
        """One line if the folder holds no mask."""
        return self._folder.check()

    def __call__(self, subject: Subject) -> LabelMap:
        """The subject's mask.

        Raises:
            DataError: the file is missing or damaged.
            StepFailed: another grid than the MR's (it is never resampled), or not a brain.
        """
        stored = self._folder.read(subject.id)
        return checked_brain(self.name, LabelMap(stored.data != 0, stored.affine), subject)
