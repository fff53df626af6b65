"""What numbers must share to stand in one table, and which people a pair is of."""

import re
from collections.abc import Iterable, Mapping

from benchmark.record import RunRecord
from srreg.dataset import Dataset
from srreg.errors import DataError

# Raise it when the same field would give other numbers: a metric's definition, the structures that count, the pairs.
VERSION = 1

_PAIR = re.compile(r"(.+)-(?:mr|ct)_(.+)-(?:mr|ct)")  # as `Pair.id` writes it


def described(dataset: Dataset) -> dict[str, object]:
    """What a run notes in its settings: the protocol's version, and the person behind each test subject."""
    tested = set(dataset.split("test"))
    people = {participant.id: participant.person for participant in dataset.participants if participant.id in tested}
    return {"protocol_version": VERSION, "people": people}


def versions(records: Iterable[RunRecord], runs: Iterable[str]) -> list[int]:
    """The protocol's versions that some runs were made by; a run that notes none was made by the first.

    Raises:
        DataError: a version that is no whole number.
    """
    wanted = set(runs)
    return sorted({_version(record) for record in records if record.id in wanted})


def people_of(record: RunRecord, pair: str) -> tuple[str, str]:
    """The persons of a pair's moving and fixed image; a subject of whom nothing is noted is a person.

    Raises:
        DataError: the id of no pair, or a damaged note.
    """
    match, people = _PAIR.fullmatch(pair), record.settings.get("people", {})
    if match is None or not isinstance(people, Mapping):
        raise DataError(f"run {record.id}: expected the id of a pair, and people by subject, got {pair!r} and {people!r}")
    moving, fixed = (str(people.get(subject, subject)) for subject in match.groups())
    return moving, fixed


def _version(record: RunRecord) -> int:
    noted = record.settings.get("protocol_version", 1)
    if not isinstance(noted, int):
        raise DataError(f"run {record.id}: expected a whole number as protocol_version, got {noted!r}. Move run.json away.")
    return noted
