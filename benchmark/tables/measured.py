"""What a run folder holds, read once and found to belong together."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmark import protocol, record, rows
from benchmark.method import METHODS
from benchmark.record import RunRecord
from benchmark.tables.scores import Scores
from benchmark.tables.statistics import People, interval_of_mean
from srreg.errors import DataError, UsageError


@dataclass(frozen=True, eq=False)
class Measured:
    """Each method as it was last asked for, over the pairs of the latest run.

    Args:
        out: the folder `bench run` wrote to.
        records: its runs, the oldest first.
        asked: method -> the last run that was asked for it.
        rows: all rows of the folder.
        scores: those of the entries last asked for.
    """

    out: Path
    records: tuple[RunRecord, ...]
    asked: dict[str, RunRecord]
    rows: pd.DataFrame
    scores: Scores

    @property
    def latest(self) -> RunRecord:
        """The run whose pairs are shown."""
        return self.records[-1]

    @property
    def methods(self) -> tuple[str, ...]:
        """Those that were asked for, in the order of the tables."""
        return tuple(method for method in METHODS if method in self.asked)

    def with_numbers(self, metric: str) -> tuple[str, ...]:
        """The methods that have at least one number of a metric."""
        return tuple(method for method in self.methods if self.scores.numbers(method, metric))

    @property
    def test_people(self) -> set[str]:
        """Everybody the pairs are of.

        Raises:
            DataError: the id of no pair.
        """
        return {person for both in self.people(self.latest.pairs) for person in both}

    def sources(self, methods: Iterable[str]) -> list[RunRecord]:
        """The runs that measured the numbers of some methods."""
        runs = self.scores.runs(list(methods))
        return [made for made in self.records if made.id in runs]

    def people(self, pairs: Iterable[str]) -> list[People]:
        """Who each pair is of.

        Raises:
            DataError: the id of no pair.
        """
        return [protocol.people_of(self.latest, pair) for pair in pairs]

    def interval(self, values: "pd.Series[float]") -> tuple[float, float] | None:
        """95 % interval of the mean over all ordered pairs; None for the paper's, in which nobody comes twice."""
        if self.latest.protocol != "all" or values.empty:
            return None
        return interval_of_mean(values.to_numpy(), self.people(values.index))


def read(out: Path) -> Measured:
    """Read a run folder.

    Raises:
        UsageError: rows of two data sets, two devices or two versions of the protocol.
        DataError: nothing was run there, or its files are damaged.
    """
    records = record.read(out / "run.json")
    if not records:
        raise DataError(f"{out} holds no results. Make some: bench run --methods all --out {out}")
    found = rows.read(out / "results.csv")
    _check_alike(found, records, out)
    asked = record.last_asked(records)
    entries = [entry for method, last in asked.items() for entry in last.entries if entry.method == method]
    return Measured(out, tuple(records), asked, found, Scores(found, entries, records[-1].pairs))


def _check_alike(found: pd.DataFrame, records: list[RunRecord], out: Path) -> None:
    kinds = {
        "data sets": sorted(found["dataset"].unique()),
        "devices": sorted(found["device"].unique()),
        "versions of the protocol": protocol.versions(records, found["run"].unique()),
    }
    for kind, values in kinds.items():
        if len(values) > 1:
            raise UsageError(
                f"{out}/results.csv has numbers of {len(values)} {kind} ({'; '.join(map(str, values))}), which do not share "
                "a table. Keep each in a folder of its own."
            )
