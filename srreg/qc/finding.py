"""What a check is: a number, the limits it is held against, and the verdict."""

import inspect
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from srreg.qc.case import Case

Verdict = Literal["pass", "warn", "fail", "n/a"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
_BADNESS: tuple[Verdict, ...] = ("n/a", "pass", "warn", "fail")

INFINITY = math.inf


@dataclass(frozen=True)
class Limits:
    """A number inside `good` passes, inside `tolerated` warns, outside both fails. Ends belong to a range."""

    good: tuple[float, float]
    tolerated: tuple[float, float]

    def judge(self, value: float) -> Verdict:
        """The verdict on a number; `n/a` for nan, which stands for what cannot be measured."""
        if math.isnan(value):
            return "n/a"
        for (low, high), verdict in ((self.good, "pass"), (self.tolerated, "warn")):
            if low <= value <= high:
                return verdict  # type: ignore[return-value]
        return "fail"

    def __str__(self) -> str:
        if self.good == self.tolerated:
            return f"pass {_range_text(self.good)}"
        return f"pass {_range_text(self.good)}, warn {_range_text(self.tolerated)}"


def _range_text(ends: tuple[float, float]) -> str:
    low, high = ends
    if high == INFINITY:
        return f"at least {low:g}"
    if low == -INFINITY:
        return f"at most {high:g}"
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


@dataclass(frozen=True)
class Finding:
    """What one check says about one subject; `value` is nan where it cannot be measured."""

    check: str
    value: float
    verdict: Verdict
    note: str = ""


@dataclass(frozen=True)
class Check:
    """A named measurement with its limits.

    Args:
        name: as in `qc.tsv`.
        title: as over a column.
        unit: of the number; empty for a plain one.
        digits: behind the point, where the number is shown.
        meaning: what it measures and why the limits are where they are.
    """

    name: str
    title: str
    unit: str
    digits: int
    limits: Limits
    meaning: str
    measure: Callable[[Case], tuple[float, str]]

    def __call__(self, case: Case) -> Finding:
        """Measure and judge one subject."""
        value, note = self.measure(case)
        return Finding(self.name, value, self.limits.judge(value), note)


def check(
    title: str,
    unit: str = "",
    digits: int = 1,
    *,
    good: tuple[float, float],
    tolerated: tuple[float, float] | None = None,
) -> Callable[[Callable[[Case], tuple[float, str]]], Check]:
    """Make a check of a function that gives a number and a note; its docstring is what the report says about it."""

    def wrap(measure: Callable[[Case], tuple[float, str]]) -> Check:
        meaning = " ".join((inspect.getdoc(measure) or "").split())
        limits = Limits(good, good if tolerated is None else tolerated)
        return Check(measure.__name__.replace("_", "-"), title, unit, digits, limits, meaning, measure)

    return wrap


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of some verdicts; `n/a` where there are none."""
    return max(verdicts, key=_BADNESS.index, default="n/a")


def percent(is_so: NDArray[np.bool_]) -> float:
    """Share of True; nan for an empty array."""
    return 100 * float(is_so.mean()) if is_so.size else float("nan")
