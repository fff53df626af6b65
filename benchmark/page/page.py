"""`index.html` of a run folder: its tables, plots and pictures on one page that opens from disk."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from markupsafe import Markup

from benchmark.page.gallery import Gallery, Progress, gallery
from benchmark.page.html import rendered
from benchmark.page.plots.costs import cost_bubbles
from benchmark.page.plots.pictures import CAPTION
from benchmark.page.plots.ranks import rank_dots
from benchmark.page.plots.structures import structure_boxes
from benchmark.page.plots.trainings import training_curves
from benchmark.tables import kinds, measured
from benchmark.tables.kinds import Wanted
from benchmark.tables.layouts import column_of
from benchmark.tables.measured import Measured
from benchmark.tables.table import Table
from srreg.files import write_text

_TESTED = ("dice", "hd95")


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Args:
        name: in its address.
        title: above it.
        text: what it is.
        table: numbers.
        plot: an `<svg>` element.
        gallery: pictures.
        nothing: what is said where there is neither of them.
    """

    name: str
    title: str
    text: str = ""
    table: Table | None = None
    plot: str | None = None
    gallery: Gallery | None = None
    nothing: str = ""

    @property
    def markup(self) -> Markup:
        """The plot; matplotlib has escaped the texts in it."""
        return Markup(self.plot)


def write_page(out: Path, data: Path, progress: Progress | None = None) -> Path:
    """Write the page of a run folder.

    Args:
        out: the folder `bench run` wrote to.
        data: the data set, for pictures; where it is not there, or is another one, the page says so.
        progress: told of each picture.

    Returns:
        Where the page lies.

    Raises:
        UsageError: rows of two data sets, two devices or two versions of the protocol.
        DataError: nothing was run there, or its files are damaged.
        NoRoom: the disk is full.
    """
    found = measured.read(out)
    sections = _each_note_once([*_numbers(found), *_plots(found), *_pictures(found, data, progress)])
    page = rendered("page.html", {"record": found.latest, "records": found.records, "sections": sections})
    write_text(out / "index.html", page)
    return out / "index.html"


def _numbers(found: Measured) -> Iterator[Section]:
    first, second = (kinds.make(found, name) for name in ("1", "2"))
    yield Section("table-1", first.caption, table=first)
    if second.rows:
        yield Section("table-2", second.caption, table=second)
    for name in ("1", "2"):
        beside = kinds.make(found, name, Wanted(compare="paper"))
        if beside.rows:
            yield Section(f"table-{name}-and-paper", beside.caption, table=beside)
    metrics = kinds.make(found, "metrics")
    yield Section("metrics", metrics.caption, table=metrics)
    for metric in _TESTED:
        if found.with_numbers(metric):
            yield from _statistics(found, metric)


def _statistics(found: Measured, metric: str) -> Iterator[Section]:
    table = kinds.make(found, "statistics", Wanted(metric=metric))
    yield Section(f"statistics-{metric}", table.caption, table=table)
    dots, title = rank_dots(found, metric), f"Ranks by {column_of(metric).title}"
    yield Section(f"ranks-{metric}", title, _RANKS, plot=dots, nothing=_NO_RANKS)


def _plots(found: Measured) -> Iterator[Section]:
    yield Section("costs", "Dice against time and memory", _COSTS, plot=cost_bubbles(found), nothing=_NO_COSTS)
    for metric in _TESTED:
        if found.scores.regions(metric):
            table = kinds.make(found, "structures", Wanted(metric=metric))
            yield Section(f"structures-{metric}", table.caption, _BOXES, table=table, plot=structure_boxes(found, metric))
    yield Section("trainings", "How the trainings went", _CURVES, plot=training_curves(found.out), nothing=_NO_CURVES)


def _pictures(found: Measured, data: Path, progress: Progress | None) -> Iterator[Section]:
    yield Section("pictures", "Median and worst pair of each method", CAPTION, gallery=gallery(found, data, progress))


def _each_note_once(sections: list[Section]) -> list[Section]:
    """A note on a whole table stands under the first table it holds for."""
    told: set[str] = set()
    shortened = []
    for section in sections:
        if section.table is not None:
            notes = section.table.notes
            section = replace(section, table=replace(section.table, notes=tuple(note for note in notes if note not in told)))
            told.update(notes)
        shortened.append(section)
    return shortened


_NO_RANKS = "None: it takes two methods and a pair that both have."
_NO_COSTS = "None: no method has both numbers."
_NO_CURVES = "None: nothing was trained in this folder."
_RANKS = "Over the pairs that every method with numbers has: a dot's area is how often, the line and the number are the mean."
_COSTS = "Means over the pairs; the time's axis is logarithmic."
_BOXES = "A box is median and quartiles over the pairs, whiskers reach 1.5 times their distance, points lie beyond."
_CURVES = (
    "Dice of the validation pairs, labels moved by nearest neighbour (epoch 0 is the untrained network), and the loss, "
    "which is the squared distance from fields while these are known; a method's seeds in one colour."
)
