"""`srreg status`: how far a data set is, by what lies in its folder."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from srreg.build.claims import live
from srreg.build.publish import is_published
from srreg.build.worker import claims_folder
from srreg.dataset import Dataset, Participant


@dataclass(frozen=True)
class Status:
    """Everybody in a data set, those whose files are not what they were, and those that a shard is at now."""

    participants: tuple[Participant, ...]
    damaged: tuple[str, ...]
    building: tuple[str, ...]

    def state(self, participant: Participant) -> str:
        """As `participants.tsv` says, unless the files or a running shard say more."""
        if participant.id in self.building and participant.status == "pending":
            return "building"
        return "damaged" if participant.id in self.damaged else participant.status

    @property
    def counts(self) -> dict[str, int]:
        """State -> how many, the most frequent first."""
        return dict(Counter(map(self.state, self.participants)).most_common())


def examine(root: Path, deep: bool = False) -> Status:
    """Look at a data set.

    Args:
        root: its folder.
        deep: hash every file again; else sizes and sidecars are compared.

    Raises:
        DataError: it is none.
    """
    participants = Dataset.open(root).participants
    damaged = tuple(p.id for p in participants if p.is_published and not is_published(root, p.id, deep=deep))
    return Status(participants, damaged, tuple(live(claims_folder(root))))
