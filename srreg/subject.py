"""A person's images, and what is registered to what."""

import re
from dataclasses import dataclass
from typing import Literal

from srreg.errors import DataError
from srreg.volume import Affine, LabelMap, Volume

Modality = Literal["mr", "ct"]

# Letters and digits first, so that an id is never an option, a path or markup; SynthRAD's are like 1BA001.
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def checked_id(text: str) -> str:
    """The id itself, if it is one.

    Raises:
        DataError: anything but 1 to 64 letters, digits, `_`, `.`, `-` that begins with a letter or digit.
    """
    if _ID.fullmatch(text) is None:
        raise DataError(
            f"{text!r} cannot be a subject id: expected 1 to 64 letters, digits, '_', '.' or '-', "
            "the first of them a letter or a digit. Rename the folder."
        )
    return text


@dataclass(frozen=True, eq=False)
class Subject:
    """One person: MR and CT on one grid, and what the steps have added so far.

    Args:
        id: as the source names it, for instance 1BA001.
        mr: T1-weighted MR, scanner units at first.
        ct: CT in Hounsfield units at first.
        brain: 1 in the brain, 0 elsewhere; same grid.
        labels: the regions, one map for both images; same grid.
        bias: what the MR is divided by to even it out; smooth, so on a coarser grid of the same world.
        to_reference: [4, 4], world of the subject to world of the common frame (RAS+, mm).
    """

    id: str
    mr: Volume
    ct: Volume
    brain: LabelMap | None = None
    labels: LabelMap | None = None
    bias: Volume | None = None
    to_reference: Affine | None = None


@dataclass(frozen=True)
class ImageRef:
    """One image of one subject."""

    subject: str
    modality: Modality

    def __str__(self) -> str:
        return f"{self.subject}:{self.modality}"


@dataclass(frozen=True)
class Pair:
    """What is registered to what; the test pairs are written down in `pairs/*.csv`, never drawn at run time."""

    moving: ImageRef
    fixed: ImageRef

    @property
    def id(self) -> str:
        """A name for rows and files: `1BA001-mr_1BB014-ct`."""
        return f"{self.moving.subject}-{self.moving.modality}_{self.fixed.subject}-{self.fixed.modality}"
