"""What is measured of a registration: name, unit, which way is better, function."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from benchmark.clock import Cost
from srreg import measure
from srreg.displacement import Displacement, warp
from srreg.labels import LABELS, SCORED
from srreg.volume import LabelMap

WHOLE = ""  # the region that is the whole image, or the mean over structures

_NAMES = {label.index: label.name for label in LABELS}


@dataclass(frozen=True, eq=False)
class Case:
    """One registration, with what is needed to judge it.

    Args:
        displacement: on the fixed grid.
        moving_labels: regions of the moving image.
        fixed_labels: regions of the fixed image, on the fixed grid.
        cost: of the registration.
        parameters: of the method; None where it has learned nothing.
    """

    displacement: Displacement
    moving_labels: LabelMap
    fixed_labels: LabelMap
    cost: Cost
    parameters: int | None

    @cached_property
    def moved_labels(self) -> LabelMap:
        """The moving image's regions on the fixed grid, by nearest neighbour."""
        return warp(self.moving_labels, self.displacement)


@dataclass(frozen=True)
class Metric:
    """A number, or one a structure.

    Args:
        name: as in the rows.
        unit: of the value.
        better: which way is up.
        measure: region -> value; `WHOLE` is always there, `nan` where there is no value.
    """

    name: str
    unit: str
    better: Literal["higher", "lower"]
    measure: Callable[[Case], Mapping[str, float]]


def _dice(case: Case) -> Mapping[str, float]:
    found = measure.dice(case.moved_labels.data, case.fixed_labels.data, SCORED)
    return _with_mean({label: 100 * value for label, value in found.items()})


def _hd95(case: Case) -> Mapping[str, float]:
    fixed = case.fixed_labels
    return _with_mean(measure.hd95(case.moved_labels.data, fixed.data, SCORED, fixed.spacing_mm))


def _with_mean(by_label: Mapping[int, float]) -> Mapping[str, float]:
    """By the structures' names, and the mean of those that occur in either image."""
    values = [value for value in by_label.values() if not np.isnan(value)]
    mean = float(np.mean(values)) if values else float("nan")
    return {_NAMES[label]: value for label, value in by_label.items()} | {WHOLE: mean}


def _folding(case: Case) -> Mapping[str, float]:
    return {WHOLE: measure.folding_percent(case.displacement.data)}


def _folding_published(case: Case) -> Mapping[str, float]:
    return {WHOLE: measure.folding_percent_published(case.displacement.data)}


def _seconds(case: Case) -> Mapping[str, float]:
    return {WHOLE: case.cost.seconds}


def _memory(case: Case) -> Mapping[str, float]:
    return {WHOLE: case.cost.peak_gib}


def _parameters(case: Case) -> Mapping[str, float]:
    return {WHOLE: float("nan") if case.parameters is None else case.parameters / 1e6}


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("dice", "%", "higher", _dice),
        Metric("hd95", "mm", "lower", _hd95),
        Metric("folding", "%", "lower", _folding),
        Metric("folding_published", "%", "lower", _folding_published),
        Metric("seconds", "s", "lower", _seconds),
        Metric("memory", "GiB", "lower", _memory),
        Metric("parameters", "M", "lower", _parameters),
    )
}
