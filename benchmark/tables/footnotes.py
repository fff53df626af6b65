"""What a reader must know beside the numbers: on what, how many, measured how, what is missing and why."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from benchmark.record import RunRecord
from benchmark.tables import paper
from benchmark.tables.scores import Scores
from benchmark.tables.statistics import DRAWS, FEWEST_PEOPLE
from benchmark.tables.table import Cell
from srreg.labels import SCORED

_DEFINITIONS: Mapping[str, str] = {
    "dice": f"Dice: mean over {len(SCORED)} structures, labels moved by nearest neighbour. A structure absent from both "
    "images is left out, one absent from one counts: Dice 0, HD95 the volume's diagonal.",
    "hd95": "HD95: 95th percentile of both directed surface distances pooled, as the authors compute it; mean over structures.",
    "hd95_max": "HD95, max: the larger of the two directed 95th percentiles, as MONAI computes it.",
    "structures_lost": "Structures lost: how many one label map has and the other has not.",
    "structures_absent": "Structures absent: how many neither label map has.",
    "folding": "% |J| ≤ 0: share of all voxels where det(I + ∇u) ≤ 0, components matched to axes, central differences.",
    "nondiffeomorphic_volume": "Non-diffeomorphic volume: what the field, linear on tetrahedra, turns inside out, as share of "
    "the grid's volume (Liu et al. 2024, doi:10.1007/s11263-024-02047-1).",
    "log_jacobian_std": "SD of log |J|: over all voxels, determinants below 1e-9 taken for it.",
    "seconds": "Time: one registration after warm-up, device synchronized; reading the images is not in it.",
    "memory": "Memory: largest peak of any pair; allocated memory with weights on a CUDA device, growth of the process's "
    "resident memory on a CPU.",
}
_AUTHORS_FOLDING = (
    "The authors' script pairs component k with array axis 2 - k and counts |J| < 0, which is not the field's folding; "
    "only its numbers compare with the paper's."
)
# Measured on numbers without any difference: docs/decisions/0014-statistics.md.
_FEW = 10
_OF_FEW = (
    " Of few people it is too narrow: where there is no difference, it leaves out 0 in 28 to 49 of 100 cases of 3 people, "
    "in 3 to 19 of 6."
)


def general_notes(
    record: RunRecord,
    metrics: Iterable[str],
    sources: Iterable[RunRecord],
    what: str = "Mean ± standard deviation (population)",
) -> list[str]:
    """The notes on a whole table.

    Args:
        record: the run whose pairs are shown.
        metrics: the columns.
        sources: the runs that measured the numbers.
        what: the numbers are, over the pairs.
    """
    shown = set(metrics)
    definitions = [text for metric, text in _DEFINITIONS.items() if metric in shown]
    device = f"Device: {record.device}."
    made = list(sources)
    notes = [*_recipes_notes(made), *_versions_notes(made)]
    return [f"{what} {_pairs(record)}", _data_note(record), device, *notes, *definitions]


def folding_note(published: Mapping[str, Cell | None]) -> str:
    """How folding differs from the paper's, and what the authors' script would print.

    Args:
        published: row's name -> folding as that script computes it.
    """
    shown = [f"{name} {found.value:.2f} ± {found.spread:.2f}" for name, found in published.items() if found is not None]
    values = f" Here it would print: {', '.join(shown)}." if shown else ""
    return f"{_AUTHORS_FOLDING}{values}"


def times_note(seconds: Mapping[str, Sequence[float]], loads: Sequence[float]) -> str:
    """Median and quartiles of the times, which one slow pair moves less than mean and deviation; how busy the machine was.

    Args:
        seconds: row's name -> time of each pair.
        loads: of the machine, of all registrations; empty where nobody knows.
    """
    shown = []
    for name, values in seconds.items():
        low, middle, high = np.percentile(values, (25, 50, 75))
        shown.append(f"{name} {middle:.3g} [{low:.3g}, {high:.3g}]")
    note = f"Time, median [quartiles]: {', '.join(shown)}."
    if not loads:
        return note
    busy = f"{min(loads):.1f} to {max(loads):.1f}"
    return f"{note} Load of the machine meanwhile (processes at work, these included; mean of a minute): {busy}."


def structures_note(missing: Mapping[str, tuple[float, float]]) -> str | None:
    """How often the rule for missing structures was used; None where all were there.

    Args:
        missing: row's name -> structures of all registrations that are in one label map only, and in neither.
    """
    told = [f"{name} {lost:.0f} and {absent:.0f}" for name, (lost, absent) in missing.items() if lost + absent]
    if not told:
        return None
    return f"Structures of all registrations that are in one label map only, and in neither: {', '.join(told)}."


def interval_note(people: int) -> str:
    """How the intervals of confidence were made, or why there are none."""
    if people < FEWEST_PEOPLE:
        return f"No intervals of confidence: {people} test people, and drawing people takes at least {FEWEST_PEOPLE}."
    return (
        f"[low, high]: 95 % interval of the mean, from {DRAWS} draws of {people} people out of the {people}, with replacement: "
        "people are drawn, not pairs. A pair counts as often as its moving person was drawn, times as often as its fixed "
        "person was; somebody drawn twice makes no pair with himself." + (_OF_FEW if people < _FEW else "")
    )


def paper_note(record: RunRecord) -> str:
    """What stands beside the paper's numbers, and how far they compare."""
    is_same = record.protocol == "paper" and len(record.pairs) == paper.PAIRS
    protocol = "same protocol" if is_same else f"the paper's protocol has {paper.PAIRS} pairs of 20 people"
    heads = ", simulated heads" if record.dataset.is_simulated else ""
    return (
        f"Paper: as printed in {paper.SOURCE}; {protocol}, other labels and split{heads}: a difference (ours less the paper's) "
        "is no sign that one is wrong. The paper's times and memory are of another device, its memory is what was reserved, "
        "in 10^9 bytes: no difference is given."
    )


