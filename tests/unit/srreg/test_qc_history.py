import json
from pathlib import Path

import pytest

from srreg.qc.history import StepLine, read_history, without_folders


def write(path: Path, *records: object) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def test_the_steps_of_each_subject_are_listed_in_their_order(tmp_path: Path) -> None:
    manifest = write(
        tmp_path / "manifest.jsonl",
        {"subject": "a", "step": "strip", "status": "built", "seconds": 2.25, "key": "0123456789abcdef", "started": 1.5},
        {"subject": "b", "step": "build", "status": "failed", "reason": "/home/jane/mr.nii.gz: was cut off"},
        {"subject": "a", "step": "align", "status": "cached", "started": 1.5},
    )
    assert read_history(manifest) == {
        "a": [StepLine("strip", "built", "2.2", "0123456789ab", ""), StepLine("align", "cached", "", "", "")],
        "b": [StepLine("build", "failed", "", "", "mr.nii.gz: was cut off")],
    }


def test_what_is_no_record_is_passed_over(tmp_path: Path) -> None:
    manifest = write(tmp_path / "m.jsonl", 7, {"step": "no subject"}, {"subject": "a"}, {"subject": "b", "seconds": "soon"})
    manifest.write_text(manifest.read_text() + '{"subject": "a", "st')
    assert set(read_history(manifest)) == {"a", "b"}


def test_no_manifest_is_no_history(tmp_path: Path) -> None:
    assert read_history(tmp_path / "manifest.jsonl") == {}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/home/jane/data/1BA001/mr.nii.gz: was cut off", "mr.nii.gz: was cut off"),
        (r"C:\Users\Jane Doe\mr.nii.gz is empty", "mr.nii.gz is empty"),
        ("expected '/data/jane/ct.nii.gz'", "expected 'ct.nii.gz'"),
        ("see README, 5 mm/voxel and 1/2", "see README, 5 mm/voxel and 1/2"),
        ("https://example.org/a/b", "https://example.org/a/b"),
    ],
)
def test_folders_are_taken_out_of_texts(text: str, shown: str) -> None:
    assert without_folders(text) == shown
