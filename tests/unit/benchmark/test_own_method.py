"""The example of a method of one's own, put in as it says."""

import importlib
from pathlib import Path

import pytest

from benchmark import runner
from benchmark.method import _ENTRIES, Factory
from benchmark.run_settings import RunSettings
from benchmark.tables import kinds, measured
from srreg.registry import Registry

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.fixture
def methods(monkeypatch):
    """The table of methods with the line that the example names."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    found: Registry[Factory] = Registry("method", {**_ENTRIES, "centre-of-mass": "add_a_method:make"})
    monkeypatch.setattr(measured, "METHODS", found)
    return found


def test_the_example_is_registered_scored_and_tabled(dataset, tmp_path, methods):
    report = runner.run(dataset, tmp_path, RunSettings(["centre-of-mass"]), methods=methods)
    assert report.scored == {"centre-of-mass": 2}
    (row,) = kinds.build(tmp_path).rows
    assert row.names == ("centre-of-mass",)
    assert row.cells[0].value > 0
    assert row.notes == ()


def test_the_example_names_its_own_line(methods):
    line = '"centre-of-mass": "benchmark.methods.add_a_method:make"'
    assert line in importlib.import_module("add_a_method").__doc__
