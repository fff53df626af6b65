"""Label maps that were made before."""

from collections.abc import Sequence
from typing import ClassVar

from srreg.backends.contract import checked_labels
from srreg.backends.precomputed import PrecomputedFolder
from srreg.backends.protocol import About, Resources
from srreg.labels import merge_sides
from srreg.subject import Subject
from srreg.volume import LabelMap


class Precomputed:
    """Reads `DIR/<ID>/labels.nii.gz`: FreeSurfer's values, the two sides merged. Any orientation, but the MR's own voxels."""

    name: ClassVar[str] = "precomputed"
    takes_more: ClassVar[bool] = True
    about: ClassVar[About] = About(
        licence="that of the files",
        source="a folder of yours",
        citation="the tool that made them",
        weights="none",
        memory_gib=0.2,
        core_minutes=0.0,
        remark="values other than SR-Reg's 19 and their right-hand partners are refused",
    )

    def __init__(self, resources: Resources) -> None:
        self._folder = PrecomputedFolder.of(resources.directory, "labels.nii.gz", "--segmenter")

    def fingerprint(self, subject_id: str) -> str:
        """Digest of the subject's file."""
        return self._folder.fingerprint(subject_id)

    def check(self) -> Sequence[str]:
        """One line if the folder holds no label map."""
        return self._folder.check()

    def __call__(self, subject: Subject) -> LabelMap:
        """The subject's labels.

        Raises:
            DataError: the file is missing or damaged.
            StepFailed: another grid than the MR's (it is never resampled), or values that are not in the table.
        """
        return checked_labels(self.name, merge_sides(self._folder.read(subject.id)), subject)
