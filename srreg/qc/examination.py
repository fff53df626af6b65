"""One subject, measured and drawn: what its page is made of, kept as JSON so that it is made once."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from srreg.build.bias_record import bias_from_record
from srreg.build.head_measures import HeadMeasures
from srreg.build.step import digest
from srreg.dataset import SUFFIXES, Dataset, Participant
from srreg.errors import DataError
from srreg.files import read_json, write_text
from srreg.qc import checks, figures
from srreg.qc.case import Case
from srreg.qc.figures import Strip
from srreg.qc.finding import Finding, Verdict, worst
from srreg.qc.grey_checks import unevenness
from srreg.qc.histograms import Curve, curves_of
from srreg.qc.history import without_folders
from srreg.subject import Subject, checked_id
from srreg.volume import Volume

# Raise it when figures or this file's layout change, so that kept ones are made anew.
_LAYOUT = 3


@dataclass(frozen=True)
class Examination:
    """What was found on one built subject.

    Args:
        key: of what it was made from; empty where that is not known, and then it is made again each time.
        trouble: why it could not be examined; empty where it could.
        grid: shape and voxel size, as text.
        brain_ml, label_ml: volumes on the data set's grid.
        odd_regions: labels whose volume is implausible.
        unevenness_before: what the check `mr_evenness` says of the MR before its intensity was corrected; None: not known.
    """

    subject: str
    key: str
    findings: tuple[Finding, ...] = ()
    trouble: str = ""
    grid: str = ""
    brain_ml: float = 0.0
    label_ml: tuple[tuple[int, float], ...] = ()
    odd_regions: tuple[int, ...] = ()
    strips: tuple[Strip, ...] = ()
    curves: tuple[Curve, ...] = ()
    thumbnail: str = ""
    unevenness_before: float | None = None

    @property
    def verdict(self) -> Verdict:
        """The worst finding; `fail` where nothing could be examined."""
        return "fail" if self.trouble else worst(finding.verdict for finding in self.findings)


def examine_subject(dataset: Dataset, participant: Participant, kept: Path) -> Examination:
    """Measure and draw a subject, or take what was kept of the same voxels and the same checks.

    Args:
        dataset: where its files lie.
        participant: a built subject.
        kept: the folder where examinations are kept between reports.

    A subject whose files cannot be read, or are not those that were built, gives an examination with its trouble.
    """
    key = ""
    try:
        key, path = _whole(dataset, participant, kept)
        return load(path, key) or save(path, _examined(dataset, participant, key))
    except DataError as error:
        return Examination(participant.id, key, trouble=without_folders(str(error)))


def kept_examination(dataset: Dataset, participant: Participant, kept: Path) -> Examination | None:
    """What the last report found on a subject as he is built now, for the same arguments; None where it did not see him so."""
    try:
        key, path = _whole(dataset, participant, kept)
    except DataError as error:
        return Examination(participant.id, "", trouble=without_folders(str(error)))
    return load(path, key)


def _whole(dataset: Dataset, participant: Participant, kept: Path) -> tuple[str, Path]:
    """The key of a subject's examination and where it is kept, if his files are those that were built."""
    path = kept / f"sub-{checked_id(participant.id)}.json"
    check_sizes(dataset, participant.id)
    return examination_key(dataset, participant), path


def examination_key(dataset: Dataset, participant: Participant) -> str:
    """What an examination depends on: voxels, native volume, measures of the whole head, bias field, checks and layout.

    Raises:
        DataError: the MR's or the label map's sidecar is missing, or the latter has no `SubjectKey`.
    """
    path = dataset.file(participant.id, "labels", ".json")
    sidecar = read_json(path)
    subject_key = sidecar.get("SubjectKey")
    if not isinstance(subject_key, str):
        raise DataError(f"{path.name}: has no SubjectKey; run srreg build again")
    measured = digest([sidecar.get("Head"), read_json(dataset.file(participant.id, "mr", ".json")).get("Bias")])
    return f"{subject_key} {participant.brain_ml} {measured} {checks.VERSION}.{_LAYOUT}"


