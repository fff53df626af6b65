"""`srreg import`: an SR-Reg as its authors released it, as a data set for `bench`."""

import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from time import perf_counter, time

from srreg.build import splits as drawn
from srreg.build.finish import write_label_table, write_manifest, write_participants, write_splits
from srreg.build.hashes import RememberedHashes
from srreg.build.hold import held
from srreg.build.plan import memory_file
from srreg.build.publish import Provenance, is_published, publish, sidecar_of
from srreg.build.reference import grid_of
from srreg.build.split_file import read_splits
from srreg.build.splits import Splits
from srreg.build.step import digest, field_digest
from srreg.build.worker import record_file
from srreg.dataset import Participant, read_participants
from srreg.errors import NoRoom, UsageError
from srreg.files import read_json, write_json
from srreg.ratings import decided, judged, read_ratings
from srreg.sources.mambamorph import ReleasedCase, find_cases, read_case
from srreg.sources.synthrad import Case
from srreg.volume import Grid

log = logging.getLogger(__name__)

Tell = Callable[[str, int, int], None]
GRIDS: tuple[Grid, ...] = (grid_of("full"), grid_of("half"), grid_of("quarter"))  # the release has the first
_RECIPE = {"import": {"source": "mambamorph", "version": 1}}  # raise the version when the same files would give others


@dataclass(frozen=True)
class Importing:
    """What to import.

    Args:
        source: the folder of the release.
        out: the data set's folder.
        splits: a table of splits; None: they are drawn, for the release has none.
        seed: of the splits, where they are drawn.

    Raises:
        UsageError: the data set would lie in the source folder.
    """

    source: Path
    out: Path
    splits: Path | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        out, source = self.out.resolve(), self.source.resolve()
        if out == source or source in out.parents:
            raise UsageError(f"--out {self.out} lies in the release's folder, which is never written to; choose another")


@dataclass(frozen=True)
class ImportReport:
    """Who was imported in this run, and who was there before."""

    imported: tuple[str, ...]
    ready: tuple[str, ...]


@dataclass(frozen=True)
class _Job:
    case: ReleasedCase
    sources: Mapping[str, str]  # file name -> sha256

    @property
    def key(self) -> str:
        return digest([self.sources, _RECIPE])


def import_release(settings: Importing, checking: Tell | None = None, importing: Tell | None = None) -> ImportReport:
    """Read everything, then write what is not there yet.

    Args:
        settings: what to import.
        checking: called after each subject that was read, with its id, how many are done and how many there are.
        importing: the same, for each that was written.

    Raises:
        DataError: the release is incomplete, or a file cannot be used: nothing is written then; or splits that cannot be.
        UsageError: the folder holds another data set, or other splits.
        FolderBusy: another process holds the folder.
        NoRoom: the disk is too small.
    """
    cases = find_cases(settings.source)
    _check_folder(settings, cases)
    splits = _splits(settings, {case.id: case.person for case in cases})
    if (settings.out / ".build").is_dir():
        with held(settings.out):  # a folder that is busy is said before a release is read
            pass
    hashes = RememberedHashes(memory_file(settings.out))
    jobs = [_Job(case, hashes.of_all(list(case.files.values()))) for case in cases]
    _check(_missing(settings.out, jobs), checking)  # before the folder is made
    with held(settings.out):
        todo = _missing(settings.out, jobs)
        _check_room(settings.out, todo)
        hashes.save()
        _write(settings, cases, splits, frozenset())
        for number, job in enumerate(todo, start=1):
            _import(settings.out, job)
            if importing is not None:
                importing(job.case.id, number, len(todo))
        imported = tuple(job.case.id for job in todo)
        _write(settings, cases, splits, frozenset(imported))
    return ImportReport(imported, tuple(case.id for case in cases if case.id not in imported))


def _check_folder(settings: Importing, cases: Sequence[ReleasedCase]) -> None:
    """A data set never mixes two sources."""
    table = settings.out / "participants.tsv"
    if not table.is_file():
        return
    recipe = read_json(settings.out / "dataset_description.json").get("Recipe")
    strangers = {p.id for p in read_participants(table)} - {case.id for case in cases}
    if recipe != _RECIPE or strangers:
        raise UsageError(f"{settings.out} holds another data set; choose another --out")


