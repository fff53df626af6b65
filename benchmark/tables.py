"""Which rows and columns a table has, and the numbers in its cells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark import record, results
from benchmark.footnotes import general_notes, row_notes
from benchmark.method import METHODS
from benchmark.record import RunRecord
from benchmark.results import Row
from benchmark.scores import How, Scores, Summary
from srreg.errors import DataError, UsageError


@dataclass(frozen=True)
class Column:
    """A metric's column.

    Args:
        title: its heading.
        metric: as in `METRICS`.
        how: mean and standard deviation over pairs, or the largest value of any pair.
    """

    title: str
    metric: str
    how: How = "mean"


@dataclass(frozen=True)
class Layout:
    """A table before it has numbers.

    Args:
        caption: what it shows.
        headings: of the columns before the numbers.
        names: method -> its cells under these headings.
        has_others: whether methods that `names` does not list have a row here too.
        columns: the numbers.
    """

    caption: str
    headings: tuple[str, ...]
    names: Mapping[str, tuple[str, ...]]
    has_others: bool
    columns: tuple[Column, ...]

    def name_of(self, method: str) -> tuple[str, ...]:
        """The cells before the numbers."""
        return self.names.get(method, (method, *[""] * (len(self.headings) - 1)))


_DICE = Column("Dice (%)", "dice")
_COSTS = (
    Column("Time (s)", "seconds"),
    Column("Memory (GiB)", "memory", "largest"),
    Column("Param. (M)", "parameters", "largest"),
)
TABLES: Mapping[str, Layout] = {  # numbered as in the paper, columns in its order
    "1": Layout(
        caption="Table 1: registration of MR to CT",
        headings=("Method",),
        names={
            "initial": ("Affine initialization",),
            "syn": ("ANTs SyN",),
            "voxelmorph": ("VoxelMorph",),
            "voxelmorph-features": ("VoxelMorph, with feature extractor",),
            "transmorph": ("TransMorph",),
            "transmorph-features": ("TransMorph, with feature extractor",),
            "mambamorph-original": ("MambaMorph, original",),
            "mambamorph-plain": ("MambaMorph, without feature extractor",),
            "mambamorph": ("MambaMorph, complete",),
        },
        has_others=True,
        columns=(_DICE, Column("HD95 (mm)", "hd95"), Column("% |J| ≤ 0", "folding"), *_COSTS),
    ),
    "2": Layout(
        caption="Table 2: with and without the feature extractor",
        headings=("Method", "Feature extractor"),
        names={
            "voxelmorph": ("VoxelMorph", "w/o"),
            "voxelmorph-features": ("VoxelMorph", "w/"),
            "transmorph": ("TransMorph", "w/o"),
            "transmorph-features": ("TransMorph", "w/"),
            "mambamorph-plain": ("MambaMorph", "w/o"),
            "mambamorph": ("MambaMorph", "w/"),
        },
        has_others=False,
        columns=(_DICE, *_COSTS),
    ),
}


@dataclass(frozen=True)
class TableRow:
    """A method's cells, None where there is no number; `notes` are about this row alone."""

    names: tuple[str, ...]
    cells: tuple[Summary | None, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table with its numbers; `notes` are about all of it."""

    layout: Layout
    rows: tuple[TableRow, ...]
    notes: tuple[str, ...]


def build(out: Path, name: str = "1") -> Table:
    """A table from the rows on disk: each method as it was last asked for, over the pairs of the latest run.

    Args:
        out: the folder `bench run` wrote to.
        name: a key of `TABLES`.

    Raises:
        UsageError: no such table, or rows of two data sets or two devices.
        DataError: nothing was run there.
    """
    if name not in TABLES:
        raise UsageError(f"no table is called {name!r}. There are: {', '.join(TABLES)}.")
    records = record.read(out / "run.json")
    if not records:
        raise DataError(f"{out} holds no results. Make some: bench run --methods all --out {out}")
    rows = results.read(out / "results.csv")
    _check_alike(rows, out)
    asked, layout = record.last_asked(records), TABLES[name]
    entries = [entry for method, last in asked.items() for entry in last.entries if entry.method == method]
    scores = Scores(rows, entries, records[-1].pairs)
    methods = [method for method in METHODS if method in asked and (layout.has_others or method in layout.names)]
    sources = [made for made in records if made.id in scores.runs(methods)]
    published = {layout.name_of(method)[0]: scores.summary(method, "folding_published", "mean") for method in methods}
    return Table(
        layout=layout,
        rows=tuple(_row(layout, method, scores, asked[method]) for method in methods),
        notes=tuple(general_notes(records[-1], [column.metric for column in layout.columns], published, sources)),
    )


def _check_alike(rows: Sequence[Row], out: Path) -> None:
    datasets, devices = sorted({row.dataset for row in rows}), sorted({row.device for row in rows})
    for kind, found in (("data sets", datasets), ("devices", devices)):
        if len(found) > 1:
            raise UsageError(
                f"{out}/results.csv has numbers of {len(found)} {kind} ({'; '.join(found)}), which do not share a table. "
                "Keep each in a folder of its own."
            )


def _row(layout: Layout, method: str, scores: Scores, asked: RunRecord) -> TableRow:
    cells = tuple(scores.summary(method, column.metric, column.how) for column in layout.columns)
    titles = {column.metric: column.title for column in layout.columns}
    return TableRow(layout.name_of(method), cells, tuple(row_notes(method, scores, asked, titles)))
