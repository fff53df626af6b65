"""How far a subject's number lies from the others', and every number as a dot on its check's line, a row a centre."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from srreg.qc.finding import Check, Verdict

OUTLIER_Z = 3.5  # Iglewicz & Hoaglin 1993, How to Detect and Handle Outliers
_FEWEST = 5
_MAD_TO_SD = 1.4826  # of a normal distribution


def robust_z(values: Mapping[str, float]) -> dict[str, float]:
    """Distance of each number from the median, in median absolute deviations scaled to standard deviations.

    Args:
        values: by subject; nan is passed over.

    Returns:
        By subject; empty for fewer than five numbers, or where more than half of them are equal.
    """
    known = {subject: value for subject, value in values.items() if math.isfinite(value)}
    if len(known) < _FEWEST:
        return {}
    middle = float(np.median([*known.values()]))
    spread = _MAD_TO_SD * float(np.median([abs(value - middle) for value in known.values()]))
    return {} if spread == 0 else {subject: (value - middle) / spread for subject, value in known.items()}


@dataclass(frozen=True)
class Point:
    """One subject's number: what is drawn of it. `across` and `down` run from 0 to 1 in the row of its centre."""

    subject: str
    page: str
    text: str
    verdict: Verdict
    across: float
    down: float
    is_outlier: bool


@dataclass(frozen=True)
class StripPlot:
    """A check's numbers by centre.

    Args:
        low, high: ends of the line.
        good: where its limits pass, 0 to 1 along the line.
        rows: centre -> its points, the outliers last so that they lie on top.
    """

    check: Check
    low: float
    high: float
    good: tuple[float, float]
    rows: Mapping[str, Sequence[Point]]


@dataclass(frozen=True)
class Number:
    """A subject's number with what is needed to place it."""

    subject: str
    page: str
    centre: str
    value: float
    verdict: Verdict


def strip_plot(check: Check, numbers: Sequence[Number]) -> StripPlot | None:
    """The plot of a check; None where nobody has a number."""
    shown = [n for n in numbers if math.isfinite(n.value)]
    if not shown:
        return None
    low, high = min(n.value for n in shown), max(n.value for n in shown)
    width = (high - low) or 1.0
    z = robust_z({n.subject: n.value for n in shown})
    rows: dict[str, list[Point]] = {centre: [] for centre in sorted({n.centre for n in shown})}
    for place, n in enumerate(shown):
        is_outlier = abs(z.get(n.subject, 0)) > OUTLIER_Z or n.verdict == "fail"
        text = f"{n.subject}: {n.value:.{check.digits}f} {check.unit}".strip()
        down = 0.2 + 0.6 * (place * 0.618 % 1)  # the golden ratio spreads neighbours without chance
        rows[n.centre].append(Point(n.subject, n.page, text, n.verdict, (n.value - low) / width, down, is_outlier))
    for points in rows.values():
        points.sort(key=lambda point: point.is_outlier)
    good = tuple(min(max((end - low) / width, 0.0), 1.0) for end in check.limits.good)
    return StripPlot(check, low, high, good, rows)  # type: ignore[arg-type]
