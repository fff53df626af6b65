"""A subject starts beside others only where its memory fits, and never waits for nobody."""

import os

import pytest

from srreg.build import memory
from srreg.build.memory import fits, needed_bytes

GIB = 1024**3


class Hungry:
    def __init__(self, gib):
        self.about = type("About", (), {"memory_gib": gib})()


def test_a_subject_needs_what_its_hungriest_tool_needs():
    assert needed_bytes(Hungry(6.3), Hungry(0.0)) == int(6.3 * GIB)
    assert needed_bytes(Hungry(0.0), Hungry(0.0)) == 2 * GIB


@pytest.mark.parametrize(
    ("free_gib", "running", "is_room"), [(7, [], True), (5, [], False), (11, [1], True), (10, [1], False), (11, [1, 2], False)]
)
def test_what_running_subjects_have_not_taken_yet_is_theirs(free_gib, running, is_room, monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: free_gib * GIB)
    monkeypatch.setattr(memory, "_taken_bytes", lambda pid: 1 * GIB)  # of 6: 5 more are promised to each
    assert fits(6 * GIB, running) is is_room


def test_a_limit_of_a_container_counts(tmp_path, monkeypatch):
    (tmp_path / "memory.max").write_text(f"{3 * GIB}\n")
    (tmp_path / "memory.current").write_text(f"{2 * GIB}\n")
    (tmp_path / "memory.stat").write_text(f"anon 5\ninactive_file {GIB // 2}\nactive_file 0\n")
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    assert memory.available_bytes() <= 1.5 * GIB  # half a GiB of files can go
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.available_bytes() > 0


def test_a_process_that_is_gone_has_taken_nothing():
    assert memory._taken_bytes(2**22 + 1) == 0
    assert memory._taken_bytes(os.getpid()) > 10_000_000
