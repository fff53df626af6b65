"""A simulated tree: shaped as SynthRAD's, reproducible, never overwritten."""

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from srreg import io
from srreg.errors import DataError, NoRoom, UsageError
from srreg.files import read_json, read_tsv, sha256
from srreg.simulate.centres import subject_id
from srreg.simulate.task import FILES
from srreg.simulate.tree import Simulation, simulate
from srreg.sources.synthrad import find_cases, is_simulated, read_case

IDS = ["1BA001", "1BB014"]


def digests(out: Path) -> dict[str, str]:
    """sha256 of every file that is part of what was simulated."""
    files = sorted(p for p in (out / "Task1" / "brain").rglob("*") if p.is_file())
    return {str(path.relative_to(out)): sha256(path) for path in files}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("simulated")
    assert simulate(out, Simulation(2, seed=5, size="quarter")) == IDS
    return out


def test_ids_go_through_the_centres_with_gaps_and_never_repeat() -> None:
    ids = [subject_id(number) for number in range(180)]
    assert ids[:4] == ["1BA001", "1BB014", "1BC023", "1BA009"]
    assert len(set(ids)) == 180


def test_a_subject_has_five_files_on_one_lps_grid(tree: Path) -> None:
    folder = tree / "Task1" / "brain" / "1BA001"
    assert sorted(p.name for p in folder.iterdir()) == sorted(FILES)
    grids = [io.read_volume(folder / name).grid for name in FILES]
    assert all(grid.matches(grids[0]) for grid in grids)
    assert grids[0].affine[:3, :3] == pytest.approx(np.diag([-4, -4, 4]))


def test_the_brain_is_every_label_but_background(tree: Path) -> None:
    folder = tree / "Task1" / "brain" / "1BB014"
    labels = io.read_labels(folder / "labels.nii.gz")
    assert np.array_equal(io.read_labels(folder / "brain.nii.gz").data, labels.data > 0)


def test_some_centres_blank_what_lies_outside_the_mask(tree: Path) -> None:
    def outside(subject: str, name: str) -> np.ndarray:
        folder = tree / "Task1" / "brain" / subject
        return io.read_volume(folder / name).data[io.read_labels(folder / "mask.nii.gz").data == 0]

    assert set(np.unique(outside("1BB014", "mr.nii.gz"))) == {0}
    assert set(np.unique(outside("1BB014", "ct.nii.gz"))) == {-1000}
    assert np.unique(outside("1BA001", "ct.nii.gz")).size > 10


def test_the_tree_reads_as_a_synthrad_release(tree: Path) -> None:
    cases = find_cases(tree)
    assert [(case.id, case.centre, case.person) for case in cases] == [
        ("1BA001", "A", "person-0001"),
        ("1BB014", "B", "person-0002"),
    ]
    assert is_simulated(tree)
    assert read_case(cases[0]).mr.data.max() > 100
    rows = read_tsv(tree / "Task1" / "brain" / "participants.tsv")
    assert [row["contrast"] for row in rows] == ["no", "yes"]
    assert all(1200 < float(row["brain_ml"]) < 1750 for row in rows)


def test_subjects_are_the_same_whatever_their_number_and_the_processes(tree: Path, tmp_path: Path) -> None:
    reports: list[tuple[int, int]] = []
    ids = simulate(tmp_path, Simulation(3, seed=5, size="quarter"), n_procs=2, progress=lambda *done: reports.append(done))
    assert ids == [*IDS, "1BC023"]
    assert reports == [(1, 3), (2, 3), (3, 3)]
    again = digests(tmp_path)
    images = {name: digest for name, digest in digests(tree).items() if name.endswith(".nii.gz")}
    assert {name: again[name] for name in images} == images


def test_another_seed_gives_another_head(tree: Path, tmp_path: Path) -> None:
    simulate(tmp_path, Simulation(1, seed=6, size="quarter"))
    before, now = digests(tree), digests(tmp_path)
    assert all(now[f"Task1/brain/1BA001/{name}"] != before[f"Task1/brain/1BA001/{name}"] for name in FILES)


def test_a_second_run_touches_nothing(tree: Path) -> None:
    def times() -> dict[Path, int]:
        return {p: p.stat().st_mtime_ns for p in tree.rglob("*")}

    before = times()
    assert simulate(tree, Simulation(2, seed=5, size="quarter")) == IDS
    assert times() == before


def test_what_an_interrupted_run_left_out_comes_back_the_same(tree: Path) -> None:
    lost = tree / "Task1" / "brain" / "1BB014" / "ct.nii.gz"
    before = sha256(lost)
    lost.unlink()
    simulate(tree, Simulation(2, seed=5, size="quarter"))
    assert sha256(lost) == before


