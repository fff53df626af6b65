"""`simulation.json`: what a tree was simulated from, and which of its subjects are done."""

from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from srreg.errors import DataError, UsageError
from srreg.files import read_json, write_json
from srreg.simulate.task import FILES, Made

NAME = "simulation.json"
# Raise it when the same settings would give other voxels.
_VERSION = 1


@dataclass(frozen=True)
class Source:
    """What the voxels of a tree come from; the number of its subjects does not matter to any of them.

    Args:
        seed: of the whole simulation.
        size: of the voxels.
        label_maps: name and sha256 of each map; None: analytic heads.
    """

    seed: int
    size: str
    label_maps: dict[str, str] | None
    version: int = _VERSION


@dataclass(frozen=True)
class Record:
    """A tree's record: where it comes from and which subjects are done, by id."""

    source: Source
    subjects: dict[str, Made]

    def with_subject(self, made: Made) -> "Record":
        """The record with one more subject."""
        return replace(self, subjects={**self.subjects, made.id: made})

    def write(self, brain: Path) -> None:
        """Write it into the folder of the patients."""
        write_json(brain / NAME, asdict(self))


def claim(out: Path, brain: Path, source: Source, planned: Collection[str]) -> Record:
    """The record of a tree, a new one if the folder is new.

    Args:
        out: the tree.
        brain: its folder of patients.
        source: what is to be simulated.
        planned: ids that are to be in it.

    Raises:
        UsageError: the folder holds something else, another simulation or more subjects.
        DataError: the record or a file of a subject was changed.
    """
    if not (brain / NAME).is_file():
        _refuse_unless_empty(out)
        fresh = Record(source, {})
        fresh.write(brain)
        return fresh
    record = _read(brain / NAME)
    if record.source != source:
        raise UsageError(f"{out} holds another simulation ({_differences(record.source, source)}). Give another --out.")
    _refuse_strangers(brain, planned)
    for made in record.subjects.values():
        _check_files(brain / made.id, made)
    return record


def is_done(record: Record, brain: Path, subject_id: str) -> bool:
    """True if all files of a subject are there."""
    return subject_id in record.subjects and all((brain / subject_id / name).is_file() for name in FILES)


def _refuse_unless_empty(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; expected a folder to simulate into")
    found = sorted(p.name for p in out.iterdir() if not p.name.startswith(".")) if out.exists() else []
    if found:
        raise UsageError(f"{out} already holds {found[0]!r} and is no simulation. Give an empty folder or a new one as --out.")


def _refuse_strangers(brain: Path, planned: Collection[str]) -> None:
    known = {NAME, "participants.tsv", "overview", *planned}
    strangers = sorted(p.name for p in brain.iterdir() if p.name not in known and not p.name.startswith("."))
    if strangers:
        raise UsageError(
            f"{brain} holds {', '.join(strangers[:5])}, which the {len(planned)} subjects asked for do not include. "
            "Ask for as many as are there, or give another --out."
        )


def _check_files(folder: Path, made: Made) -> None:
    for name, size in made.bytes.items():
        path = folder / name
        if path.is_file() and path.stat().st_size != size:
            raise DataError(
                f"{path} was changed after it was simulated: expected {size} bytes, got {path.stat().st_size}. "
                "Remove it and run again to have it simulated anew."
            )


def _differences(there: Source, asked: Source) -> str:
    before, now = asdict(there), asdict(asked)
    return "; ".join(f"{key} {_short(before[key])}, asked for {_short(now[key])}" for key in before if before[key] != now[key])


def _short(value: object) -> str:
    if isinstance(value, dict):
        return f"{len(value)} maps ({', '.join(list(value)[:2])} ...)"
    return "of analytic heads" if value is None else str(value)


def _read(path: Path) -> Record:
    content = read_json(path)
    try:
        source = Source(**content["source"])  # type: ignore[arg-type]
        subjects = {key: Made(**made) for key, made in content["subjects"].items()}  # type: ignore[attr-defined]
        return Record(source, subjects)
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: is not the record of a simulation ({error!r}). Give another --out.") from error
