"""A run that is killed (SIGKILL) and started again ends as if it had never been; `perf/killed.py` does it at any moment."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from phantom import write_dataset

from benchmark import runner
from benchmark.run_settings import Progress, RunSettings
from benchmark.training.profiles import PROFILES, Profile
from perf.killed import ROOT, ending
from srreg.dataset import Dataset

TINY = Profile("tiny", 2, 3, 1e-3, "bf16", "validation-dice")
SETTINGS = RunSettings(["initial", "voxelmorph"], profile="tiny", precision="fp32")

# An event is a training's step, of which there are six, or a pair: for each method one before the first and one after each.
KILLED_AT_AN_EVENT = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from test_killed_run import run_with

left = iter(range(int(sys.argv[4])))

def event(*_):
    if next(left, None) is None:
        os.kill(os.getpid(), signal.SIGKILL)

run_with(Path(sys.argv[2]), Path(sys.argv[3]), event)
"""


def run_with(data, out, event=None):
    torch.set_num_threads(1)
    PROFILES["tiny"] = TINY
    try:
        return runner.run(Dataset.open(data), out, SETTINGS, Progress(pairs=event, training=event))
    finally:
        del PROFILES["tiny"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A data set of phantoms, three of them test, and the ending of a run on it."""
    folder = tmp_path_factory.mktemp("undisturbed")
    write_dataset(folder / "sr-reg", shape=(12, 14, 10), tested=3)
    run_with(folder / "sr-reg", folder / "out")
    return folder / "sr-reg", ending(folder / "out")


@pytest.mark.parametrize("events", [11, 17])  # in the second epoch of a training, amid its method's pairs
def test_a_killed_run_goes_on_to_the_same_rows_tables_and_weights(undisturbed, tmp_path, events):
    data, expected = undisturbed
    script = [sys.executable, "-c", KILLED_AT_AN_EVENT, Path(__file__).parent, data, tmp_path, str(events)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    killed = subprocess.run(script, capture_output=True, env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    run_with(data, tmp_path)
    assert ending(tmp_path) == expected


def test_an_ending_without_a_row_is_another(undisturbed, tmp_path):
    data, expected = undisturbed
    run_with(data, tmp_path)
    rows = (tmp_path / "results.csv").read_text().splitlines(keepends=True)
    (tmp_path / "results.csv").write_text("".join(line for line in rows if ",hd95,Cerebral cortex," not in line))
    found = ending(tmp_path)
    assert {name for name in expected if found[name] != expected[name]} == {"rows"}
