"""What a table is, whatever is in it: captions, columns, rows of cells, notes. `render.py` makes text of it."""

from dataclasses import dataclass
from typing import Literal

Part = Literal["value", "mean", "std", "low", "high", "n"]  # of a cell, as CSV has them


@dataclass(frozen=True)
class Cell:
    """A number and what belongs to it.

    Args:
        value: in the column's unit; `nan` where there can be none, and a note of the row says why.
        spread: a standard deviation.
        interval: of confidence, its two ends.
        counted: how many registrations it is made of, and how many there are to be.
    """

    value: float
    spread: float | None = None
    interval: tuple[float, float] | None = None
    counted: tuple[int, int] | None = None

    def part(self, name: Part) -> float | None:
        """One of its numbers; None where it has none of that name."""
        low, high = self.interval or (None, None)
        count = None if self.counted is None else self.counted[0]
        return {"value": self.value, "mean": self.value, "std": self.spread, "low": low, "high": high, "n": count}[name]


@dataclass(frozen=True)
class Column:
    """A column of numbers.

    Args:
        title: its heading.
        name: in CSV.
        parts: what CSV has of each cell.
        digits: behind the point, for people.
        is_signed: whether a plus is written.
        is_probability: whether one that rounds to zero is written as `< 0.001`.
    """

    title: str
    name: str
    parts: tuple[Part, ...] = ("value",)
    digits: int = 2
    is_signed: bool = False
    is_probability: bool = False


@dataclass(frozen=True)
class TableRow:
    """One row, None where there is no number; `notes` are about this row alone."""

    names: tuple[str, ...]
    cells: tuple[Cell | None, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table with its numbers.

    Args:
        caption: what it shows.
        headings: of the columns before the numbers.
        columns: the numbers.
        rows: under them.
        notes: about all of it; `**bold**` and `` `code` `` are the only markup.
    """

    caption: str
    headings: tuple[str, ...]
    columns: tuple[Column, ...]
    rows: tuple[TableRow, ...]
    notes: tuple[str, ...]
