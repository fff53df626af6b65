"""From rows to what a cell shows."""

from collections.abc import Collection, Iterable, Sequence
from typing import Literal

import numpy as np
import pandas as pd

from benchmark.metrics import WHOLE
from benchmark.record import Entry
from benchmark.tables.table import Cell
from srreg.labels import LABELS

How = Literal["mean", "largest"]


class Scores:
    """The rows of some entries and pairs, by method, metric and region.

    Args:
        rows: all there are, as `rows.read` gives them.
        entries: whose rows to take: a row of other weights or of another seed is none of theirs.
        pairs: ids of the pairs to summarize over.
    """

    def __init__(self, rows: pd.DataFrame, entries: Iterable[Entry], pairs: Sequence[str]) -> None:
        self._entries, self.pairs = list(entries), tuple(pairs)
        asked = pd.DataFrame([(e.method, e.seed, e.weights) for e in self._entries], columns=["method", "seed", "weights"])
        shown = rows[rows["pair"].isin(set(pairs))].merge(asked.dropna(), on=["method", "seed", "weights"])
        self._whole = shown[shown["region"] == WHOLE]
        numbers = shown.dropna(subset=["value"]).astype({"method": str, "metric": str, "region": str, "pair": str})
        found = numbers.groupby(["method", "metric", "region", "pair"])["value"].agg(["mean", "count"])
        self._found = {key: part.droplevel([0, 1, 2]) for key, part in found.groupby(level=[0, 1, 2])}

    def runs(self, methods: Collection[str]) -> set[str]:
        """The runs that measured the numbers of these methods."""
        return set(self._whole.loc[self._whole["method"].isin(list(methods)), "run"])

    def trainings(self, method: str) -> int:
        """How many entries a method has."""
        return sum(entry.method == method for entry in self._entries)

    def wanted(self, method: str) -> int:
        """How many registrations there are to be: every pair by every entry."""
        return self.trainings(method) * len(self.pairs)

    def registered(self, method: str) -> int:
        """How many of them have rows."""
        return len(self._whole.loc[self._whole["method"] == method, ["pair", "seed"]].drop_duplicates())

    def numbers(self, method: str, metric: str, region: str = WHOLE) -> int:
        """How many of them have a number of one metric: `nan` is none."""
        return int(self._of(method, metric, region)["count"].sum())

    def values(self, method: str, metric: str, region: str = WHOLE, *, complete: bool = False) -> "pd.Series[float]":
        """Pair -> the mean over its trainings, of the pairs that have a number.

        Args:
            method: whose.
            metric: as in `METRICS`.
            region: a structure's name.
            complete: only the pairs that have one from every training.
        """
        found = self._of(method, metric, region)
        wanted = self.trainings(method) if complete else 1
        ordered = [pair for pair in self.pairs if pair in found.index]
        found = found.loc[ordered]
        return found.loc[found["count"] >= wanted, "mean"]

    def each(self, method: str, metric: str) -> list[float]:
        """The numbers of all registrations."""
        of_both = (self._whole["method"] == method) & (self._whole["metric"] == metric)
        return [float(value) for value in self._whole.loc[of_both, "value"].dropna()]

    def total(self, method: str, metric: str) -> float:
        """The sum over all registrations."""
        found = self._of(method, metric, WHOLE)
        return float((found["mean"] * found["count"]).sum())

    def by_training(self, method: str, metric: str) -> dict[int, float]:
        """Seed -> the mean over its pairs."""
        of_both = (self._whole["method"] == method) & (self._whole["metric"] == metric)
        means = self._whole[of_both].groupby("seed")["value"].mean()
        return {int(seed): float(mean) for seed, mean in means.items() if not np.isnan(mean)}  # type: ignore[call-overload]

    def regions(self, metric: str) -> tuple[str, ...]:
        """The structures that have numbers of a metric, in the order of the label table."""
        found = {str(region) for _, name, region in self._found if name == metric and region != WHOLE}
        known = [label.name for label in LABELS if label.name in found]
        return (*known, *sorted(found.difference(known)))

    def summary(self, method: str, metric: str, how: How, region: str = WHOLE) -> Cell | None:
        """Over pairs, each the mean of its trainings; None where there is no number.

        The spread is the population's standard deviation over pairs, as the authors compute it.
        """
        values = self.values(method, metric, region).to_numpy()
        if not values.size:
            return None
        counted = self.numbers(method, metric, region), self.wanted(method)
        if how == "largest":
            return Cell(float(values.max()), counted=counted)
        return Cell(float(values.mean()), float(values.std()), counted=counted)

    def _of(self, method: str, metric: str, region: str) -> pd.DataFrame:
        nothing = pd.DataFrame({"mean": [], "count": []}, dtype=float)
        return self._found.get((method, metric, region), nothing)
