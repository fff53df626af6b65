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
from srreg.measure import Overlap, Region, Regularity
from srreg.volume import LabelMap

WHOLE = ""  # the region that is the whole image, or the mean over structures

_NAMES = {label.index: label.name for label in LABELS}
_REGIONS: Mapping[Region, str] = {"whole": WHOLE, "inside": "Inside the brain", "outside": "Outside the brain"}


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

    @cached_property
    def overlaps(self) -> Mapping[int, Overlap]:
        """How each scored structure agrees."""
        fixed = self.fixed_labels
        return measure.overlap(self.moved_labels.data, fixed.data, SCORED, fixed.spacing_mm)

    @cached_property
    def regularity(self) -> Mapping[Region, Regularity]:
        """What the Jacobian says of the field, of all of it and on either side of the fixed image's outermost label."""
        return measure.regularity(self.displacement.data, self.fixed_labels.data > 0)


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


def _of_structures(measured: Callable[[Overlap], float]) -> Callable[[Case], Mapping[str, float]]:
    """By the structures' names, and the mean of those that occur in either image."""

    def measure_case(case: Case) -> Mapping[str, float]:
        found = {label: measured(overlap) for label, overlap in case.overlaps.items()}
        values = [value for value in found.values() if not np.isnan(value)]
        mean = float(np.mean(values)) if values else float("nan")
        return {_NAMES[label]: value for label, value in found.items()} | {WHOLE: mean}

    return measure_case


def _of_regions(measured: Callable[[Regularity], float]) -> Callable[[Case], Mapping[str, float]]:
    """Of the whole field, and on either side of the brain's border."""
    return lambda case: {_REGIONS[region]: measured(found) for region, found in case.regularity.items()}


def _lost(case: Case) -> Mapping[str, float]:
    return {WHOLE: float(sum(overlap.is_lost for overlap in case.overlaps.values()))}


def _absent(case: Case) -> Mapping[str, float]:
    return {WHOLE: float(sum(overlap.is_absent for overlap in case.overlaps.values()))}


def _seconds(case: Case) -> Mapping[str, float]:
    return {WHOLE: case.cost.seconds}


def _memory(case: Case) -> Mapping[str, float]:
    return {WHOLE: case.cost.peak_gib}


def _load(case: Case) -> Mapping[str, float]:
    return {WHOLE: case.cost.load}


def _parameters(case: Case) -> Mapping[str, float]:
    return {WHOLE: float("nan") if case.parameters is None else case.parameters / 1e6}


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("dice", "%", "higher", _of_structures(lambda found: 100 * found.dice)),
        Metric("hd95", "mm", "lower", _of_structures(lambda found: found.hd95_pooled_mm)),
        Metric("hd95_max", "mm", "lower", _of_structures(lambda found: found.hd95_max_mm)),
        Metric("structures_lost", "", "lower", _lost),  # in one image alone: Dice 0, HD95 the volume's diagonal
        Metric("structures_absent", "", "lower", _absent),  # in neither image: in no mean
        Metric("folding", "%", "lower", _of_regions(lambda found: found.folding_percent)),
        Metric("folding_published", "%", "lower", _of_regions(lambda found: found.folding_percent_published)),
        Metric("nondiffeomorphic_volume", "%", "lower", _of_regions(lambda found: found.nondiffeomorphic_volume_percent)),
        Metric("log_jacobian_std", "", "lower", _of_regions(lambda found: found.log_jacobian_std)),
        Metric("seconds", "s", "lower", _seconds),
        Metric("memory", "GiB", "lower", _memory),
        Metric("load", "", "lower", _load),  # of the machine: of no method, but times mean little without it
        Metric("parameters", "M", "lower", _parameters),
    )
}
