"""`srreg build`: find the subjects, build those that are not there yet, write the data set's files."""

import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from srreg.build import splits as drawn
from srreg.build.executors import run_all
from srreg.build.finish import write_description, write_label_table, write_manifest, write_participants, write_splits
from srreg.build.hashes import RememberedHashes
from srreg.build.hold import held
from srreg.build.plan import Plan, memory_file, plan_cases
from srreg.build.publish import sidecar_of, withdraw
from srreg.build.recipe import recipe_fingerprint
from srreg.build.settings import BuildSettings
from srreg.build.worker import Outcome
from srreg.dataset import Participant, read_participants
from srreg.errors import DataError, NoRoom, UsageError
from srreg.files import read_json
from srreg.sources.synthrad import find_cases, is_simulated

log = logging.getLogger(__name__)


@dataclass
class BuildReport:
    """How a build ended."""

    outcomes: list[Outcome] = field(default_factory=list)
    ready: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()

    @property
    def built(self) -> list[Outcome]:
        """What was built in this run."""
        return [o for o in self.outcomes if o.status == "built"]

    @property
    def failed(self) -> list[Outcome]:
        """What could not be built, each with its reason."""
        return sorted((o for o in self.outcomes if o.status == "failed"), key=lambda o: o.id)


def build(settings: BuildSettings, progress: Callable[[Outcome, int, int], None] | None = None) -> BuildReport:
    """Build what is missing; one subject's failure does not stop the others.

    Args:
        settings: what to build.
        progress: called as each subject ends, with how many are done and how many there are.

    Raises:
        DataError: no patient found, or two with one id.
        UsageError: the folder holds subjects of another recipe that this run would leave standing.
        FolderBusy: another build holds the folder.
        NoRoom: the disk is too small for what is to come.
    """
    cases, simulated = find_cases(settings.source), is_simulated(settings.source)
    settings.out.mkdir(parents=True, exist_ok=True)
    with held(settings.out):
        hashes = RememberedHashes(memory_file(settings.out), settings.deep)
        todo = plan_cases(settings, cases, hashes)
        _check_not_mixed(settings, todo, simulated)
        _check_room(settings, todo)
        hashes.save()
        report = BuildReport([*todo.failed], todo.ready, todo.excluded)
        for subject_id in (*todo.excluded, *(o.id for o in todo.failed), *(job.case.id for job in todo.jobs)):
            withdraw(settings.out, subject_id)
        # Before and after: whenever the build is stopped, the folder says what it holds.
        _write(settings, todo, report, simulated)
        for outcome in run_all(todo.jobs, settings.n_procs):
            if outcome.exit_code == NoRoom.exit_code:
                raise NoRoom(outcome.reason)
            report.outcomes.append(outcome)
            _log(outcome)
            if progress is not None:
                progress(outcome, len(report.outcomes), len(todo.jobs) + len(todo.failed))
        _write(settings, todo, report, simulated)
    return report


def _log(outcome: Outcome) -> None:
    for note in outcome.notes:
        log.warning("%s: %s", outcome.id, note)
    if outcome.trace:
        log.info("%s: %s", outcome.id, outcome.trace)
    log.info("%s: %s in %.1f s %s", outcome.id, outcome.status, outcome.seconds, outcome.reason)


def _previous(out: Path) -> dict[str, Participant]:
    path = out / "participants.tsv"
    return {p.id: p for p in read_participants(path)} if path.is_file() else {}


def _check_not_mixed(settings: BuildSettings, todo: Plan, simulated: bool) -> None:
    """A data set never mixes two recipes, nor real heads and simulated ones: what stays must be as this run would build it."""
    touched = {job.case.id for job in todo.jobs} | {o.id for o in todo.failed} | set(todo.excluded) | set(todo.ready)
    staying = [i for i, p in _previous(settings.out).items() if p.status == "built" and i not in touched]
    if not staying:
        return
    if read_json(settings.out / "dataset_description.json").get("Simulated") != simulated:
        raise UsageError(f"{settings.out} holds {len(staying)} subjects of another kind of source; choose another --out")
    other = [i for i in staying if not _is_of_recipe(settings, i)]
    if other:
        raise UsageError(
            f"{settings.out} holds {len(other)} subjects built otherwise, {other[0]} for one, which this run would leave "
            "beside its own. Build all of them, or choose another --out."
        )


def _is_of_recipe(settings: BuildSettings, subject_id: str) -> bool:
    """Whether a subject was built by these steps, tools and parameters."""
    try:
        return sidecar_of(settings.out, subject_id)["RecipeKey"] == recipe_fingerprint(settings.recipe, subject_id)
    except (DataError, KeyError):
        return False


def _check_room(settings: BuildSettings, todo: Plan) -> None:
    needed, free = todo.needed_bytes(settings.size), shutil.disk_usage(settings.out).free
    if needed > free:
        raise NoRoom(f"{settings.out}: about {needed / 1e9:.1f} GB are needed, {free / 1e9:.1f} GB are free")


def _write(settings: BuildSettings, todo: Plan, report: BuildReport, simulated: bool) -> None:
    """The files of the data set as a whole, as things stand."""
    participants = _participants(settings, todo, report)
    write_description(settings.out, settings.described(), simulated)
    write_label_table(settings.out)
    write_participants(settings.out, participants)
    write_splits(settings.out, _splits(settings, todo, participants), participants)
    write_manifest(settings.out, participants, frozenset(o.id for o in report.built))


def _participants(settings: BuildSettings, todo: Plan, report: BuildReport) -> list[Participant]:
    previous = _previous(settings.out)
    found = dict(previous)
    cases = {case.id: case for case in todo.cases}

    def entry(subject_id: str, status: str, reason: str = "") -> None:
        case, qc = cases[subject_id], "n/a"
        if status == "built" and subject_id in todo.ready and subject_id in previous:
            qc = previous[subject_id].qc
        brain_ml = _brain_ml(settings.out, subject_id) if status == "built" else None
        found[subject_id] = Participant(subject_id, case.person, case.centre, status, reason, brain_ml, qc)

    for subject_id in todo.ready:
        entry(subject_id, "built")
    for job in todo.jobs:
        entry(job.case.id, "pending", "not built yet; run srreg build again")
    for outcome in report.outcomes:
        entry(outcome.id, outcome.status, outcome.reason)
    for subject_id in todo.excluded:
        entry(subject_id, "excluded", "left out by --exclude")
    return sorted(found.values(), key=lambda p: p.id)


def _brain_ml(out: Path, subject_id: str) -> float | None:
    try:
        return float(str(sidecar_of(out, subject_id)["BrainVolumeMl"]))
    except (DataError, KeyError):
        return None


def _splits(settings: BuildSettings, todo: Plan, participants: list[Participant]) -> drawn.Splits:
    """Drawn over everybody the source has, so that a trial with --limit does not decide who trains."""
    persons = {case.person for case in todo.cases if case.id not in settings.exclude}
    persons |= {p.person for p in participants if p.status != "excluded"}
    known = drawn.read(settings.out / "splits")
    if known is None:
        return drawn.draw(persons, settings.seed)
    if known.seed != settings.seed and not settings.resplit:
        log.warning("splits were drawn with seed %d and stay; --resplit draws them with seed %d", known.seed, settings.seed)
    if settings.resplit:
        return drawn.draw(persons, settings.seed, known.version + 1)
    return drawn.extended(known, persons)
