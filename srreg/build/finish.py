"""The files of the data set as a whole: participants, labels, description, splits, pairs, manifest."""

import json
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from srreg.build import splits as drawn
from srreg.build.publish import sidecar_of
from srreg.build.splits import Splits
from srreg.build.worker import record_file
from srreg.dataset import Participant
from srreg.errors import DataError
from srreg.files import read_json, tsv, write_json, write_text
from srreg.labels import LABELS


def write_description(root: Path, recipe: Mapping[str, object], is_simulated: bool) -> None:
    """`dataset_description.json`, after BIDS derivatives."""
    source = {
        "Name": "simulated heads (srreg simulate)" if is_simulated else "SynthRAD 2023, Task 1, brain",
        "DOI": None if is_simulated else "doi:10.5281/zenodo.7260705",
    }
    write_json(
        root / "dataset_description.json",
        {
            "Name": "SR-Reg (simulated)" if is_simulated else "SR-Reg, rebuilt",
            "BIDSVersion": "1.10.0",
            "DatasetType": "derivative",
            "License": "CC0-1.0" if is_simulated else "CC-BY-NC-4.0",
            "GeneratedBy": [{"Name": "srreg", "Version": version("srreg")}],
            "SourceDatasets": [source],
            "HowToAcknowledge": "Cite Guo et al. 2024 (arXiv:2401.13934) and Thummerer et al. 2023 (doi:10.1002/mp.16529).",
            "Recipe": dict(recipe),
            "Simulated": is_simulated,
        },
    )


def write_label_table(root: Path) -> None:
    """`labels.tsv`."""
    rows = [
        {"index": label.index, "name": label.name, "scored": "yes" if label.is_scored else "no", "colour": label.colour}
        for label in LABELS
    ]
    write_text(root / "labels.tsv", tsv(("index", "name", "scored", "colour"), rows))


def write_participants(root: Path, participants: Iterable[Participant]) -> None:
    """`participants.tsv`, in the order of ids."""
    rows = [p.row() for p in sorted(participants, key=lambda p: p.id)]
    write_text(root / "participants.tsv", tsv(Participant.COLUMNS, rows))


def write_splits(root: Path, splits: Splits, participants: Sequence[Participant]) -> None:
    """`splits/` and `pairs/`, of what is built."""
    subjects = {p.id: p.person for p in participants if p.status == "built"}
    drawn.write(root / "splits", splits, subjects)
    for name in ("val", "test"):
        ids = drawn.subjects_of(splits, name, subjects)
        drawn.write_pairs(root / "pairs" / f"{name}.csv", splits, ids, subjects)


def write_manifest(root: Path, participants: Sequence[Participant], fresh: frozenset[str]) -> None:
    """`manifest.jsonl`: a line per subject and step.

    Args:
        root: the data set.
        participants: everybody in it.
        fresh: who was worked on in this run; the others' lines say `cached`.
    """
    lines = [line for p in sorted(participants, key=lambda p: p.id) for line in _lines(root, p, p.id in fresh)]
    write_text(root / "manifest.jsonl", "".join(json.dumps(line, sort_keys=True) + "\n" for line in lines))


def _lines(root: Path, participant: Participant, is_fresh: bool) -> list[dict[str, object]]:
    told = {"subject": participant.id, "status": participant.status, "reason": participant.reason}
    if not participant.is_published:
        return [{**told, "step": "build"}]
    steps = sidecar_of(root, participant.id)["Steps"]
    assert isinstance(steps, list)
    times = _times(root, participant.id)
    lines = [_line(participant.id, step, times.get(step["step"], {}), is_fresh) for step in steps]
    return lines if participant.status == "built" else [*lines, {**told, "step": "rate"}]


def _line(subject_id: str, step: Mapping[str, object], time: Mapping[str, object], is_fresh: bool) -> dict[str, object]:
    status = "built" if is_fresh and not time.get("cached", True) else "cached"
    return {"subject": subject_id, "status": status, **step, **{k: v for k, v in time.items() if k != "cached"}}


def _times(root: Path, subject_id: str) -> dict[str, dict[str, object]]:
    """Step -> when it began, how long it took, whether it was cached; empty if the record was deleted."""
    try:
        record = read_json(record_file(root, subject_id))
    except DataError:
        return {}
    steps = record["steps"]
    assert isinstance(steps, list)
    return {
        step["step"]: {"cached": step["cached"], "seconds": round(step["seconds"], 3), "started": record["started"]}
        for step in steps
    }
