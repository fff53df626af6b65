"""A skull stripper of the user's own."""

from typing import ClassVar

from srreg.backends.command import OwnTool, about_own_tool
from srreg.backends.contract import checked_brain
from srreg.backends.protocol import About
from srreg.subject import Subject
from srreg.volume import LabelMap


class Command(OwnTool):
    """Runs a line with `{input}` (the whole-head MR) and `{output}` (where the mask goes, both `.nii.gz`) in it.

    What is not 0 is brain. Any orientation, but the MR's own voxels.
    """

    option: ClassVar[str] = "--skull-stripper"
    about: ClassVar[About] = about_own_tool("the line may have {device} and {threads}, too; no shell reads it")

    def __call__(self, subject: Subject) -> LabelMap:
        """The mask.

        Raises:
            StepFailed: the tool failed, or what it gave is no brain on the MR's grid.
        """
        found = self._line.run(self.name, subject, self._resources, "brain.nii.gz")
        return checked_brain(self.name, LabelMap(found.data != 0, found.affine), subject)
