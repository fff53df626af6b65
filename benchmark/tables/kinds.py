"""The tables there are, by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmark.metrics import METRICS
from benchmark.tables import layouts, measured
from benchmark.tables.measured import Measured
from benchmark.tables.metric_table import metric_table
from benchmark.tables.statistics_table import statistics_table
from benchmark.tables.table import Table
from srreg.errors import DataError, UsageError


@dataclass(frozen=True)
class Wanted:
    """What is wanted of a table beside its name.

    Args:
        compare: the paper's numbers beside ours.
        metric: as in `METRICS`; None: Dice.
        against: the method that statistics compare all others with.
    """

    compare: Literal["paper"] | None = None
    metric: str | None = None
    against: str | None = None


def _structures(found: Measured, wanted: Wanted) -> Table:
    metric = wanted.metric or "dice"
    regions = found.scores.regions(metric)
    if not regions:
        having = [name for name in METRICS if found.scores.regions(name)]
        if not having:
            raise DataError(f"{found.out} has no numbers. Make some: bench run --methods all --out {found.out}")
        raise UsageError(f"{found.out} has no numbers of {metric} by structure. There are: {', '.join(having)}.")
    return metric_table(found, layouts.structures(metric, regions))


@dataclass(frozen=True)
class _Kind:
    """How a table is made, and which fields of `Wanted` it takes."""

    make: Callable[[Measured, Wanted], Table]
    takes: tuple[str, ...] = ()


TABLES: Mapping[str, _Kind] = {
    "1": _Kind(lambda found, wanted: metric_table(found, layouts.TABLE_1, compare=wanted.compare is not None), ("compare",)),
    "2": _Kind(lambda found, wanted: metric_table(found, layouts.TABLE_2, compare=wanted.compare is not None), ("compare",)),
    "metrics": _Kind(lambda found, wanted: metric_table(found, layouts.every_metric())),
    "structures": _Kind(_structures, ("metric",)),
    "statistics": _Kind(
        lambda found, wanted: statistics_table(found, wanted.metric or "dice", wanted.against), ("metric", "against")
    ),
}


def build(out: Path, name: str = "1", wanted: Wanted | None = None) -> Table:
    """A table from the rows on disk: each method as it was last asked for, over the pairs of the latest run.

    Args:
        out: the folder `bench run` wrote to.
        name: a key of `TABLES`.
        wanted: None: nothing beyond.

    Raises:
        UsageError: no such table, one that does not take what is wanted, or rows of two data sets, devices or versions of
            the protocol.
        DataError: nothing was run there, or its files are damaged.
    """
    _check(name, wanted or Wanted())
    return make(measured.read(out), name, wanted)


def make(found: Measured, name: str, wanted: Wanted | None = None) -> Table:
    """As `build`, from a folder that was read before."""
    wanted = wanted or Wanted()
    _check(name, wanted)
    return TABLES[name].make(found, wanted)


def _check(name: str, wanted: Wanted) -> None:
    if name not in TABLES:
        raise UsageError(f"no table is called {name!r}. There are: {', '.join(TABLES)}.")
    for field, value in vars(wanted).items():
        if value is not None and field not in TABLES[name].takes:
            takers = [table for table, kind in TABLES.items() if field in kind.takes]
            raise UsageError(f"table {name} takes no --{field}. These do: {', '.join(takers)}.")
    if wanted.metric is not None and wanted.metric not in METRICS:
        raise UsageError(f"no metric is called {wanted.metric!r}. There are: {', '.join(METRICS)}.")
