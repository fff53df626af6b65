"""A method of one's own is one file and one line: from there it is in every command."""

import importlib

import numpy as np
import pytest
from phantom import head, write_dataset
from typer.testing import CliRunner

import cli_bench
from benchmark.method import METHODS, MethodContext
from srreg.displacement import warp
from srreg.volume import Volume

DEMONS = '''"""Demons of SimpleITK."""

import SimpleITK as sitk

from srreg.displacement import Displacement
from srreg.geometry import to_sitk, vectors_ras_lps


class Demons:
    name, parameters = "demons", None

    def check(self):
        return []

    def prepare(self, device):
        pass

    def register(self, moving, fixed):
        demons = sitk.FastSymmetricForcesDemonsRegistrationFilter()
        demons.SetNumberOfIterations(40)
        demons.SetStandardDeviations(1.5)
        vectors = sitk.GetArrayFromImage(demons.Execute(to_sitk(fixed), to_sitk(moving))).transpose(2, 1, 0, 3)
        return Displacement.from_millimetres(vectors_ras_lps(vectors), fixed.affine)


def make(context):
    return Demons()
'''


@pytest.fixture
def demons(tmp_path, monkeypatch):
    """The file where Python finds it, and the line in the table of methods."""
    (tmp_path / "demons_of_my_own.py").write_text(DEMONS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(METHODS._entries, "demons", "demons_of_my_own:make")
    importlib.invalidate_caches()
    return METHODS.load("demons")(MethodContext())


def typed(*words):
    told = CliRunner().invoke(cli_bench.app, [str(word) for word in words], catch_exceptions=False)
    assert told.exit_code == 0, told.output
    return told.stdout


def test_it_is_run_and_tabled_and_compared_and_planned(demons, tmp_path):
    where = ("--data", write_dataset(tmp_path / "sr-reg", subjects=6).root, "--out", tmp_path / "runs", "--device", "cpu")
    assert "4 registrations scored" in typed("run", "--methods", "initial,demons", *where)
    for name in ("1", "metrics", "statistics"):
        lines = typed("table", "--table", name, "--csv", "--out", tmp_path / "runs").splitlines()
        assert [line.split(",")[0] for line in lines[1:]] == ["Affine initialization", "demons"]
        assert all(lines[1].split(",")[1:2] + lines[2].split(",")[1:2]), lines
    assert "demons" in typed(
        "plan", "--methods", "initial,demons", "--data", where[1], "--out", tmp_path / "runs", "--device", "cpu"
    )


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_its_twenty_lines_hold_to_the_conventions_of_a_field(demons, axis):
    subject = head()
    fixed = Volume(np.where(subject.brain.data > 0, subject.mr.data / 130, 0), subject.mr.affine)
    moving = Volume(np.roll(fixed.data, 2, axis), fixed.affine)
    moved = warp(moving, demons.register(moving, fixed))
    assert np.abs(moved.data - fixed.data).mean() < 0.7 * np.abs(moving.data - fixed.data).mean()
