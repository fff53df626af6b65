"""The table of statistics: each method's rank, and how it differs from one that all others are compared with."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from benchmark.method import METHODS
from benchmark.metrics import METRICS
from benchmark.tables.footnotes import general_notes, interval_note, row_notes
from benchmark.tables.layouts import column_of, title_of
from benchmark.tables.measured import Measured
from benchmark.tables.statistics import holm, rank_biserial, ranks, signed_rank_test, without_shared_people
from benchmark.tables.table import Cell, Column, Part, Table, TableRow
from srreg.errors import DataError, UsageError


@dataclass(frozen=True)
class _Comparison:
    """A method held against the reference, over the pairs that both have from every training.

    Args:
        pairs: how many.
        difference: mean of the method's value less the reference's, with its interval.
        median: of the differences.
        effect: rank-biserial correlation, positive where the method is the better one.
        tested: how many of the pairs share nobody; these are tested.
        p: nan where there is none.
        reason: why there is none.
    """

    pairs: int
    difference: Cell
    median: float
    effect: float
    tested: int
    p: float
    reason: str


def statistics_table(measured: Measured, metric: str = "dice", against: str | None = None) -> Table:
    """Ranks, differences, effect sizes and tests of one metric.

    Args:
        measured: what a run folder holds.
        metric: as in `METRICS`.
        against: the method all others are compared with; None: the last of the table that has numbers.

    Raises:
        UsageError: a method to compare with that has no numbers.
        DataError: no method has numbers.
    """
    values = values_of(measured, metric)
    reference = _reference(values, metric, against)
    others = [method for method in measured.methods if method in values and method != reference]
    compared = {method: _compare(measured, values[method] - values[reference], metric) for method in others}
    corrected = holm({method: comparison.p for method, comparison in compared.items()})
    ranked = ranks(values, METRICS[metric].better)
    rows = []
    for method in measured.methods:
        rank = Cell(float(ranked[method].mean()) if len(values.columns) > 1 else math.nan) if method in values else None
        cells = _cells(compared.get(method), corrected.get(method, math.nan))
        rows.append(TableRow((title_of(method),), (rank, *cells), _row_notes(measured, method, reference, compared)))
    return Table(
        caption=f"Statistics of {column_of(metric).title}: each method less {title_of(reference)}",
        headings=("Method",),
        columns=_columns(measured),
        rows=tuple(rows),
        notes=tuple(_notes(measured, metric, len(ranked), compared)),
    )


def values_of(measured: Measured, metric: str) -> pd.DataFrame:
    """[pairs, methods] of the methods that have numbers; each the mean over the trainings, `nan` where one is missing.

    Raises:
        DataError: no method has numbers.
    """
    found = {method: measured.scores.values(method, metric, complete=True) for method in measured.methods}
    values = pd.DataFrame({method: column for method, column in found.items() if not column.empty})
    if values.empty:
        raise DataError(f"{measured.out} has no numbers of {metric}. Make some: bench run --methods all --out {measured.out}")
    return values.loc[[pair for pair in measured.scores.pairs if pair in values.index]]


def _reference(values: pd.DataFrame, metric: str, against: str | None) -> str:
    if against is None:
        return str(values.columns[-1])
    if METHODS.resolve(against) not in values:
        raise UsageError(f"{against} has no numbers of {metric} to compare with. These have: {', '.join(map(str, values))}.")
    return METHODS.resolve(against)


def _compare(measured: Measured, differences: "pd.Series[float]", metric: str) -> _Comparison:
    common = differences.dropna()
    independent = without_shared_people(zip(common.index, measured.people(common.index), strict=True))
    p, reason = signed_rank_test(common[independent].to_numpy())
    sign = 1 if METRICS[metric].better == "higher" else -1
    return _Comparison(
        pairs=len(common),
        difference=Cell(float(common.mean()), interval=measured.interval(common)),
        median=float(common.median()),
        effect=sign * rank_biserial(common.to_numpy()),
        tested=len(independent),
        p=p,
        reason=reason,
    )


def _columns(measured: Measured) -> tuple[Column, ...]:
    mean: tuple[Part, ...] = ("mean", "low", "high") if measured.latest.protocol == "all" else ("mean",)
    return (
        Column("Rank ↓", "rank"),
        Column("Pairs", "pairs", digits=0),
        Column("Mean difference", "difference", mean, is_signed=True),
        Column("Median difference", "difference_median", is_signed=True),
        Column("Rank-biserial", "rank_biserial", is_signed=True),
        Column("Tested", "tested", digits=0),
        Column("p", "p", digits=3, is_probability=True),
        Column("p (Holm)", "p_holm", digits=3, is_probability=True),
    )


def _cells(comparison: _Comparison | None, corrected: float) -> tuple[Cell | None, ...]:
    """All but the rank; None for the reference and for a method without numbers."""
    if comparison is None:
        return (None,) * 7
    numbers = (comparison.median, comparison.effect, comparison.tested, comparison.p, corrected)
    return (Cell(comparison.pairs), comparison.difference, *map(Cell, numbers))


def _row_notes(measured: Measured, method: str, reference: str, compared: Mapping[str, _Comparison]) -> tuple[str, ...]:
    notes = row_notes(method, measured.scores, measured.asked[method], {})
    if method in compared and compared[method].reason:
        notes.append(f"p n/a: {compared[method].reason}")
    if method == reference:
        notes.append("the others are compared with it" if compared else "n/a: only one method has numbers")
    return tuple(notes)


def _notes(measured: Measured, metric: str, ranked: int, compared: Mapping[str, _Comparison]) -> Iterator[str]:
    yield from general_notes(measured.latest, [metric], measured.sources(measured.methods), "Statistics")
    yield f"Rank: mean over the {ranked} pairs that every method with numbers has, 1 the best."
    yield (
        "Differences: over the pairs that both methods have, each the mean of its trainings. Rank-biserial correlation: from "
        "-1 to 1, positive where the method is the better one."
    )
    if measured.latest.protocol == "all":
        yield interval_note(len(measured.test_people))
    yield (
        "p: exact two-sided Wilcoxon signed-rank test; pairs that share a person are not independent, so down the list each "
        "pair is tested of whose two people none came before. Holm: corrected for all tests of the table."
    )
    tests = [comparison for comparison in compared.values() if not comparison.reason]
    if tests:
        least = len(tests) * 2.0 ** (1 - max(comparison.tested for comparison in tests))
        tests_made = f"{len(tests)} {'test' if len(tests) == 1 else 'tests'}"
        yield f"With so many pairs and {tests_made} no p (Holm) can be below {least:.2g}."
