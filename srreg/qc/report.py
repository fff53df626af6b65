"""The QC report of a data set: examine every built subject, write the pages, record the verdicts."""

import contextlib
import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from srreg.dataset import Dataset, Participant
from srreg.errors import DataError, UsageError
from srreg.files import tsv, write_text
from srreg.qc import checks
from srreg.qc.examination import Examination, examine_subject
from srreg.qc.history import read_history
from srreg.qc.pages import Row, index_page, page_name, subject_page
from srreg.ratings import Rating, decided, key_of, read_ratings
from srreg.subject import checked_id

# Called as each subject is done: its id, how many are done, how many there are.
Progress = Callable[[str, int, int], None]

TABLE_COLUMNS = ("participant_id", "check", "value", "unit", "limit", "verdict", "note")
KEPT = ".srreg-qc"  # examinations, so that an unchanged subject is not measured twice; safe to delete


@dataclass(frozen=True)
class Report:
    """What was written.

    Args:
        index: where the index page lies.
        failed: built subjects whose verdict is `fail`, and why: they cannot be read, or which checks they fail.
    """

    index: Path
    failed: Mapping[str, str]


def write_report(dataset: Dataset, out: Path | None = None, n_procs: int = 1, progress: Progress | None = None) -> Report:
    """Write the index, a page a subject and `qc.tsv` beside it, and the verdicts into `participants.tsv`.

    Args:
        dataset: what to report on; subjects that failed or were excluded are listed with their reason.
        out: the index page, a file; None: `qc/index.html` in the data set.
        n_procs: how many subjects are examined at once.
        progress: told of each subject.

    Raises:
        UsageError: `out` is a folder, or lies in a file.
        DataError: the data set lists nobody at all.
        NoRoom: the disk is full.
    """
    index = dataset.root / "qc" / "index.html" if out is None else out
    check_place(index)
    if not dataset.participants:
        raise DataError(f"{dataset.root / 'participants.tsv'} lists no subjects; there is nothing to report. See: srreg status")
    rows = _rows(dataset, index.parent / KEPT, n_procs, progress)
    _write_subject_pages(dataset, rows, index)
    write_text(index.parent / "qc.tsv", _table(rows))
    _record_verdicts(dataset, rows)
    write_text(index, index_page(title_of(dataset), rows))
    return Report(index, {row.participant.id: row.objection for row in rows if row.verdict == "fail"})


def check_place(index: Path) -> None:
    """Refuse before the work what could not be written after it."""
    if index.is_dir():
        raise UsageError(f"{index} is a folder; expected a file")
    above = next(folder for folder in index.absolute().parents if folder.exists())
    if not above.is_dir():
        raise UsageError(f"{index} cannot be written: {above} is a file, not a folder")


def _rows(dataset: Dataset, kept: Path, n_procs: int, progress: Progress | None) -> list[Row]:
    built = [p for p in dataset.participants if p.is_published]
    found: dict[str, Examination] = {}
    for examination in _examinations(dataset, built, kept, n_procs):
        found[examination.subject] = examination
        if progress is not None:
            progress(examination.subject, len(found), len(built))
    return rows_of(dataset, found, read_ratings(dataset.root))


def rows_of(dataset: Dataset, found: Mapping[str, Examination], ratings: Sequence[Rating]) -> list[Row]:
    """A row for each participant: what was found on whom, and the newest rating of the images that are there now."""
    decisions = decided(dataset.root, ratings)
    return [Row(p, found.get(p.id), decisions.get(p.id), _key(dataset, p)) for p in dataset.participants]


def _key(dataset: Dataset, participant: Participant) -> str:
    return key_of(dataset.root, participant.id) if participant.is_published else ""


def _examinations(dataset: Dataset, built: Sequence[Participant], kept: Path, n_procs: int) -> Iterator[Examination]:
    jobs = [(dataset, participant, kept) for participant in built]
    if n_procs <= 1 or len(jobs) <= 1:
        yield from (examine_subject(*job) for job in jobs)
        return
    # Spawned, not forked: libraries that have started threads do not survive a fork.
    with ProcessPoolExecutor(min(n_procs, len(jobs)), mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(_examine, jobs)


def _examine(job: tuple[Dataset, Participant, Path]) -> Examination:
    return examine_subject(*job)


def _write_subject_pages(dataset: Dataset, rows: Sequence[Row], index: Path) -> None:
    history = read_history(dataset.root / "manifest.jsonl")
    shown = [row for row in rows if row.page]
    for before, row, after in zip([None, *shown], shown, [*shown[1:], None], strict=False):
        page = subject_page(title_of(dataset), row, history.get(row.participant.id, []), index.name, before, after)
        write_text(index.parent / row.page, page)
    for row in rows:
        if not row.page:
            _withdraw_page(row.participant.id, index.parent)


def _withdraw_page(subject_id: str, folder: Path) -> None:
    """A subject that has no page any more must not leave its old one; what is no id never had one."""
    with contextlib.suppress(DataError):
        (folder / page_name(checked_id(subject_id))).unlink(missing_ok=True)


def _table(rows: Sequence[Row]) -> str:
    known = {check.name: check for check in checks.CHECKS}
    cells = [
        {
            "participant_id": f"sub-{row.participant.id}",
            "check": finding.check,
            "value": None if finding.verdict == "n/a" else f"{finding.value:.6g}",
            "unit": known[finding.check].unit or None,
            "limit": known[finding.check].limits,
            "verdict": finding.verdict,
            "note": finding.note or None,
        }
        for row in rows
        for finding in row.findings.values()
    ]
    return tsv(TABLE_COLUMNS, cells)


def _record_verdicts(dataset: Dataset, rows: Sequence[Row]) -> None:
    """Fill the `qc` column of `participants.tsv`; a file that would not change is left alone."""
    path = dataset.root / "participants.tsv"
    text = tsv(Participant.COLUMNS, [replace(row.participant, qc=row.verdict).row() for row in rows])
    if path.read_bytes() != text.encode():
        write_text(path, text)


def title_of(dataset: Dataset) -> str:
    """What the report is headed with."""
    return str(dataset.description.get("Name", "SR-Reg"))
