"""Somebody else's splits, taken as they are."""

from collections import Counter
from collections.abc import Collection
from pathlib import Path

from srreg.build.splits import Splits
from srreg.dataset import SPLITS
from srreg.errors import DataError
from srreg.files import read_text

NOT_DRAWN = -1  # in the place of a seed
_MOST_NAMED = 5


def read_splits(path: Path, persons: Collection[str]) -> Splits:
    """Read a table of two columns with a tab between them: a person, and `train`, `val` or `test`.

    A line of headings and comments (`#`) are passed over, so a data set's own `splits/persons.tsv` is one.

    Args:
        path: the file.
        persons: everybody who needs a split.

    Raises:
        DataError: no such table, a person in two lines, or others than those who need a split.
    """
    rows = [line.split("\t") for line in read_text(path).splitlines() if line and not line.startswith("#")]
    if rows and rows[0][1:] == ["split"]:
        rows = rows[1:]
    for row in rows:
        if len(row) != 2 or row[1] not in SPLITS:
            raise DataError(f"{path}: expected a person, a tab and {', '.join(SPLITS)}, got {' '.join(row)!r}")
    named = [person.removeprefix("sub-") for person, _ in rows]
    _check(path, "are in more than one line", [person for person, count in Counter(named).items() if count > 1])
    _check(path, "are not among those to be split", set(named) - set(persons))
    _check(path, "have no split", set(persons) - set(named))
    of = dict(zip(named, (split for _, split in rows), strict=True))
    members = {name: tuple(sorted(person for person in named if of[person] == name)) for name in SPLITS}
    return Splits(members, seed=NOT_DRAWN)


def _check(path: Path, what: str, persons: Collection[str]) -> None:
    if persons:
        first = ", ".join(sorted(persons)[:_MOST_NAMED])
        more = f" and {len(persons) - _MOST_NAMED} more" if len(persons) > _MOST_NAMED else ""
        raise DataError(f"{path}: {first}{more} {what}")
