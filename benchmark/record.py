"""`run.json`: what each run of the benchmark was, with what, and how it ended."""

import platform
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import benchmark
from srreg.dataset import Dataset, Protocol
from srreg.errors import DataError
from srreg.files import read_json, write_json

_PACKAGES = ("srreg", "torch", "numpy", "scipy", "antspyx", "SimpleITK", "nibabel", "accelerate")


@dataclass(frozen=True)
class DatasetRecord:
    """What the numbers were measured on."""

    digest: str
    name: str
    is_simulated: bool
    subjects: int
    test_subjects: int
    grid: str


@dataclass(frozen=True)
class Failure:
    """A pair that could not be registered, or a method that could not be prepared (`pair` is empty)."""

    method: str
    pair: str
    reason: str


@dataclass(frozen=True)
class Entry:
    """A method with what it has learned; rows belong to an entry by all three.

    Args:
        method: as in `METHODS`.
        seed: of the training; 0 where nothing was trained here.
        weights: short digest of the weights' file; empty where there are none, None while they are not trained.
    """

    method: str
    seed: int
    weights: str | None


@dataclass(frozen=True)
class RunRecord:
    """One run.

    Args:
        id: when it began (UTC); rows carry it.
        methods: which were asked for.
        seeds: of the trainings.
        entries: whose numbers the run was to make: one for each training, one for a method that was not trained.
        protocol: which list of pairs, and `pairs` their ids.
        paper_pairs: how many pairs the paper's protocol gives on this data set.
        device: what it is called by its maker.
        settings: the rest of what was asked for.
        dataset: what was registered.
        versions: Python's and the packages'.
        commit: of this project; None where it is not a git checkout.
        skipped: method -> why it could not run.
        failed: what went wrong.
    """

    id: str
    methods: tuple[str, ...]
    seeds: tuple[int, ...]
    entries: tuple[Entry, ...]
    protocol: Protocol
    pairs: tuple[str, ...]
    paper_pairs: int
    device: str
    settings: Mapping[str, object]
    dataset: DatasetRecord
    versions: Mapping[str, str]
    commit: str | None
    skipped: Mapping[str, str] = field(default_factory=dict)
    failed: tuple[Failure, ...] = ()


def new_id() -> str:
    """The time, as a name that sorts."""
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")


def short_digest(dataset: Dataset) -> str:
    """Enough of a data set's digest to tell it from any other, in every row."""
    return dataset.digest[:12]


def describe(dataset: Dataset) -> DatasetRecord:
    """What the record says of a data set."""
    return DatasetRecord(
        digest=short_digest(dataset),
        name=str(dataset.description.get("Name", "unnamed")),
        is_simulated=bool(dataset.description.get("Simulated", False)),
        subjects=len(dataset.subjects),
        test_subjects=len(dataset.split("test")),
        grid=str(dataset.grid),
    )


def versions() -> dict[str, str]:
    """Python's version and those of the packages that numbers may depend on."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def commit() -> str | None:
    """The commit this code was checked out from; None where it is not a git checkout or there is no git."""
    root = Path(benchmark.__path__[0]).parent
    if not (root / ".git").exists():
        return None
    try:
        answer = subprocess.run(["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()


def write(path: Path, record: RunRecord) -> None:
    """Add a record to the file, or put it in the place of an earlier one of the same id."""
    runs = {known.id: asdict(known) for known in read(path)} | {record.id: asdict(record)}
    write_json(path, {"runs": runs})


def read(path: Path) -> list[RunRecord]:
    """The records of a file, the oldest first.

    Raises:
        DataError: not a file of records.
    """
    if not path.is_file():
        return []
    runs = read_json(path).get("runs")
    if not isinstance(runs, dict):
        raise DataError(f"{path}: expected an object 'runs'. Move the file away.")
    try:
        return [_from_json(runs[name]) for name in sorted(runs)]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path}: is not a record of runs ({error}). Move the file away.") from error


def last_asked(records: Iterable[RunRecord]) -> dict[str, RunRecord]:
    """Method -> the last of the runs, the oldest first, that was asked for it: what it was to be is what counts."""
    return {method: record for record in records for method in record.methods}


def _from_json(value: Mapping[str, Any]) -> RunRecord:
    known = {name.name: value[name.name] for name in fields(RunRecord)}
    known["dataset"] = DatasetRecord(**value["dataset"])
    known["entries"] = tuple(Entry(**entry) for entry in value["entries"])
    known["failed"] = tuple(Failure(**failure) for failure in value["failed"])
    known["seeds"] = tuple(int(seed) for seed in value["seeds"])
    known["paper_pairs"] = int(value["paper_pairs"])
    for name in ("methods", "pairs"):
        known[name] = tuple(str(text) for text in value[name])
    for name in ("skipped", "versions"):
        known[name] = {key: str(text) for key, text in value[name].items()}
    return RunRecord(**known)
