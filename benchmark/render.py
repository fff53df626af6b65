"""Tables as text: Markdown for people, CSV for programs."""

import csv
import io
from collections.abc import Sequence

from benchmark.metrics import METRICS
from benchmark.scores import Summary
from benchmark.tables import Column, Table, TableRow

_ARROWS = {"higher": "↑", "lower": "↓"}
_NONE = "—"


def markdown(table: Table) -> str:
    """A table with its caption above and its notes below; two decimals, as in the paper."""
    layout = table.layout
    headings = [*layout.headings, *(_heading(column) for column in layout.columns)]
    alignment = ["---"] * len(layout.headings) + ["---:"] * len(layout.columns)
    marks = _marks(table.rows)
    body = [_markdown_row(row, marks) for row in table.rows]
    lines = [_line(cells) for cells in (headings, alignment, *body)]
    notes = [f"- ({mark}) {note}" for note, mark in marks.items()] + [f"- {note}" for note in table.notes]
    return "\n".join([f"**{layout.caption}**", "", *lines, "", *notes]) + "\n"


def csv_text(table: Table) -> str:
    """One line a method, numbers in full; an empty cell where there is none. The notes are in the Markdown."""
    columns = table.layout.columns
    header = [heading.lower().replace(" ", "_") for heading in table.layout.headings]
    for column in columns:
        header += [f"{column.metric}_mean", f"{column.metric}_std"] if column.how == "mean" else [column.metric]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for row in table.rows:
        numbers = [n for cell, column in zip(row.cells, columns, strict=True) for n in _numbers(cell, column)]
        writer.writerow([*row.names, *numbers])
    return text.getvalue()


def _heading(column: Column) -> str:
    return f"{column.title} {_ARROWS[METRICS[column.metric].better]}"


def _marks(rows: Sequence[TableRow]) -> dict[str, str]:
    """Note -> a, b, c ... in the order in which they are met."""
    notes = dict.fromkeys(note for row in rows for note in row.notes)
    return {note: chr(ord("a") + number) for number, note in enumerate(notes)}


def _markdown_row(row: TableRow, marks: dict[str, str]) -> list[str]:
    raised = "".join(f" ({marks[note]})" for note in row.notes)
    return [row.names[0] + raised, *row.names[1:], *(_cell(cell) for cell in row.cells)]


def _line(cells: Sequence[str]) -> str:
    escaped = (cell.replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"


def _cell(summary: Summary | None) -> str:
    if summary is None:
        return _NONE
    spread = "" if summary.spread is None else f" ± {summary.spread:.2f}"
    return f"{summary.value:.2f}{spread}"


def _numbers(summary: Summary | None, column: Column) -> list[str]:
    if summary is None:
        return [""] * (2 if column.how == "mean" else 1)
    return [f"{n:.9g}" for n in (summary.value, summary.spread) if n is not None]
