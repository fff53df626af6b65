"""Tables of metrics: a row a method, a column a metric, and beside it, where asked for, what the paper prints."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from benchmark.metrics import METRICS, WHOLE
from benchmark.tables.footnotes import (
    folding_note,
    general_notes,
    interval_note,
    paper_note,
    row_notes,
    structures_note,
    times_note,
)
from benchmark.tables.layouts import Layout, Shown, column_of
from benchmark.tables.measured import Measured
from benchmark.tables.paper import PRINTED
from benchmark.tables.table import Cell, Column, Part, Table, TableRow

_ARROWS = {"higher": "↑", "lower": "↓"}
_COMPARABLE = ("dice", "hd95", "folding_published", "parameters")  # the rest depends on the device

_Filled = tuple[Column, Callable[[str], Cell | None]]  # a column, and from a method its cell


def metric_table(measured: Measured, layout: Layout, *, compare: bool = False) -> Table:
    """A layout with its numbers.

    Args:
        measured: what a run folder holds.
        layout: which rows and columns.
        compare: with the paper's numbers and the differences to them.
    """
    if compare:
        layout = replace(layout, columns=tuple(map(_as_the_paper_measures, layout.columns)))
    methods = [method for method in measured.methods if layout.has_others or method in layout.names]
    filled = [column for shown in layout.columns for column in _columns(measured, shown, compare)]
    return Table(
        caption=f"{layout.caption}, beside the paper's" if compare else layout.caption,
        headings=layout.headings,
        columns=tuple(column for column, _ in filled),
        rows=tuple(_row(measured, layout, method, [fill for _, fill in filled]) for method in methods),
        notes=tuple(_notes(measured, layout, methods, compare)),
    )


def _heading(shown: Shown) -> str:
    """A column's title, and which way is better."""
    return f"{shown.title} {_ARROWS[METRICS[shown.metric].better]}"


def _as_the_paper_measures(column: Shown) -> Shown:
    return column_of("folding_published") if column.metric == "folding" else column


def _columns(measured: Measured, shown: Shown, compare: bool) -> Iterator[_Filled]:
    yield _ours(measured, shown)
    if compare:
        yield _printed(shown)
        if shown.metric in _COMPARABLE:
            yield _difference(measured, shown)


def _ours(measured: Measured, shown: Shown) -> _Filled:
    with_interval = shown.has_interval and measured.latest.protocol == "all"
    mean: tuple[Part, ...] = ("mean", "std", "low", "high", "n") if with_interval else ("mean", "std", "n")
    name = shown.metric if shown.region == WHOLE else f"{shown.metric}_{shown.region.lower().replace(' ', '_')}"

    def fill(method: str) -> Cell | None:
        cell = measured.scores.summary(method, shown.metric, shown.how, shown.region)
        if cell is None or not with_interval:
            return cell
        return replace(cell, interval=measured.interval(measured.scores.values(method, shown.metric, shown.region)))

    return Column(_heading(shown), name, ("value",) if shown.how == "largest" else mean), fill


def _printed(shown: Shown) -> _Filled:
    has_spread = any(row[shown.metric].spread is not None for row in PRINTED.values() if shown.metric in row)

    def fill(method: str) -> Cell | None:
        printed = PRINTED.get(method, {}).get(shown.metric)
        return None if printed is None else Cell(printed.mean, printed.spread)

    return Column("paper", f"{shown.metric}_paper", ("mean", "std") if has_spread else ("value",)), fill


def _difference(measured: Measured, shown: Shown) -> _Filled:
    def fill(method: str) -> Cell | None:
        ours, printed = measured.scores.summary(method, shown.metric, shown.how), PRINTED.get(method, {}).get(shown.metric)
        return None if ours is None or printed is None else Cell(ours.value - printed.mean)

    return Column("difference", f"{shown.metric}_difference", is_signed=True), fill


def _row(measured: Measured, layout: Layout, method: str, fills: list[Callable[[str], Cell | None]]) -> TableRow:
    titles = {shown.metric: shown.title for shown in layout.columns if shown.region == WHOLE}
    notes = row_notes(method, measured.scores, measured.asked[method], titles)
    return TableRow(layout.name_of(method), tuple(fill(method) for fill in fills), tuple(notes))


def _notes(measured: Measured, layout: Layout, methods: list[str], compare: bool) -> Iterator[str]:
    metrics = [shown.metric for shown in layout.columns]
    yield from general_notes(measured.latest, metrics, measured.sources(methods))
    if measured.latest.protocol == "all" and any(shown.has_interval for shown in layout.columns):
        yield interval_note(len(measured.test_people))
    if "seconds" in metrics and (note := _times_note(measured, layout, methods)):
        yield note
    if "dice" in metrics and (note := _structures_note(measured, layout, methods)):
        yield note
    if {"folding", "folding_published"}.intersection(metrics):
        scores = measured.scores
        shown = {layout.name_of(method)[0]: scores.summary(method, "folding_published", "mean") for method in methods}
        yield folding_note({} if "folding_published" in metrics else shown)
    if compare:
        yield paper_note(measured.latest)


def _times_note(measured: Measured, layout: Layout, methods: list[str]) -> str | None:
    found = {" ".join(layout.name_of(method)): measured.scores.values(method, "seconds").tolist() for method in methods}
    loads = [load for method in methods for load in measured.scores.each(method, "load")]
    timed = {name: values for name, values in found.items() if values}
    return times_note(timed, loads) if timed else None


def _structures_note(measured: Measured, layout: Layout, methods: list[str]) -> str | None:
    lost, absent = (
        {method: measured.scores.total(method, metric) for method in methods}
        for metric in ("structures_lost", "structures_absent")
    )
    return structures_note({" ".join(layout.name_of(method)): (lost[method], absent[method]) for method in methods})
