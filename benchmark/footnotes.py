"""What a reader must know beside the numbers: on what, how many, measured how, what is missing and why."""

from collections.abc import Collection, Iterable, Mapping

from benchmark.record import RunRecord
from benchmark.scores import Scores, Summary
from srreg.labels import SCORED

_ENOUGH_PAIRS = 10  # as many as the paper has

_DEFINITIONS: Mapping[str, str] = {
    "dice": f"Dice: mean over {len(SCORED)} structures, labels moved by nearest neighbour. A structure absent from both "
    "images is left out, one absent from one counts: Dice 0, HD95 the volume's diagonal.",
    "hd95": "HD95: 95th percentile of both directed surface distances pooled, as the authors compute it; mean over structures.",
    "folding": "% |J| ≤ 0: share of all voxels where det(I + ∇u) ≤ 0, components matched to axes, central differences.",
    "seconds": "Time: one registration after warm-up, device synchronized; reading the images is not in it.",
    "memory": "Memory: largest peak of any pair; allocated memory with weights on a CUDA device, growth of the process's "
    "resident memory on a CPU.",
}


def general_notes(
    record: RunRecord, metrics: Collection[str], published: Mapping[str, Summary | None], sources: Iterable[RunRecord]
) -> list[str]:
    """The notes on a whole table.

    Args:
        record: the run whose pairs are shown.
        metrics: the columns.
        published: row's name -> folding as the authors' script computes it.
        sources: the runs that measured the numbers.
    """
    notes = [_pairs_note(record), _data_note(record), f"Device: {record.device}.", *_versions_notes(sources)]
    for metric, text in _DEFINITIONS.items():
        if metric in metrics:
            notes.append(text)
    if "folding" in metrics:
        notes.append(_published_note(published))
    return notes


def row_notes(method: str, scores: Scores, asked: RunRecord, titles: Mapping[str, str]) -> list[str]:
    """The notes on one method's row: why there is nothing, or what is missing of it.

    Args:
        method: whose row.
        scores: the numbers of the table.
        asked: the last run that was asked for the method.
        titles: metric -> its column's heading.
    """
    have, wanted, trainings = scores.registered(method), scores.wanted(method), scores.trainings(method)
    notes = _missing_notes(method, have, wanted, asked) if have < wanted else []
    if have and trainings > 1:
        notes.append(f"each pair is the mean of {'up to ' if have < wanted else ''}{trainings} trainings")
    for metric, title in titles.items():
        if 0 < scores.numbers(method, metric) < have:
            notes.append(f"{title}: {scores.numbers(method, metric)} of {have} registrations have a number")
    return [" ".join(note.split()) for note in notes]


def _missing_notes(method: str, have: int, wanted: int, asked: RunRecord) -> list[str]:
    skipped = asked.skipped.get(method)
    notes = [] if skipped is None else [f"skipped: {skipped}"]
    if have or skipped is None:
        reasons = [failure.reason for failure in asked.failed if failure.method == method]
        notes.append(f"{have} of {wanted} registrations{f'; failed: {reasons[0]}' if reasons else ''}")
    return notes


def _versions_notes(sources: Iterable[RunRecord]) -> list[str]:
    """Nothing where all numbers are of the same versions."""
    found: dict[str, dict[str, None]] = {}  # name -> its versions, as an ordered set
    for record in sources:
        for name, version in {**record.versions, "commit": (record.commit or "unknown")[:12]}.items():
            found.setdefault(name, {})[version] = None
    mixed = [f"{name} {' and '.join(versions)}" for name, versions in found.items() if len(versions) > 1]
    return [f"The numbers were not all measured with the same versions: {'; '.join(mixed)}."] if mixed else []


def _pairs_note(record: RunRecord) -> str:
    many = len(record.pairs)
    text = f"Mean ± standard deviation (population) over {many} {'pair' if many == 1 else 'pairs'} of the test split"
    if record.protocol == "paper":
        return f"{text}, protocol `paper`: each test subject in one pair, MR moving, CT fixed."
    reason = ""
    if record.paper_pairs < _ENOUGH_PAIRS:
        reason = f" The protocol `paper` gives {record.paper_pairs} here, fewer than the paper's {_ENOUGH_PAIRS}."
    return f"{text}, protocol `all`: every ordered pair of two people, MR moving, CT fixed.{reason}"


def _data_note(record: RunRecord) -> str:
    data = record.dataset
    simulated = " **Simulated heads, not patients.**" if data.is_simulated else ""
    subjects = f"{data.subjects} subjects, {data.test_subjects} of them test, {data.grid}"
    return f"Data: {data.name}, {subjects}; digest {data.digest}.{simulated}"


def _published_note(published: Mapping[str, Summary | None]) -> str:
    shown = [f"{name} {found.value:.2f} ± {found.spread:.2f}" for name, found in published.items() if found is not None]
    values = f" Here it would print: {', '.join(shown)}." if shown else ""
    return (
        "The authors' script pairs component k with array axis 2 - k and counts |J| < 0, which is not the field's folding; "
        f"only its numbers compare with the paper's.{values}"
    )
