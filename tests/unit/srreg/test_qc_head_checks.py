import math
from dataclasses import replace
from pathlib import Path

import phantom
import pytest

from srreg.build.head_measures import HeadMeasures
from srreg.dataset import Dataset, file_of
from srreg.files import read_json, read_tsv, write_json
from srreg.qc import checks
from srreg.qc.case import Case
from srreg.qc.finding import Finding
from srreg.qc.report import write_report

SOUND = HeadMeasures({}, 0.0, 0.0, 0.0, 12.0, 10.0, 12.0, 10.0)
NAMES = ("brain-cut-off", "brain-without-image", "beside-the-head", "labels-in-steps", "mr-in-steps", "ct-in-steps")


def finding(name: str, head: HeadMeasures | None) -> Finding:
    check = next(c for c in checks.CHECKS if c.name == name)
    return check(Case(phantom.head(), head=head))


@pytest.mark.parametrize("name", NAMES)
def test_a_sound_head_passes_and_one_that_was_not_measured_is_not_judged(name: str) -> None:
    assert finding(name, SOUND).verdict == "pass"
    unknown = finding(name, None)
    assert (unknown.verdict, unknown.note) == ("n/a", "the whole head was not measured")


@pytest.mark.parametrize(
    ("name", "head", "value", "verdict", "note"),
    [
        ("brain-cut-off", {"cut_cm2": {"bottom": 3.0, "top": 40.0, "left": 0.04}}, 43.04, "fail", "top 40.0, bottom 3.0"),
        ("brain-cut-off", {"cut_cm2": {"front": 8.0}}, 8, "warn", "front 8.0"),
        ("brain-without-image", {"mr_blank_ml": 2.0, "ct_blank_ml": 1.5}, 3.5, "warn", "MR 2.0, CT 1.5"),
        ("brain-without-image", {"ct_blank_ml": 30.0}, 30, "fail", "MR 0.0, CT 30.0"),
        ("beside-the-head", {"beside_ml": 400.0}, 400, "warn", ""),
        ("labels-in-steps", {"label_stairs": 60.0}, 60, "warn", ""),
        ("labels-in-steps", {"label_stairs": 99.0}, 99, "fail", ""),
        ("mr-in-steps", {"mr_bends": 70.0}, 70, "warn", "straight between slices"),
        ("mr-in-steps", {"mr_stairs": 100.0, "mr_bends": 50.0}, 100, "warn", "equal neighbours"),
        ("mr-in-steps", {"mr_stairs": math.nan, "mr_bends": math.nan}, math.nan, "n/a", "the brain is too small to tell"),
        ("ct-in-steps", {"ct_stairs": 100.0}, 100, "warn", ""),
    ],
)
def test_a_fault_of_the_whole_head_is_told(name: str, head: dict[str, object], value: float, verdict: str, note: str) -> None:
    found = finding(name, replace(SOUND, **head))
    assert found.value == pytest.approx(value, nan_ok=True)
    assert (found.verdict, found.note) == (verdict, note)


def with_head(dataset: Dataset, subject_id: str, head: object) -> None:
    sidecar = file_of(dataset.root, subject_id, "labels", ".json")
    write_json(sidecar, {**read_json(sidecar), "Head": head})


def test_a_report_tells_what_the_build_measured_and_looks_again_when_that_changed(tmp_path: Path) -> None:
    dataset = phantom.write_dataset(tmp_path / "sr-reg", subjects=4)
    with_head(dataset, "1BA001", replace(SOUND, cut_cm2={"top": 40.0}).record())
    with_head(dataset, "1BA002", {"cut_cm2": "wide"})
    report = write_report(dataset)
    rows = read_tsv(report.index.parent / "qc.tsv")
    told = {row["participant_id"]: row for row in rows if row["check"] == "brain-cut-off"}
    assert (told["sub-1BA001"]["value"], told["sub-1BA001"]["verdict"]) == ("40", "fail")
    assert told["sub-1BA003"]["verdict"] == "n/a"
    assert "expected the measures of a head" in report.failed["1BA002"]
    with_head(dataset, "1BA001", SOUND.record())
    again = read_tsv(write_report(dataset).index.parent / "qc.tsv")
    assert {row["verdict"] for row in again if row["check"] == "brain-cut-off"} == {"pass", "n/a"}
