"""Fields that are kept on disk, each beside a note of what it was made from and what that took."""

import logging
import math
from dataclasses import dataclass
from pathlib import Path

from benchmark.clock import Cost
from srreg import io
from srreg.displacement import Displacement
from srreg.errors import DataError
from srreg.files import read_json, write_json

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Origin:
    """What a field was made from; one of another origin is not used.

    Args:
        dataset: short digest of the data set.
        weights: short digest of the method's weights; empty where there are none.
        device: what it was made on.
    """

    dataset: str
    weights: str
    device: str


@dataclass(frozen=True, eq=False)
class KeptField:
    """A displacement, its cost, and how many parameters the method has."""

    displacement: Displacement
    cost: Cost
    parameters: int | None


def field_file(out: Path, method: str, seed: int, pair: str) -> Path:
    """Where the field of a pair lies; its note has the same name, ending in `.json`."""
    return out / "fields" / method / f"seed{seed}" / f"{pair}.nii.gz"


def save(path: Path, field: KeptField, origin: Origin) -> None:
    """Write a field, then its note: without the note the field does not count."""
    _note_file(path).unlink(missing_ok=True)
    io.write_displacement(path, field.displacement)
    peak, load = (None if math.isnan(number) else number for number in (field.cost.peak_gib, field.cost.load))
    note = {"seconds": field.cost.seconds, "peak_gib": peak, "load": load, "parameters": field.parameters}
    write_json(_note_file(path), note | {"dataset": origin.dataset, "weights": origin.weights, "device": origin.device})


def is_kept(path: Path, origin: Origin) -> bool:
    """True for a field that is there, whole, and of this origin."""
    if not (path.is_file() and _note_file(path).is_file()):
        return False
    try:
        return _read_note(path).origin == origin
    except DataError as error:
        log.warning("%s; the pair is registered again", error)
        return False


def load(path: Path) -> KeptField:
    """Read a field that `is_kept`.

    Raises:
        DataError: the file or its note is damaged.
    """
    note = _read_note(path)
    return KeptField(io.read_displacement(path), note.cost, note.parameters)


@dataclass(frozen=True)
class _Note:
    origin: Origin
    cost: Cost
    parameters: int | None


def _read_note(path: Path) -> _Note:
    note = read_json(_note_file(path))
    try:
        numbers = (note["peak_gib"], note.get("load"))  # what was written before the load was known stays good
        peak, load = (math.nan if number is None else float(str(number)) for number in numbers)
        parameters = note["parameters"]
        return _Note(
            Origin(str(note["dataset"]), str(note["weights"]), str(note["device"])),
            Cost(float(str(note["seconds"])), peak, load),
            None if parameters is None else int(str(parameters)),
        )
    except (KeyError, ValueError) as error:
        raise DataError(f"{_note_file(path)}: is not the note of a field ({error})") from error


def _note_file(path: Path) -> Path:
    return path.with_name(path.name.removesuffix(".nii.gz") + ".json")
