"""How long a build will take, said before it starts."""

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from srreg.build.plan import Plan
from srreg.build.publish import sidecar_of
from srreg.build.reasons import is_same_step, redone
from srreg.build.settings import BuildSettings
from srreg.build.worker import record_file
from srreg.errors import DataError
from srreg.files import read_json

# Of a head at 1 mm, one core.
_OWN_STEPS_MINUTES = {"correct_intensity": 0.3, "align": 0.3, "conform": 0.2}
_FEWEST = 3  # subjects for whom a step was done, to go by them


@dataclass(frozen=True)
class Hours:
    """An estimate.

    Args:
        total: by all processes of this machine; on a cluster, of one process.
        is_measured: from subjects that were built before; else from what the tools are known to take.
        is_cluster: others share the work, nobody knows how many.
    """

    total: float
    is_measured: bool
    is_cluster: bool

    def __str__(self) -> str:
        total = f"{60 * self.total:.0f} min" if self.total < 1.5 else f"{self.total:.1f} h"
        basis = "steps took as long before" if self.is_measured else "reckoned from what the tools take at 1 mm"
        return f"about {total}{' of one process, shared by the cluster' if self.is_cluster else ''} ({basis})"


def hours_of(todo: Plan, settings: BuildSettings) -> Hours:
    """What the steps that are to be done will take; some of those of a new subject may be in the cache."""
    known, measured = _known_minutes(settings), _measured_minutes(settings)
    steps = [step for job in todo.jobs for step in redone(job)]
    minutes = sum(measured.get(step, known[step]) for step in steps)
    at_once = 1 if settings.scheduler else max(min(settings.n_procs, len(todo.jobs)), 1)
    return Hours(minutes / at_once / 60, bool(steps) and {*steps} <= measured.keys(), settings.scheduler is not None)


def _known_minutes(settings: BuildSettings) -> Mapping[str, float]:
    tools = {"strip_skull": settings.skull_stripper, "segment_brain": settings.segmenter}
    return {**_OWN_STEPS_MINUTES, **{step: tool.about.core_minutes / settings.threads for step, tool in tools.items()}}


def _measured_minutes(settings: BuildSettings) -> Mapping[str, float]:
    """Step -> the median of those for whom it was done as it would be now; steps done too seldom are left out."""
    found: dict[str, list[float]] = {}
    for path in record_file(settings.out, "x").parent.glob("*.json"):
        try:
            seconds = {str(s["step"]): float(s["seconds"]) for s in read_json(path)["steps"] if not s["cached"]}  # type: ignore[attr-defined]
            sidecar = sidecar_of(settings.out, path.stem)
        except (DataError, KeyError, TypeError, ValueError):
            continue
        for step in settings.recipe:
            if math.isfinite(seconds.get(step.name, math.nan)) and is_same_step(step, path.stem, sidecar):
                found.setdefault(step.name, []).append(seconds[step.name] / 60)
    return {step: statistics.median(minutes) for step, minutes in found.items() if len(minutes) >= _FEWEST}
