"""Pictures of each method's median and worst pair, from the fields that are kept and the data set they are of."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmark import fields
from benchmark.page.cases import Case, cases_of
from benchmark.page.plots.pictures import picture
from benchmark.page.plots.slices import Registered
from benchmark.record import short_digest
from benchmark.tables.measured import Measured
from srreg.dataset import Dataset
from srreg.errors import DataError, SrregError
from srreg.subject import Pair

log = logging.getLogger(__name__)

_NONE_KEPT = "no field is kept. `bench run` keeps those of the paper's pairs, and with `--keep-fields` all."

Progress = Callable[[int, int, str], None]  # how many are drawn, of how many, whose was the last


@dataclass(frozen=True)
class Gallery:
    """Pictures, data URIs, by their case; and why there are no others."""

    pictures: dict[Case, str]
    missing: tuple[str, ...]


def gallery(measured: Measured, data: Path, progress: Progress | None = None) -> Gallery:
    """Draw what can be drawn; what cannot be is said and stops nothing.

    Args:
        measured: what a run folder holds.
        data: the data set the fields are of.
        progress: called after each picture.
    """
    try:
        dataset = Dataset.open(data)
        pairs = _pairs(measured, dataset)
    except SrregError as error:
        return Gallery({}, (str(error),))
    by_method = {method: cases_of(measured, method) for method in measured.with_numbers("dice")}
    missing = [f"{method}: {_NONE_KEPT}" for method, found in by_method.items() if not found]
    cases = [case for found in by_method.values() for case in found]
    pictures: dict[Case, str] = {}
    for number, case in enumerate(cases, start=1):
        try:
            pictures[case] = picture(_registered(dataset, pairs[case.pair], case))
        except SrregError as error:  # a damaged file costs its own picture only
            log.warning("%s %s: not drawn: %s", case.method, case.pair, error)
            missing.append(f"{case.method} {case.pair}: {error}")
        if progress is not None:
            progress(number, len(cases), case.method)
    return Gallery(pictures, tuple(missing))


def _pairs(measured: Measured, dataset: Dataset) -> dict[str, Pair]:
    """By id.

    Raises:
        DataError: another data set than the numbers are of, or one that is damaged.
    """
    digest, wanted = short_digest(dataset), measured.latest.dataset.digest
    if digest != wanted:
        raise DataError(f"{dataset.root} has the digest {digest}, the numbers are of {wanted}: no pictures of another data set")
    return {pair.id: pair for pair in dataset.pairs("test", measured.latest.protocol)}


def _registered(dataset: Dataset, pair: Pair, case: Case) -> Registered:
    return Registered(
        moving=dataset.image(pair.moving),
        moving_labels=dataset.labels(pair.moving.subject),
        fixed=dataset.image(pair.fixed),
        fixed_labels=dataset.labels(pair.fixed.subject),
        displacement=fields.load(case.field).displacement,
    )
