"""`srreg export` and `srreg import` as a person types them: out to the authors' layout and back."""

import json
import subprocess
import sys

import numpy as np
import pytest
from building import srreg

from srreg.dataset import Dataset


def test_a_built_data_set_goes_out_and_comes_back_with_the_same_voxels(built, tmp_path):
    _, root = built
    out = srreg("export", root, "--to", "mambamorph", "--out", tmp_path / "out")
    assert out.returncode == 0, out.stderr
    back = srreg("import", "--from", "mambamorph", tmp_path / "out", "--out", tmp_path / "back")
    assert back.returncode == 0, back.stderr
    assert "6 imported, 0 ready before" in back.stdout
    one, other = Dataset.open(root), Dataset.open(tmp_path / "back")
    assert one.subjects == other.subjects
    for subject_id in one.subjects:
        first, second = one.read(subject_id), other.read(subject_id)
        assert all(np.array_equal(getattr(first, k).data, getattr(second, k).data) for k in ("mr", "ct", "labels"))
    status = srreg("status", tmp_path / "back", "--deep", "--json")
    assert json.loads(status.stdout)["damaged"] == []


def test_bench_runs_on_what_was_imported(built, tmp_path):
    _, root = built
    srreg("export", root, "--to", "mambamorph", "--out", tmp_path / "out")
    srreg("import", "--from", "mambamorph", tmp_path / "out", "--out", tmp_path / "back")
    code = "import sys; from cli import main_bench; main_bench()"
    line = [sys.executable, "-c", code, "run", "--methods", "initial", "--data", tmp_path / "back", "--out", tmp_path / "runs"]
    told = subprocess.run([*map(str, line)], capture_output=True, text=True, timeout=300, check=False)
    assert told.returncode == 0, told.stderr
    assert "registrations scored" in told.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["import", "--from", "mambamorph", "nowhere", "--out", "out"], 3, "no such folder"),
        (["import", "--from", "somebody", "nowhere"], 2, "--from"),
        (["export", "nowhere", "--to", "learn2reg", "--out", "out"], 3, "not a built data set"),
        (["export", "nowhere", "--to", "bids", "--out", "out"], 2, "--to"),
    ],
)
def test_an_error_is_a_line_with_a_code_and_writes_nothing(arguments, code, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = srreg(*arguments)
    assert told.returncode == code, told.stderr
    assert words in told.stderr
    assert "Traceback" not in told.stderr
    assert told.stdout == ""
    assert not list(tmp_path.iterdir())