def check_sizes(dataset: Dataset, subject_id: str) -> None:
    """Refuse files that are not as long as their sidecars say: they were damaged since.

    Raises:
        DataError: a file or a sidecar is missing, or a size is another.
    """
    for kind in SUFFIXES:
        path, sidecar = dataset.file(subject_id, kind), dataset.file(subject_id, kind, ".json")
        expected = read_json(sidecar).get("Size")
        found = path.stat().st_size if path.is_file() else None
        if expected is None:
            raise DataError(f"{sidecar}: has no Size; run srreg build again")
        if found != expected:
            there = "it is missing" if found is None else f"it has {found}"
            raise DataError(f"{path}: was built with {expected} bytes, {there}; run srreg build again")


def _examined(dataset: Dataset, participant: Participant, key: str) -> Examination:
    path = dataset.file(participant.id, "labels", ".json")
    sidecar = read_json(path)
    frame = str(sidecar.get("SpatialReference", ""))
    native_ml = None if frame.startswith("as released") else participant.brain_ml  # of an import it is the aligned mask's
    subject = dataset.read(participant.id)
    bias = _bias(dataset, subject)
    case = Case(subject, native_ml, frame.startswith("ICBM 152"), _head(sidecar, path), bias)
    drawing = figures.draw(case)
    return Examination(
        subject=participant.id,
        key=key,
        findings=tuple(checks.examine(case)),
        grid=str(case.subject.mr.grid),
        brain_ml=case.brain_ml,
        label_ml=tuple(case.label_ml.items()),
        odd_regions=tuple(checks.odd_regions(case)),
        strips=drawing.strips,
        curves=curves_of(case),
        thumbnail=drawing.thumbnail,
        unevenness_before=None if case.uncorrected is None else _rounded(unevenness(case, case.uncorrected[case.box])),
    )


def _head(sidecar: Mapping[str, object], path: Path) -> HeadMeasures | None:
    if sidecar.get("Head") is None:
        return None
    try:
        return HeadMeasures.from_record(sidecar["Head"])
    except DataError as error:
        raise DataError(f"{path.name}: {error}; run srreg build again") from error


def _bias(dataset: Dataset, subject: Subject) -> Volume | None:
    path = dataset.file(subject.id, "mr", ".json")
    record = read_json(path).get("Bias")
    try:
        return None if record is None else bias_from_record(record, subject.mr.grid)
    except DataError as error:
        raise DataError(f"{path.name}: {error}; run srreg build again") from error


def _rounded(number: float) -> float | None:
    return None if math.isnan(number) else round(number, 2)


def save(path: Path, examination: Examination) -> Examination:
    """Keep an examination as JSON (nan as null)."""
    record = asdict(examination)
    for finding in record["findings"]:
        finding["value"] = None if math.isnan(finding["value"]) else finding["value"]
    write_text(path, json.dumps(record, allow_nan=False))
    return examination


def load(path: Path, key: str) -> Examination | None:
    """What was kept, if it was made from the same; None where it was not, or cannot be read."""
    try:
        record = read_json(path)
        return _from_record(record) if record.get("key") == key else None
    except (DataError, TypeError, KeyError, ValueError):
        return None


def _from_record(record: dict[str, Any]) -> Examination:
    findings = [{**f, "value": math.nan if f["value"] is None else f["value"]} for f in record["findings"]]
    strips = [{**s, "letters": tuple(s["letters"]), "places_mm": tuple(s["places_mm"])} for s in record["strips"]]
    kept = {
        "findings": tuple(Finding(**f) for f in findings),
        "strips": tuple(Strip(**s) for s in strips),
        "curves": tuple(Curve(**c) for c in record["curves"]),
        "odd_regions": tuple(record["odd_regions"]),
        "label_ml": tuple((int(index), float(ml)) for index, ml in record["label_ml"]),
    }
    return Examination(**{**record, **kept})
