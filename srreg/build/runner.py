"""`srreg build`: find the subjects, build those that are not there yet, write the data set's files."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from srreg.build.chosen_splits import choose
from srreg.build.cluster import run_on_cluster
from srreg.build.executors import run_all
from srreg.build.finish import write_description, write_label_table, write_manifest, write_participants, write_splits
from srreg.build.hashes import RememberedHashes
from srreg.build.hold import alone_for_a_moment, held, shared
from srreg.build.memory import needed_bytes
from srreg.build.mixing import check_not_mixed, check_same_as_at_work
from srreg.build.plan import Plan, free_bytes, memory_file, plan_cases
from srreg.build.publish import is_published, sidecar_of, withdraw
from srreg.build.settings import BuildSettings
from srreg.build.splits import Splits
from srreg.build.worker import Job, Outcome
from srreg.dataset import Participant, read_participants
from srreg.errors import DataError, NoRoom
from srreg.ratings import decided, judged, outdated, read_ratings
from srreg.sources.synthrad import find_cases, is_simulated

log = logging.getLogger(__name__)

Progress = Callable[[Outcome, int, int], None]
Take = Callable[[str], bool]


@dataclass
class BuildReport:
    """How a build ended."""

    outcomes: list[Outcome] = field(default_factory=list)
    ready: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    busy: tuple[str, ...] = ()  # left to another process, which is at them

    @property
    def built(self) -> list[Outcome]:
        """What was built in this run."""
        return [o for o in self.outcomes if o.status == "built"]

    @property
    def failed(self) -> list[Outcome]:
        """What could not be built, each with its reason."""
        return sorted((o for o in self.outcomes if o.status == "failed"), key=lambda o: o.id)


@dataclass(frozen=True)
class Preview:
    """What a build would do.

    Args:
        todo: whom it would build.
        people: split -> how many people of the data set it would have if nobody failed.
    """

    todo: Plan
    people: Mapping[str, int]


@dataclass(frozen=True)
class _Begun:
    """A build whose subjects are shared out."""

    todo: Plan
    simulated: bool
    splits: Splits
    report: BuildReport


def build(settings: BuildSettings, progress: Progress | None = None) -> BuildReport:
    """Build what is missing; one subject's failure does not stop the others.

    Args:
        settings: what to build.
        progress: called as each subject ends, with how many are done and how many there are.

    Raises:
        DataError: no patient found, two with one id, or a table of splits that cannot be.
        UsageError: the folder holds subjects of another recipe that this run would leave standing, or other splits.
        FolderBusy: another build holds the folder.
        NoRoom: the disk is too small for what is to come.
    """
    find_cases(settings.source)  # before anything is written
    settings.out.mkdir(parents=True, exist_ok=True)
    hashes = RememberedHashes(memory_file(settings.out), settings.deep)
    if settings.shard is not None:
        return _build_shard(settings, hashes, progress)
    with held(settings.out):
        begun = _begin(settings, hashes, lambda subject_id: True)
        _run(settings, begun, progress)
        _write(settings, begun)
    for subject_id in outdated(settings.out, read_ratings(settings.out)):
        log.warning("%s was rejected as it was built before, and is in again: look at it (srreg qc report)", subject_id)
    return begun.report


def preview(settings: BuildSettings) -> Preview:
    """What `build` would do; reads source files only where their size or time is new, writes nothing.

    Raises:
        UnknownName: a subject was named that the source does not have.
        DataError, UsageError: as `build`.
    """
    cases = find_cases(settings.source)
    todo, previous = (
        plan_cases(settings, cases, RememberedHashes(memory_file(settings.out), settings.deep)),
        _previous(settings.out),
    )
    check_not_mixed(settings, todo, previous, is_simulated(settings.source))
    splits = choose(settings, cases, [*previous.values()])
    here = {p.person for p in previous.values() if p.status != "excluded" and p.id not in settings.exclude}
    here |= {case.person for case in cases if case.id in todo.asked}
    return Preview(todo, {name: len(here & {*people}) for name, people in splits.members.items()})


def _build_shard(settings: BuildSettings, hashes: RememberedHashes, progress: Progress | None) -> BuildReport:
    """As the whole, beside others: subjects are claimed before they are touched, the lists are written in turn."""
    plan_cases(settings, find_cases(settings.source), hashes)  # reads the sources before it is our turn
    with shared(settings.out) as claims:
        with alone_for_a_moment(settings.out):
            check_same_as_at_work(settings, is_simulated(settings.source))
            begun = _begin(settings, hashes, claims.take)
        _run(settings, begun, progress)
        with alone_for_a_moment(settings.out):
            _write(settings, begun)
    return begun.report


def _begin(settings: BuildSettings, hashes: RememberedHashes, take: Take) -> _Begun:
    """Refuse what cannot be, then take the subjects that are to be built out of the data set."""
    cases, simulated = find_cases(settings.source), is_simulated(settings.source)
    todo, previous = plan_cases(settings, cases, hashes), _previous(settings.out)
    check_not_mixed(settings, todo, previous, simulated)
    splits = choose(settings, cases, [*previous.values()])
    _check_room(settings, todo)
    hashes.save()
    todo = _taken(settings, todo, take)
    begun = _Begun(todo, simulated, splits, BuildReport([*todo.failed], todo.ready, todo.excluded, todo.busy))
    _write(settings, begun)  # before and after: whenever the build is stopped, the folder says what it holds
    return begun


def _taken(settings: BuildSettings, todo: Plan, take: Take) -> Plan:
    """What of a plan is ours; it leaves the data set until it is built."""
    ids = (*todo.excluded, *(o.id for o in todo.failed), *(job.case.id for job in todo.jobs))
    ours = {subject_id for subject_id in ids if take(subject_id)}
    for subject_id in sorted(ours):
        withdraw(settings.out, subject_id)
    return replace(
        todo,
        jobs=tuple(job for job in todo.jobs if job.case.id in ours),
        failed=tuple(outcome for outcome in todo.failed if outcome.id in ours),
        busy=tuple(job.case.id for job in todo.jobs if job.case.id not in ours),
    )


def _run(settings: BuildSettings, begun: _Begun, progress: Progress | None) -> None:
    todo, report = begun.todo, begun.report
    for outcome in _outcomes(settings, todo.jobs):
        if outcome.exit_code == NoRoom.exit_code:
            raise NoRoom(outcome.reason)
        report.outcomes.append(outcome)
        _log(outcome)
        if progress is not None:
            progress(outcome, len(report.outcomes), len(todo.jobs) + len(todo.failed))


def _outcomes(settings: BuildSettings, jobs: Sequence[Job]) -> Iterator[Outcome]:
    if settings.scheduler is not None:
        return run_on_cluster(jobs, settings.scheduler)
    return run_all(jobs, settings.n_procs, needed_bytes(settings.skull_stripper, settings.segmenter))


def _log(outcome: Outcome) -> None:
    for note in outcome.notes:
        log.warning("%s: %s", outcome.id, note)
    if outcome.trace:
        log.info("%s: %s", outcome.id, outcome.trace)
    code = f" [{outcome.code}]" if outcome.code else ""
    log.info("%s: %s in %.1f s %s%s", outcome.id, outcome.status, outcome.seconds, outcome.reason, code)


def _previous(out: Path) -> dict[str, Participant]:
    path = out / "participants.tsv"
    return {p.id: p for p in read_participants(path)} if path.is_file() else {}


def _check_room(settings: BuildSettings, todo: Plan) -> None:
    needed, free = todo.needed_bytes(settings.size), free_bytes(settings.out)
    if needed > free:
        raise NoRoom(f"{settings.out}: about {needed / 1e9:.1f} GB are needed, {free / 1e9:.1f} GB are free")


def _write(settings: BuildSettings, begun: _Begun) -> None:
    """The files of the data set as a whole, as things stand."""
    made, ratings = _participants(settings, begun.todo, begun.report), read_ratings(settings.out)
    participants = judged(made, decided(settings.out, ratings))
    write_description(settings.out, settings.described(), begun.simulated)
    write_label_table(settings.out)
    write_participants(settings.out, participants)
    write_splits(settings.out, begun.splits, participants)
    write_manifest(settings.out, participants, frozenset(o.id for o in begun.report.built))


def _participants(settings: BuildSettings, todo: Plan, report: BuildReport) -> list[Participant]:
    previous = _previous(settings.out)
    cases = {case.id: case for case in todo.cases}
    found = {i: p for i, p in previous.items() if not p.is_published or is_published(settings.out, i)}

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
    for subject_id in {*todo.asked} - found.keys():
        entry(subject_id, "pending", "of another shard; not built yet")
    return sorted(found.values(), key=lambda p: p.id)


def _brain_ml(out: Path, subject_id: str) -> float | None:
    try:
        return float(str(sidecar_of(out, subject_id)["BrainVolumeMl"]))
    except (DataError, KeyError):
        return None
