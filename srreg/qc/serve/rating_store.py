"""Ratings that arrive while a report is served: checked, and kept in one file that `srreg qc import` takes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from srreg.dataset import Dataset
from srreg.qc.rating_file import ratings_in
from srreg.ratings import Rating, key_of, read_table, write_table


@dataclass(frozen=True, eq=False)
class RatingStore:
    """The file `qc/ratings.tsv` of a data set: for each subject and rater the newest rating of the images that are there now.

    It is read again before each change, so what another server or a person wrote meanwhile stays.
    """

    dataset: Dataset
    _lock: Lock = field(default_factory=Lock)

    @property
    def path(self) -> Path:
        """Where it lies; it need not be there."""
        return self.dataset.root / "qc" / "ratings.tsv"

    def read(self) -> list[Rating]:
        """The ratings it holds, without those of images that are not there any more.

        Raises:
            DataError: the file is no table of ratings.
        """
        return [rating for rating in read_table(self.path) if rating.images == key_of(self.dataset.root, rating.subject)]

    def outdated(self) -> list[str]:
        """Subjects with ratings of images that are not there any more: the next rating leaves these out of the file."""
        return sorted({rating.subject for rating in set(read_table(self.path)) - set(self.read())})

    def check(self, text: str) -> tuple[Rating, ...]:
        """The ratings in a text, in the form that the report saves.

        Raises:
            DataError: not such a text, or any rating in it cannot be taken.
        """
        images = {subject: key_of(self.dataset.root, subject) for subject in self.dataset.published}
        return ratings_in(text, Path("ratings"), images)

    def add(self, ratings: Sequence[Rating]) -> None:
        """Write the file anew with these in it, whole or not at all.

        Raises:
            DataError: the file that is there is no table of ratings; it is left as it is.
            NoRoom: the disk is full.
        """
        with self._lock:
            write_table(self.path, _newest([*self.read(), *ratings]))


def _newest(ratings: Iterable[Rating]) -> list[Rating]:
    """One of each subject and rater; of two at one time the one that came later, for a second may hold several keys."""
    newest: dict[tuple[str, str], Rating] = {}
    for rating in ratings:
        key = rating.subject, rating.rater
        if key not in newest or rating.date >= newest[key].date:
            newest[key] = rating
    return list(newest.values())