def row_notes(method: str, scores: Scores, asked: RunRecord, titles: Mapping[str, str]) -> list[str]:
    """The notes on one method's row: why there is nothing, what is missing of it, or what went wrong in its training.

    Args:
        method: whose row.
        scores: the numbers of the table.
        asked: the last run that was asked for the method.
        titles: metric -> its column's heading.
    """
    have, wanted, trainings = scores.registered(method), scores.wanted(method), scores.trainings(method)
    failures = [failure for failure in asked.failed if failure.method == method]
    notes = []
    if have < wanted:
        reasons = [failure.reason for failure in failures if failure.pair or not have]
        notes += _missing_notes(have, wanted, asked.skipped.get(method), reasons)
    if have:
        notes += [failure.reason for failure in failures if not failure.pair]
    if have and trainings > 1:
        notes.append(_trainings_note(method, scores, is_complete=have == wanted))
    for metric, title in titles.items():
        if 0 < scores.numbers(method, metric) < have:
            notes.append(f"{title}: {scores.numbers(method, metric)} of {have} registrations have a number")
    return [" ".join(note.split()) for note in notes]


def _missing_notes(have: int, wanted: int, skipped: str | None, reasons: Sequence[str]) -> list[str]:
    notes = [] if skipped is None else [f"skipped: {skipped}"]
    if have or skipped is None:
        notes.append(f"{have} of {wanted} registrations{f'; failed: {reasons[0]}' if reasons else ''}")
    return notes


def _trainings_note(method: str, scores: Scores, *, is_complete: bool) -> str:
    """How many there are, and how far they lie apart where they can be compared."""
    trainings = scores.trainings(method)
    if not is_complete:
        return f"each pair is the mean of up to {trainings} trainings"
    each = [f"{mean:.2f} (seed {seed})" for seed, mean in scores.by_training(method, "dice").items()]
    apart = f", whose Dice is {', '.join(each)}" if each else ""
    return f"each pair is the mean of {trainings} trainings{apart}"


def _recipes_notes(sources: Iterable[RunRecord]) -> list[str]:
    """How the methods that learn were trained; nothing where none was trained here."""
    found: dict[str, dict[str, None]] = {}  # recipe -> its methods, as an ordered set
    for record in sources:
        given = record.settings.get("weights") or ()
        learned = [entry.method for entry in record.entries if entry.weights and entry.method not in given]  # type: ignore[operator]
        if learned and "profile" in record.settings:
            found.setdefault(_recipe(record.settings), {}).update(dict.fromkeys(learned))
    told = [f"{recipe} ({', '.join(methods)})" for recipe, methods in found.items()]
    return [f"Trained with {' and '.join(told)}."] if told else []


def _recipe(settings: Mapping[str, object]) -> str:
    epochs = settings.get("epochs")
    return f"profile `{settings['profile']}`{'' if epochs is None else f' for {epochs} epochs'}"


def _versions_notes(sources: Iterable[RunRecord]) -> list[str]:
    """Nothing where all numbers are of the same versions."""
    found: dict[str, dict[str, None]] = {}  # name -> its versions, as an ordered set
    for record in sources:
        for name, version in {**record.versions, "commit": (record.commit or "unknown")[:12]}.items():
            found.setdefault(name, {})[version] = None
    mixed = [f"{name} {' and '.join(versions)}" for name, versions in found.items() if len(versions) > 1]
    return [f"The numbers were not all measured with the same versions: {'; '.join(mixed)}."] if mixed else []


def _pairs(record: RunRecord) -> str:
    many = len(record.pairs)
    text = f"over {many} {'pair' if many == 1 else 'pairs'} of the test split"
    if record.protocol == "paper":
        return f"{text}, protocol `paper`: each test subject in one pair, MR moving, CT fixed."
    reason = ""
    if record.paper_pairs < paper.PAIRS:
        reason = f" The protocol `paper` gives {record.paper_pairs} here, fewer than the paper's {paper.PAIRS}."
    return f"{text}, protocol `all`: every ordered pair of two people, MR moving, CT fixed.{reason}"


def _data_note(record: RunRecord) -> str:
    data = record.dataset
    simulated = " **Simulated heads, not patients.**" if data.is_simulated else ""
    subjects = f"{data.subjects} subjects, {data.test_subjects} of them test, {data.grid}"
    return f"Data: {data.name}, {subjects}; digest {data.digest}.{simulated}"
