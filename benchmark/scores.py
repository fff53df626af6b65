"""From rows to what a cell shows."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from benchmark.metrics import WHOLE
from benchmark.record import Entry
from benchmark.results import Row

How = Literal["mean", "largest"]


@dataclass(frozen=True)
class Summary:
    """One number for all pairs.

    Args:
        value: in the metric's unit.
        spread: the population's standard deviation over pairs, as the authors compute it; None beside a largest value.
    """

    value: float
    spread: float | None


class Scores:
    """The rows of some entries and pairs, by method and metric.

    Args:
        rows: all there are.
        entries: whose rows to take: a row of other weights or of another seed is none of theirs.
        pairs: ids of the pairs to summarize over.
    """

    def __init__(self, rows: Iterable[Row], entries: Iterable[Entry], pairs: Sequence[str]) -> None:
        self._entries, self._pairs = set(entries), set(pairs)
        whole = [row for row in rows if row.region == WHOLE and row.pair in self._pairs]
        self._rows = [row for row in whole if Entry(row.method, row.seed, row.weights) in self._entries]

    def runs(self, methods: Collection[str]) -> set[str]:
        """The runs that measured the numbers of these methods."""
        return {row.run for row in self._rows if row.method in methods}

    def trainings(self, method: str) -> int:
        """How many entries a method has."""
        return sum(entry.method == method for entry in self._entries)

    def wanted(self, method: str) -> int:
        """How many registrations there are to be: every pair by every entry."""
        return self.trainings(method) * len(self._pairs)

    def registered(self, method: str) -> int:
        """How many of them have rows."""
        return len({(row.pair, row.seed) for row in self._rows if row.method == method})

    def numbers(self, method: str, metric: str) -> int:
        """How many of them have a number of one metric: `nan` is none."""
        return sum((row.method, row.metric) == (method, metric) and not np.isnan(row.value) for row in self._rows)

    def summary(self, method: str, metric: str, how: How) -> Summary | None:
        """Over pairs, each the mean of its seeds; None where there is no number."""
        by_pair: dict[str, list[float]] = {}
        for row in self._rows:
            if (row.method, row.metric) == (method, metric) and not np.isnan(row.value):
                by_pair.setdefault(row.pair, []).append(row.value)
        if not by_pair:
            return None
        values = [float(np.mean(seeds)) for seeds in by_pair.values()]
        if how == "largest":
            return Summary(max(values), None)
        return Summary(float(np.mean(values)), float(np.std(values)))
