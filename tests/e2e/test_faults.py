"""A few of the trials of `perf/faults`: killed and starved builds go on to the same bytes, damaged volumes are found."""

import sys

import pytest
from building import SHAPE
from phantom import head, write_source

from perf.faults.damage import damaged, verdict
from perf.faults.interruptions import events, filled_at, killed_at
from perf.faults.together import four_builds
from perf.faults.trials import Bench
from srreg import io


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    room = tmp_path_factory.mktemp("trials")
    write_source(room / "source", head("1BA001", 0, shape=SHAPE, spacing_mm=4.5))
    return Bench.of(room, room / "source")


linux = pytest.mark.skipif(sys.platform != "linux", reason="the hook finds a file's name under /proc")


@linux
def test_a_build_killed_in_the_middle_of_a_write_goes_on_to_the_same_bytes(bench):
    assert killed_at(bench, events(bench) // 2) == []


@linux
def test_a_disk_that_fills_in_the_middle_of_a_write_ends_with_code_6_and_nothing_half_written(bench):
    assert filled_at(bench, 60) == []


def test_of_four_builds_of_one_folder_at_once_one_builds_and_three_are_sent_away(bench, tmp_path):
    assert four_builds(bench, tmp_path / "out") == []


def test_cuts_and_turned_bits_of_a_volume_are_all_found(bench, tmp_path):
    path = bench.source / "Task1" / "brain" / "1BA001" / "mr.nii.gz"
    whole, target = io.read_volume(path), tmp_path / "mr.nii.gz"
    for name, content in damaged(path.read_bytes(), trials=100, seed=1):
        target.write_bytes(content)
        assert verdict(whole, target) != "MISSED", name
