"""Somebody else's splits, taken as they are."""

from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path

from srreg.build.splits import Splits
from srreg.dataset import SPLITS
from srreg.errors import DataError
from srreg.files import read_text

NOT_DRAWN = -1  # in the place of a seed
_MOST_NAMED = 5
_LARGEST = 10 * 1024**2  # a line for each of 180 people is 3 kB


def read_splits(
    path: Path, people: Mapping[str, str], others: Mapping[str, str] | None = None, allow_missing: bool = False
) -> Splits:
    """Read a table of two columns with a tab between them: a person or a subject, and `train`, `val` or `test`.

    A line of headings and comments (`#`) are passed over, so a data set's own `splits/persons.tsv` is one.

    Args:
        path: the file.
        people: subject -> person, of everybody who needs a split.
        others: subject -> person, of who was left out and may be named all the same.
        allow_missing: take the table though it names some who are not among either.

    Raises:
        DataError: no such table, one name in two lines, a person in two splits, or others than those who need a split.
    """
    rows = _rows(path)
    _check(path, "are in more than one line", [name for name, count in Counter(name for name, _ in rows).items() if count > 1])
    everybody = {**(others or {}), **people}
    persons = {**{person: person for person in everybody.values()}, **everybody}
    if not allow_missing:
        _check(path, "are not among those to be split", {name for name, _ in rows} - set(persons))
    entries = {(persons.get(name, name), split) for name, split in rows}
    _check(path, "are in more than one split", [p for p, count in Counter(p for p, _ in entries).items() if count > 1])
    _check(path, "have no split", set(people.values()) - {person for person, _ in entries})
    members = {name: tuple(sorted(person for person, split in entries if split == name)) for name in SPLITS}
    return Splits(members, seed=NOT_DRAWN)


def _rows(path: Path) -> list[tuple[str, str]]:
    if path.is_file() and path.stat().st_size > _LARGEST:
        raise DataError(f"{path}: too large for a table of splits ({path.stat().st_size} bytes)")
    rows = [line.split("\t") for line in read_text(path).splitlines() if line and not line.startswith("#")]
    if rows and rows[0][1:] == ["split"]:
        rows = rows[1:]
    for row in rows:
        if len(row) != 2 or row[1] not in SPLITS:
            raise DataError(f"{path}: expected a person, a tab and {', '.join(SPLITS)}, got {' '.join(row)!r}")
    return [(name.removeprefix("sub-"), split) for name, split in rows]


def _check(path: Path, what: str, persons: Collection[str]) -> None:
    if persons:
        first = ", ".join(sorted(persons)[:_MOST_NAMED])
        more = f" and {len(persons) - _MOST_NAMED} more" if len(persons) > _MOST_NAMED else ""
        raise DataError(f"{path}: {first}{more} {what}")