@pytest.mark.parametrize(
    "other", [Simulation(2, seed=6, size="quarter"), Simulation(2, seed=5), Simulation(1, seed=5, size="quarter")]
)
def test_a_folder_of_another_simulation_is_refused(tree: Path, other: Simulation) -> None:
    with pytest.raises(UsageError, match=r"another simulation|1BB014"):
        simulate(tree, other)


def test_a_folder_that_holds_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    patient = tmp_path / "Task1" / "brain" / "1BA001" / "mr.nii.gz"
    patient.parent.mkdir(parents=True)
    patient.write_bytes(b"somebody's data")
    with pytest.raises(UsageError, match="already holds 'Task1'"):
        simulate(tmp_path, Simulation(1, size="quarter"))
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [patient]


def test_a_file_that_was_changed_is_named_and_left_alone(tree: Path) -> None:
    path = tree / "Task1" / "brain" / "1BA001" / "mr.nii.gz"
    content = path.read_bytes()
    path.write_bytes(content[:1000])
    with pytest.raises(DataError, match=r"mr\.nii\.gz was changed"):
        simulate(tree, Simulation(2, seed=5, size="quarter"))
    assert path.read_bytes() == content[:1000]
    path.write_bytes(content)


def test_a_record_that_is_none_is_refused(tmp_path: Path) -> None:
    record = tmp_path / "Task1" / "brain" / "simulation.json"
    record.parent.mkdir(parents=True)
    record.write_text("{}")
    with pytest.raises(DataError, match="not the record of a simulation"):
        simulate(tmp_path, Simulation(1, size="quarter"))


@pytest.mark.parametrize("wrong", [{"subjects": 0}, {"subjects": 1, "seed": -1}, {"subjects": 1, "size": "tiny"}])
def test_settings_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="expected"):
        Simulation(**wrong)  # type: ignore[arg-type]


_LONG_RUN = """
import signal
import sys
from pathlib import Path
from srreg.simulate.tree import Simulation, simulate

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests in the background ignores it
    settings = Simulation(200, size="half")
    simulate(Path(sys.argv[1]), settings, n_procs=2, progress=lambda *done: print("done", *done, flush=True))
"""


def wait_for(what: Callable[[], object], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def test_an_interrupt_ends_a_run_and_its_processes_at_once_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    (tmp_path / "run.py").write_text(_LONG_RUN)
    line = [sys.executable, str(tmp_path / "run.py"), str(tmp_path / "out")]
    run = subprocess.Popen(line, stderr=subprocess.PIPE, text=True, start_new_session=True)
    parent, children = psutil.Process(run.pid), list[psutil.Process]()
    try:
        wait_for(lambda: any("spawn_main" in " ".join(child.cmdline()) for child in parent.children()), 60)
        time.sleep(3)
        children = parent.children(recursive=True)
        os.killpg(run.pid, signal.SIGINT)  # as a terminal does: to the children as well
        _, told = run.communicate(timeout=5)
        wait_for(lambda: not any(child.is_running() for child in children), 2)
    finally:
        for process in (parent, *children):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
    assert told.count("Traceback") == 1  # its own, of the interrupt
    assert told.rstrip().endswith("KeyboardInterrupt")
    assert not list(tmp_path.rglob("*.part"))


def test_subjects_that_are_done_are_recorded_before_an_interrupt(tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(tmp_path, Simulation(4, size="quarter"), n_procs=2, progress=interrupt)
    assert not multiprocessing.active_children()
    brain = tmp_path / "Task1" / "brain"
    (done,) = read_json(brain / "simulation.json")["subjects"]  # type: ignore[misc]
    assert sorted(p.name for p in (brain / done).iterdir()) == sorted(FILES)
    assert simulate(tmp_path, Simulation(4, size="quarter"), n_procs=2)[:2] == IDS


def test_what_a_process_raises_comes_out_of_the_run(tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / f"map-{number}.nii.gz").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"map-\d\.nii\.gz"):
        simulate(tmp_path / "out", Simulation(2, size="quarter", label_maps=tmp_path), n_procs=2)


def test_a_process_that_is_killed_is_said_in_one_line(tmp_path: Path) -> None:
    def kill_another(done: int, total: int) -> None:
        for child in multiprocessing.active_children():
            child.kill()

    with pytest.raises(NoRoom, match=r"1B\w+: its process was killed, probably for lack of memory"):
        simulate(tmp_path, Simulation(6, size="quarter"), n_procs=2, progress=kill_another)
