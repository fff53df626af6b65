"""What `bench plan` prints."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from benchmark.clock import device_name
from benchmark.planning.forecast import Forecast, Task
from benchmark.training.profiles import profile_named

_HEADINGS = ("Method", "Parameters", "To train", "Training", "GiB", "Registering", "GiB", "Remark")
_NONE = "—"


def as_json(task: Task, found: Sequence[Forecast]) -> str:
    """Seconds and GiB, in full."""
    whole = {"shape": task.shape, "pairs": task.pairs, "profile": task.settings.profile, "device": task.settings.device}
    return json.dumps(whole | {"methods": [asdict(one) for one in found]}, indent=2) + "\n"


def as_text(task: Task, found: Sequence[Forecast]) -> str:
    """A Markdown table, and what it holds for."""
    rows = [_HEADINGS, *(_cells(one) for one in found)]
    widths = [max(len(row[k]) for row in rows) for k in range(len(_HEADINGS))]
    first, *others = (
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    )
    rule = "| " + " | ".join("-" * width for width in widths) + " |"
    return "\n".join([first, rule, *others, "", *_notes(task, found)]) + "\n"


def _cells(one: Forecast) -> tuple[str, ...]:
    return (
        one.method,
        _NONE if one.parameters is None else f"{one.parameters:,}",
        _NONE if one.trainings is None else str(one.trainings),
        _duration(one.training_seconds),
        _gib(one.training_gib),
        _duration(one.registration_seconds),
        _gib(one.registration_gib),
        one.remark,
    )


def _notes(task: Task, found: Sequence[Forecast]) -> list[str]:
    settings, profile = task.settings, profile_named(task.settings.profile)
    epochs, seeds = settings.epochs or profile.epochs, ", ".join(map(str, settings.seeds))
    total = sum((one.training_seconds or 0) + (one.registration_seconds or 0) for one in found)
    return [
        f"For {task.about}, at {' x '.join(map(str, task.shape))}, on {device_name(settings.device)}.",
        f"Profile {profile.name}: {epochs} epochs of {profile.steps_per_epoch} steps; seeds {seeds}.",
        f"In all about {_duration(total)}. Measured on a small piece of the work: take it for the order of magnitude.",
    ]


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return _NONE
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 72 * 3600 else f"{seconds / 86400:.0f} days"


def _gib(value: float | None) -> str:
    return _NONE if value is None else f"{value:.1f}"
