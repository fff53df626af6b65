"""How long a build will take, said before it starts."""

import statistics
from dataclasses import dataclass

from srreg.build.plan import Plan
from srreg.build.settings import BuildSettings
from srreg.build.worker import record_file
from srreg.errors import DataError
from srreg.files import read_json

_OWN_STEPS_MINUTES = 0.8  # N4, affine and resampling of a head at 1 mm, one core
_FEWEST = 3  # subjects that were built before, to go by them


@dataclass(frozen=True)
class Hours:
    """An estimate.

    Args:
        total: of all subjects that are to be built, on this machine.
        minutes_a_subject: by one process.
        is_measured: from the subjects that were built before; else from what the tools are known to take on a CPU.
    """

    total: float
    minutes_a_subject: float
    is_measured: bool

    def __str__(self) -> str:
        total = f"{60 * self.total:.0f} min" if self.total < 1.5 else f"{self.total:.1f} h"
        basis = "as long as those built before" if self.is_measured else "what the tools are known to take on one core at 1 mm"
        return f"about {total}: {self.minutes_a_subject:.1f} min a subject, {basis}"


def hours_of(todo: Plan, settings: BuildSettings) -> Hours:
    """What the subjects of a plan will take."""
    measured = _measured_minutes(settings)
    minutes = _known_minutes(settings) if measured is None else measured
    return Hours(minutes * len(todo.jobs) / settings.n_procs / 60, minutes, measured is not None)


def _known_minutes(settings: BuildSettings) -> float:
    tools = (settings.skull_stripper, settings.segmenter)
    return _OWN_STEPS_MINUTES + sum(tool.about.core_minutes for tool in tools) / settings.threads


def _measured_minutes(settings: BuildSettings) -> float | None:
    """The median of those for whom every step was done; None where there are too few."""
    found = []
    for path in record_file(settings.out, "x").parent.glob("*.json"):
        try:
            steps = read_json(path)["steps"]
            if not any(step["cached"] for step in steps):  # type: ignore[attr-defined]
                found.append(sum(step["seconds"] for step in steps) / 60)  # type: ignore[attr-defined]
        except (DataError, KeyError, TypeError):
            continue
    return statistics.median(found) if len(found) >= _FEWEST else None
