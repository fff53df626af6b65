"""`bench register` as a person types it."""

import subprocess
import sys

import numpy as np
import pytest
from phantom import AFFINES, turned
from scipy import ndimage

from srreg import io
from srreg.geometry import resample
from srreg.volume import Volume

SHAPE = (24, 28, 32)


def bench(*arguments, cwd):
    code = "import sys; from cli import main_bench; main_bench()"
    line = [sys.executable, "-c", code, "register", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, timeout=300, check=False, cwd=cwd)


@pytest.fixture
def folder(tmp_path):
    """A blob, and the blob 6 mm further left and 4 mm higher on a grid with other axes."""
    blob = ndimage.gaussian_filter(np.pad(np.random.default_rng(0).random((10, 12, 14)), [(7, 7), (8, 8), (9, 9)]), 1)
    affine = AFFINES["RAS"].copy()
    io.write_volume(tmp_path / "fixed.nii.gz", Volume(blob, affine))
    affine[:3, 3] = [-6, 0, 4]
    io.write_volume(tmp_path / "moving.nii.gz", turned(Volume(blob, affine), "PIL"))
    return tmp_path


def test_syn_brings_a_blob_back_and_the_files_are_named_on_stdout(folder):
    told = bench("--method", "syn", "--preprocess", "none", "moving.nii.gz", "fixed.nii.gz", "--out", "out", cwd=folder)
    assert told.returncode == 0, told.stderr
    assert told.stdout.split() == [f"out/{name}" for name in ("moved.nii.gz", "displacement.nii.gz", "registration.json")]
    moved, fixed, moving = (io.read_volume(folder / f"{name}.nii.gz") for name in ("out/moved", "fixed", "moving"))
    before = resample(moving, fixed.grid)
    assert np.corrcoef(before.data.ravel(), fixed.data.ravel())[0, 1] < 0.4
    assert np.corrcoef(moved.data.ravel(), fixed.data.ravel())[0, 1] > 0.8


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--method", "voxelmorph", "moving.nii.gz", "fixed.nii.gz"], 4, "bench train --method voxelmorph"),
        (["--method", "voxelmorf", "moving.nii.gz", "fixed.nii.gz"], 2, "Did you mean 'voxelmorph'"),
        (["--method", "syn", "nowhere.nii.gz", "fixed.nii.gz"], 3, "nowhere.nii.gz: cannot be read"),
        (["--method", "syn", "moving.nii.gz", "fixed.nii.gz", "--labels", "nowhere.nii.gz"], 3, "cannot be read"),
        (["--method", "syn", "moving.nii.gz", "fixed.nii.gz", "--weights", "w"], 2, "learns nothing"),
        (["--method", "syn", "moving.nii.gz", "fixed.nii.gz", "--out", "fixed.nii.gz"], 2, "cannot be written to"),
    ],
)
def test_an_error_is_a_line_with_a_code_and_leaves_nothing(arguments, code, words, folder):
    before = {path.name for path in folder.iterdir()}
    told = bench("--preprocess", "none", *arguments, cwd=folder)
    assert told.returncode == code, told.stderr
    assert words in told.stderr
    assert "Traceback" not in told.stderr
    assert told.stdout == ""
    assert {path.name for path in folder.iterdir()} == before
