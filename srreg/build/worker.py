"""One subject, from its source files to the data set, in a process of its own."""

import logging
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter, time
from typing import NoReturn

from srreg.build.bias_record import record_bias
from srreg.build.cache import Cache
from srreg.build.head_measures import measure_head
from srreg.build.publish import Provenance, publish
from srreg.build.recipe import build_subject, recipe_fingerprint
from srreg.build.step import Step
from srreg.errors import UNFORESEEN, SrregError, StepFailed
from srreg.files import sha256, write_json
from srreg.sources.synthrad import Case, read_case
from srreg.subject import Subject


@dataclass(frozen=True)
class Job:
    """What a worker needs to build one subject."""

    case: Case
    recipe: tuple[Step, ...]
    root: Path
    build_key: str
    sources: Mapping[str, str]
    threads: int

    @property
    def record(self) -> Path:
        """Where the times of its steps are kept."""
        return record_file(self.root, self.case.id)


@dataclass(frozen=True)
class Outcome:
    """How it ended.

    Args:
        id: the subject's.
        status: `built` or `failed`.
        reason: why it failed, one line.
        exit_code: of the error.
        code: of the error, as `srreg.errors` lists them; empty if it was built.
        seconds: from the first file read to the last written.
        notes: warnings on the way.
        trace: where an error came from that nobody foresaw.
    """

    id: str
    status: str
    reason: str = ""
    exit_code: int = 0
    code: str = ""
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    trace: str = ""


class _Notes(logging.Handler):
    """Keeps what is logged as a warning: a child process has no log of its own."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def work_folder(root: Path) -> Path:
    """Cache, records and lock of a data set; hidden, and safe to delete when no build runs."""
    return root / ".build"


def scratch_folder(root: Path) -> Path:
    """Where outside tools work; empty when no build runs."""
    return work_folder(root) / "scratch"


def claims_folder(root: Path) -> Path:
    """Who builds which subject, where shards of a build run side by side."""
    return work_folder(root) / "claims"


def record_file(root: Path, subject_id: str) -> Path:
    """Where the times of a subject's steps are kept."""
    return work_folder(root) / "records" / f"{subject_id}.json"


def run(job: Job) -> Outcome:
    """Build one subject here and now; an error a user can cause becomes an outcome."""
    started, notes = perf_counter(), _Notes()
    logging.getLogger().addHandler(notes)
    status, reason, exit_code, code, trace = "built", "", 0, "", ""
    try:
        _build(job)
    except SrregError as error:
        status, reason, exit_code, code = "failed", str(error), error.exit_code, error.code
    except Exception as error:  # a tool's own error, or a bug of ours: it costs this subject only
        last_line = (str(error).strip().splitlines() or [""])[-1].strip()
        status, exit_code, code, trace = "failed", 1, UNFORESEEN, traceback.format_exc()
        reason = f"unexpected {type(error).__name__}: {last_line} (srreg -v build shows where)"
    finally:
        logging.getLogger().removeHandler(notes)
    return Outcome(job.case.id, status, reason, exit_code, code, perf_counter() - started, tuple(notes.lines), trace)


def run_in_child(job: Job, answer: Connection) -> None:
    """Entry of the child process: limit its threads before any library starts some, build, send the outcome."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"):
        os.environ[name] = str(job.threads)
    scratch = scratch_folder(job.root)
    scratch.mkdir(parents=True, exist_ok=True)
    os.environ["TMPDIR"] = str(scratch.resolve())  # what a library leaves in it goes when the build ends
    threading.Thread(target=_die_with_parent, daemon=True).start()
    signal.signal(signal.SIGTERM, _leave)  # an exception, so that tools are ended and their folders removed
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent answers a Ctrl-C for all
    answer.send(run(job))
    answer.close()


def _die_with_parent() -> None:
    """A killed build holds no lock any more, so nothing may go on writing for it."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _leave(number: int, frame: object) -> NoReturn:
    raise SystemExit(128 + number)


def _build(job: Job) -> None:
    started = time()
    subject, brain_ml, head, steps = read_case(job.case), 0.0, None, []
    for built, record in build_subject(subject, job.recipe, Cache(work_folder(job.root) / "cache")):
        if record.step == "strip_skull":
            brain_ml = _brain_ml(built)
        if record.step == "segment_brain":
            head = measure_head(built)  # the last steps leave the masked brain alone
        steps.append(record)
        subject = built
    parameters = {step.name: dict(step.parameters(subject.id)) for step in job.recipe}
    write_json(job.record, {"started": started, "steps": [asdict(step) for step in steps]})
    keys = [{"step": step.step, "key": step.key, "outputs": asdict(step)["outputs"]} for step in steps]
    recipe_key = recipe_fingerprint(job.recipe, subject.id)
    _check_unchanged(job)
    bias = record_bias(subject)
    publish(job.root, subject, Provenance(job.build_key, recipe_key, job.sources, parameters, keys, brain_ml, head, bias))


def _check_unchanged(job: Job) -> None:
    """What was read is what the subject's key says it was made from; 0.1 s for a head of 1 mm."""
    for name, expected in job.sources.items():
        if sha256(job.case.folder / name) != expected:
            raise StepFailed(f"{job.case.folder / name} changed while it was being built; run srreg build again")


def _brain_ml(subject: Subject) -> float:
    return 0.0 if subject.brain is None else subject.brain.volume_ml()
