"""Tables as text: Markdown for people, CSV for programs. LaTeX: `render_latex.py`; HTML: `page/`."""

import csv
import io
import math
from collections.abc import Sequence
from string import ascii_lowercase

from benchmark.tables.table import Cell, Column, Table, TableRow

_NONE = "—"
_NOT_APPLICABLE = "n/a"


def markdown(table: Table) -> str:
    """A table with its caption above and its notes below; two decimals, as in the paper."""
    headings = [*table.headings, *(column.title for column in table.columns)]
    alignment = ["---"] * len(table.headings) + ["---:"] * len(table.columns)
    marks = marks_of(table.rows)
    body = [[_with_marks(row, marks), *row.names[1:], *cell_texts(row, table.columns)] for row in table.rows]
    lines = [_line(cells) for cells in (headings, alignment, *body)]
    notes = [f"- ({mark}) {note}" for note, mark in marks.items()] + [f"- {note}" for note in table.notes]
    return "\n".join([f"**{table.caption}**", "", *lines, "", *notes]) + "\n"


def csv_text(table: Table) -> str:
    """One line a row, numbers in full; an empty cell where there is none. The notes are in the other formats."""
    header = [heading.lower().replace(" ", "_") for heading in table.headings]
    for column in table.columns:
        header += [column.name if part == "value" else f"{column.name}_{part}" for part in column.parts]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for row in table.rows:
        numbers = [n for cell, column in zip(row.cells, table.columns, strict=True) for n in _numbers(cell, column)]
        writer.writerow([*row.names, *numbers])
    return text.getvalue()


def cell_texts(row: TableRow, columns: Sequence[Column]) -> list[str]:
    """The numbers of a row, for people."""
    return [_text(cell, column) for cell, column in zip(row.cells, columns, strict=True)]


def marks_of(rows: Sequence[TableRow]) -> dict[str, str]:
    """Note -> a, b, c ... aa, bb ... in the order in which they are met."""
    notes = dict.fromkeys(note for row in rows for note in row.notes)
    letters = len(ascii_lowercase)
    return {note: ascii_lowercase[number % letters] * (number // letters + 1) for number, note in enumerate(notes)}


def _with_marks(row: TableRow, marks: dict[str, str]) -> str:
    return row.names[0] + "".join(f" ({marks[note]})" for note in row.notes)


def _line(cells: Sequence[str]) -> str:
    escaped = (cell.replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"


def _text(cell: Cell | None, column: Column) -> str:
    if cell is None:
        return _NONE
    if math.isnan(cell.value):
        return _NOT_APPLICABLE
    parts = [_number(cell.value, column)]
    if cell.spread is not None:
        parts.append(f"± {cell.spread:.{column.digits}f}")
    if cell.interval is not None:
        parts.append(f"[{', '.join(_number(end, column) for end in cell.interval)}]")
    if cell.counted is not None and cell.counted[0] < cell.counted[1]:
        parts.append(f"({cell.counted[0]}/{cell.counted[1]})")
    return " ".join(parts)


def _number(value: float, column: Column) -> str:
    least = 10**-column.digits
    if column.is_probability and value < least:
        return f"< {least:.{column.digits}f}"
    return f"{value:{'+' if column.is_signed else ''}z.{column.digits}f}"


def _numbers(cell: Cell | None, column: Column) -> list[str]:
    values = [None if cell is None else cell.part(part) for part in column.parts]
    return ["" if value is None or math.isnan(value) else f"{value:.9g}" for value in values]
