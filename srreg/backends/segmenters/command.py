"""A segmenter of the user's own."""

from typing import ClassVar

from srreg.backends.command import OwnTool, about_own_tool
from srreg.backends.contract import checked_labels
from srreg.backends.protocol import About
from srreg.labels import merge_sides
from srreg.subject import Subject
from srreg.volume import LabelMap


class Command(OwnTool):
    """Runs a line with `{input}` (the whole-head MR) and `{output}` (where the labels go, both `.nii.gz`) in it.

    FreeSurfer's values, the two sides merged. Any orientation, but the MR's own voxels.
    """

    option: ClassVar[str] = "--segmenter"
    about: ClassVar[About] = about_own_tool("values other than SR-Reg's 19 and their right-hand partners are refused")

    def __call__(self, subject: Subject) -> LabelMap:
        """The labels.

        Raises:
            StepFailed: the tool failed, or what it gave are not a brain's labels on the MR's grid.
        """
        found = self._line.run(self.name, subject, self._resources, "labels.nii.gz")
        return checked_labels(self.name, merge_sides(found), subject)
