"""Take ratings into a data set: who is rejected leaves splits and pairs, who is accepted again comes back."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from srreg.build import splits as drawn
from srreg.build.finish import write_manifest, write_participants, write_splits
from srreg.build.hold import held
from srreg.build.publish import sidecar_of
from srreg.dataset import SPLITS, Dataset
from srreg.errors import DataError
from srreg.qc.rating_file import read_rating_file
from srreg.ratings import Rating, decided, judged, key_of, read_ratings, write_ratings


@dataclass(frozen=True)
class Taken:
    """What ratings changed.

    Args:
        new: ratings the data set did not have.
        left: subjects that left splits and pairs.
        returned: subjects that came back.
        empty: splits in which nobody is left, though somebody was.
    """

    new: int
    left: tuple[str, ...]
    returned: tuple[str, ...]
    empty: tuple[str, ...]


def import_ratings(root: Path, path: Path) -> Taken:
    """Check a file of ratings against a data set, keep them, and let the newest of each subject count.

    Raises:
        DataError: no data set, or the file or any rating in it cannot be taken: nothing changes then.
        FolderBusy: another process holds the data set.
    """
    Dataset.open(root)  # before a lock is laid into what is no data set
    with held(root):
        dataset = Dataset.open(root)
        return _take(dataset, read_rating_file(path, {i: key_of(root, i) for i in dataset.published}))


def _take(dataset: Dataset, ratings: Sequence[Rating]) -> Taken:
    """Every file appears whole; one that was stopped is finished by taking the same ratings again."""
    root, known = dataset.root, read_ratings(dataset.root)
    splits = drawn.read(root / "splits")
    if splits is None:
        raise DataError(f"{root / 'splits' / 'persons.tsv'} is missing; run srreg build again")
    for subject_id in dataset.published:
        sidecar_of(root, subject_id)  # the manifest needs each: what is missing is found before anything is written
    participants = judged(dataset.participants, decided(root, [*known, *ratings]))
    before, after = dataset.subjects, tuple(p.id for p in participants if p.status == "built")
    split_before = {name: dataset.split(name) for name in SPLITS}
    write_ratings(root, [*known, *ratings])
    write_participants(root, participants)
    write_splits(root, splits, participants)
    write_manifest(root, participants, frozenset())
    empty = tuple(name for name in SPLITS if split_before[name] and not dataset.split(name))
    return Taken(
        new=len(set(ratings) - set(known)),
        left=tuple(i for i in before if i not in after),
        returned=tuple(i for i in after if i not in before),
        empty=empty,
    )