def _splits(settings: Importing, people: Mapping[str, str]) -> Splits:
    known = drawn.read(settings.out / "splits")
    if settings.splits is None:
        return drawn.draw(people.values(), settings.seed) if known is None else drawn.extended(known, people.values())
    given = read_splits(settings.splits, people)
    if known is not None and known.digest != given.digest:
        raise UsageError(f"{settings.out} has other splits than {settings.splits}; choose another --out")
    return given if known is None else known


def _missing(out: Path, jobs: Sequence[_Job]) -> list[_Job]:
    return [job for job in jobs if not is_published(out, job.case.id, job.key)]


def _check(jobs: Sequence[_Job], tell: Tell | None) -> None:
    """Read everything before anything is written."""
    for number, job in enumerate(jobs, start=1):
        read_case(job.case, GRIDS)
        if tell is not None:
            tell(job.case.id, number, len(jobs))


def _check_room(out: Path, jobs: Sequence[_Job]) -> None:
    needed = sum(path.stat().st_size for job in jobs for path in job.case.files.values())
    free = shutil.disk_usage(out).free
    if needed > free:
        raise NoRoom(f"{out}: about {needed / 1e9:.1f} GB are needed, {free / 1e9:.1f} GB are free")


def _import(out: Path, job: _Job) -> None:
    started, began = time(), perf_counter()
    subject = read_case(job.case, GRIDS)
    assert subject.brain is not None
    outputs = {kind: field_digest(subject, kind) for kind in ("mr", "ct", "brain", "labels")}
    provenance = Provenance(
        build_key=job.key,
        recipe_key=digest(_RECIPE),
        sources=job.sources,
        recipe=_RECIPE,
        steps=[{"step": "import", "key": job.key, "outputs": outputs}],
        brain_ml=subject.brain.volume_ml(),
        frame="as released; which way its axes run is not known",
        files={kind: path.name for kind, path in job.case.files.items()},
    )
    publish(out, subject, provenance)
    step = {"step": "import", "cached": False, "seconds": perf_counter() - began}
    write_json(record_file(out, subject.id), {"started": started, "steps": [step]})


def _write(settings: Importing, cases: Sequence[ReleasedCase], splits: Splits, fresh: frozenset[str]) -> None:
    """The files of the data set as a whole, as things stand: before the first subject is written and after the last."""
    table = settings.out / "participants.tsv"
    verdicts = {p.id: p.qc for p in read_participants(table)} if table.is_file() else {}
    found = [_participant(settings.out, case, verdicts.get(case.id, "n/a")) for case in cases]
    participants = judged(found, decided(settings.out, read_ratings(settings.out)))
    _write_description(settings)
    write_label_table(settings.out)
    write_participants(settings.out, participants)
    write_splits(settings.out, splits, participants)
    write_manifest(settings.out, participants, fresh)


def _participant(out: Path, case: ReleasedCase, qc: str) -> Participant:
    centre = Case(case.id, case.mr.parent, case.person).centre
    if not is_published(out, case.id):
        return Participant(case.id, case.person, centre, "pending", "not imported yet; run srreg import again", None, "n/a")
    brain_ml = float(str(sidecar_of(out, case.id)["BrainVolumeMl"]))
    return Participant(case.id, case.person, centre, "built", "", brain_ml, qc)


def _write_description(settings: Importing) -> None:
    """`dataset_description.json`; what an export of ours says of its origin is kept."""
    told = settings.source / "dataset_description.json"
    origin = read_json(told) if told.is_file() else {}
    released = [
        {"Name": "SR-Reg, as released by its authors", "DOI": "doi:10.48550/arXiv.2401.13934"},
        {"Name": "SynthRAD 2023, Task 1, brain", "DOI": "doi:10.5281/zenodo.7260705"},
    ]
    description = {
        "Name": origin.get("Name", "SR-Reg, as released by its authors"),
        "BIDSVersion": "1.10.0",
        "DatasetType": "derivative",
        "License": origin.get("License", "CC-BY-NC-4.0"),
        "GeneratedBy": [{"Name": "srreg", "Version": version("srreg")}],
        "SourceDatasets": origin.get("SourceDatasets", released),
        "HowToAcknowledge": "Cite Guo et al. 2024 (arXiv:2401.13934) and Thummerer et al. 2023 (doi:10.1002/mp.16529).",
        "Recipe": _RECIPE,
        "Simulated": origin.get("Simulated", False),
    }
    write_json(settings.out / "dataset_description.json", description)
