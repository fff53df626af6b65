"""A skull stripper of the user's own."""

from collections.abc import Sequence
from typing import ClassVar

from srreg.backends.command import CommandLine
from srreg.backends.contract import checked_brain
from srreg.backends.protocol import About, Resources
from srreg.subject import Subject
from srreg.volume import LabelMap


class Command:
    """Runs a line with `{input}` (the whole-head MR) and `{output}` (where the mask goes, both `.nii.gz`) in it.

    What is not 0 is brain. Any orientation, but the MR's own voxels.
    """

    name: ClassVar[str] = "command"
    takes_more: ClassVar[bool] = True
    about: ClassVar[About] = About(
        licence="that of the tool",
        source="a program of yours",
        citation="the tool",
        weights="the tool's; files that the line names count in the cache by their digest, folders by their name",
        memory_gib=2.0,  # nobody knows; the other steps take as much
        core_minutes=1.0,
        remark="the line may have {device} and {threads}, too; no shell reads it",
    )

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._line = CommandLine.of(resources.line, "--skull-stripper")

    def fingerprint(self, subject_id: str) -> str:
        """The line, and digests of the files it names."""
        return self._line.fingerprint()

    def check(self) -> Sequence[str]:
        """One line if there is no such program."""
        return self._line.check()

    def __call__(self, subject: Subject) -> LabelMap:
        """The mask.

        Raises:
            StepFailed: the tool failed, or what it gave is no brain on the MR's grid.
        """
        found = self._line.run(self.name, subject, self._resources, "brain.nii.gz")
        return checked_brain(self.name, LabelMap(found.data != 0, found.affine), subject)
