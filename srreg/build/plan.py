"""What a build would do: who is to be built, who is there already, who is left out."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from srreg.build.hashes import RememberedHashes
from srreg.build.publish import is_published
from srreg.build.recipe import recipe_fingerprint
from srreg.build.reference import Size, grid_of
from srreg.build.settings import BuildSettings
from srreg.build.step import digest
from srreg.build.worker import Job, Outcome, work_folder
from srreg.errors import SrregError, UnknownName
from srreg.sources.synthrad import Case


@dataclass(frozen=True)
class Plan:
    """Who is to be built, who is there already, who is left out."""

    cases: tuple[Case, ...]  # everybody the source has
    asked: tuple[str, ...] = ()  # who is to be in the data set, of all shards
    jobs: tuple[Job, ...] = ()
    ready: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    failed: tuple[Outcome, ...] = ()  # not readable enough to begin with
    busy: tuple[str, ...] = ()  # another shard is at them

    def needed_bytes(self, size: Size) -> int:
        """An upper estimate of what the jobs will write: two float images, compressed, and what is cached."""
        d, h, w = grid_of(size).shape
        return len(self.jobs) * d * h * w * 10


def free_bytes(out: Path) -> int:
    """Room on the disk that the data set lies on, or will."""
    there = next(folder for folder in (out.absolute(), *out.absolute().parents) if folder.exists())
    return shutil.disk_usage(there).free


def memory_file(out: Path) -> Path:
    """Where the digests of source files are remembered."""
    return work_folder(out) / "hashes.json"


def plan_cases(settings: BuildSettings, cases: list[Case], hashes: RememberedHashes) -> Plan:
    """Sort the patients of a source into what is to be built, what is ready and what is left out."""
    asked = _chosen(settings, cases)
    # By place in the sorted list: every shard cuts the same way, whatever is built already.
    chosen = asked if settings.shard is None else asked[settings.shard.index - 1 :: settings.shard.count]
    excluded = tuple(c.id for c in cases if c.id in settings.exclude)
    jobs: list[Job] = []
    ready: list[str] = []
    failed: list[Outcome] = []
    for case in chosen:
        try:
            job = _job(settings, case, hashes)
        except SrregError as error:
            failed.append(Outcome(case.id, "failed", str(error), error.exit_code, error.code))
            continue
        if is_published(settings.out, case.id, job.build_key, settings.deep):
            ready.append(case.id)
        else:
            jobs.append(job)
    return Plan(tuple(cases), tuple(case.id for case in asked), tuple(jobs), tuple(ready), excluded, tuple(failed))


def _chosen(settings: BuildSettings, cases: list[Case]) -> list[Case]:
    known = {case.id for case in cases}
    for subject_id in (*settings.subjects, *settings.exclude):
        if subject_id not in known:
            raise UnknownName(f"{settings.source} has no subject {subject_id!r}; it has {len(known)}, the first {min(known)}")
    wanted = ({*settings.subjects} or known) - {*settings.exclude}
    chosen = [case for case in cases if case.id in wanted]
    return chosen[: settings.limit]


def _job(settings: BuildSettings, case: Case, hashes: RememberedHashes) -> Job:
    present = [case.file(part) for part in ("mr", "ct", "mask") if case.file(part).is_file()]
    sources = hashes.of_all(present)
    key = digest([sources, recipe_fingerprint(settings.recipe, case.id)])
    return Job(case, settings.recipe, settings.out, key, sources, settings.threads)
