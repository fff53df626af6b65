"""`training.json`: what a training was made from and what came of it."""

import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from benchmark.clock import device_name
from models import checkpoint
from models.training import TrainingResult
from srreg.errors import DataError, UsageError
from srreg.files import read_json

MadeFrom = Mapping[str, Mapping[str, object]]  # config, settings and data set, each flat

RECORD = "training.json"


def is_finished(weights: Path, made_from: MadeFrom) -> bool:
    """Whether this very training was done before.

    Raises:
        UsageError: the folder holds another training.
        DataError: its record or its weights are damaged.
    """
    path = weights.parent / RECORD
    if not path.is_file():
        return False
    record = read_json(path)
    try:
        for part, expected in made_from.items():
            checkpoint.compare(path, record.get(part), expected)
    except ValueError as error:
        raise UsageError(
            f"{error}. Another training lies there: choose another --out or --seed, or remove {path.parent}"
        ) from error
    if record.get("status") != "finished":
        return False
    try:
        _, found = checkpoint.read(weights)
    except ValueError as error:
        raise DataError(f"{error}; remove {weights.parent} to train again") from error
    return bool(found.get("digest") == record.get("weights_digest"))


def alarm_of(weights: Path) -> str:
    """Why the network of a training seems not to have learned; empty if it has, or if no training left these weights."""
    path = weights.parent / RECORD
    return str(read_json(path).get("alarm", "")) if path.is_file() else ""


def beginning(method: str, profile: str, device: str, made_from: MadeFrom) -> dict[str, object]:
    """What is known before the first step."""
    versions = {name: version(name) for name in ("srreg", "torch", "accelerate", "safetensors", "numpy")}
    return {
        "status": "running",
        "method": method,
        "profile": profile,
        "device": device_name(device),
        "versions": versions | {"python": platform.python_version()},
        **made_from,
    }


def outcome(result: TrainingResult) -> dict[str, object]:
    """What is known after the last step."""
    best = next(row for row in result.history if row.epoch == result.best_epoch)
    return {
        "status": "finished",
        "weights_digest": result.digest,
        "best_epoch": result.best_epoch,
        "validation_dice_untrained": result.history[0].validation_dice,
        "validation_dice": best.validation_dice,
        "skipped_steps": sum(row.skipped for row in result.history),
        "seconds": round(sum(row.seconds for row in result.history), 1),
        "alarm": result.alarm,
        "notes": list(result.notes),
    }
