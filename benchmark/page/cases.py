"""Which registrations are looked at: of each method its median and its worst pair, among those whose field is kept."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark import fields
from benchmark.fields import Origin
from benchmark.record import Entry
from benchmark.tables.measured import Measured
from benchmark.tables.scores import Scores


@dataclass(frozen=True)
class Case:
    """A registration to look at.

    Args:
        method: whose.
        seed: of its training.
        pair: id.
        place: what it is among the pairs whose field is kept, for people.
        dice: of this registration, in percent.
        field: its file.
    """

    method: str
    seed: int
    pair: str
    place: str
    dice: float
    field: Path


def cases_of(measured: Measured, method: str) -> list[Case]:
    """The median and the worst pair by Dice of a method's first training; one where both are one, none without kept fields."""
    entries = [entry for entry in measured.asked[method].entries if entry.method == method and entry.weights is not None]
    if not entries:
        return []
    return list(_cases(measured, entries[0]))


def _cases(measured: Measured, entry: Entry) -> Iterator[Case]:
    dice = Scores(measured.rows, [entry], measured.scores.pairs).values(entry.method, "dice")
    origin = Origin(measured.latest.dataset.digest, str(entry.weights), measured.latest.device)
    files = {pair: fields.field_file(measured.out, entry.method, entry.seed, pair) for pair in dice.index}
    ranked = [pair for pair in dice.sort_values().index if fields.is_kept(files[pair], origin)]
    for pair, place in _places(ranked).items():
        yield Case(entry.method, entry.seed, pair, place, float(dice[pair]), files[pair])


def _places(ranked: Sequence[str]) -> dict[str, str]:
    """Pair -> what it is among all, the worst first."""
    if len(ranked) < 2:
        return dict.fromkeys(ranked, "the only one")
    return {ranked[len(ranked) // 2]: f"median of {len(ranked)}", ranked[0]: f"worst of {len(ranked)}"}
