"""A segmenter of the user's own."""

from collections.abc import Sequence
from typing import ClassVar

from srreg.backends.command import CommandLine
from srreg.backends.contract import checked_labels
from srreg.backends.protocol import About, Resources
from srreg.labels import merge_sides
from srreg.subject import Subject
from srreg.volume import LabelMap


class Command:
    """Runs a line with `{input}` (the whole-head MR) and `{output}` (where the labels go, both `.nii.gz`) in it.

    FreeSurfer's values, the two sides merged. Any orientation, but the MR's own voxels.
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
        remark="values other than SR-Reg's 19 and their right-hand partners are refused",
    )

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._line = CommandLine.of(resources.line, "--segmenter")

    def fingerprint(self, subject_id: str) -> str:
        """The line, and digests of the files it names."""
        return self._line.fingerprint()

    def check(self) -> Sequence[str]:
        """One line if there is no such program."""
        return self._line.check()

    def __call__(self, subject: Subject) -> LabelMap:
        """The labels.

        Raises:
            StepFailed: the tool failed, or what it gave are not a brain's labels on the MR's grid.
        """
        found = self._line.run(self.name, subject, self._resources, "labels.nii.gz")
        return checked_labels(self.name, merge_sides(found), subject)
