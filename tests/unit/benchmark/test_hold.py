"""Who may write in a run's folder and in a training's: one process each."""

from contextlib import ExitStack
from pathlib import Path

import filelock
import pytest

from benchmark.hold import held, training_held
from benchmark.training import trainer
from srreg.dataset import Dataset
from srreg.errors import FolderBusy

pytestmark = pytest.mark.usefixtures("tiny")


def test_a_training_that_another_process_is_at_is_left_to_it(eight: Dataset, tmp_path: Path) -> None:
    lock = trainer.weights_file(tmp_path, "voxelmorph", 0).with_name(".lock")
    lock.parent.mkdir(parents=True)
    with filelock.FileLock(lock), pytest.raises(FolderBusy, match="another bench run or train"):
        trainer.train("voxelmorph", eight, tmp_path, "tiny")


def test_trainings_of_one_run_may_go_on_at_once(eight: Dataset, tmp_path: Path) -> None:
    busy = [trainer.weights_file(tmp_path, *other).with_name(".lock") for other in (("transmorph", 0), ("voxelmorph", 1))]
    with ExitStack() as others:
        for lock in (tmp_path / ".lock", *busy):
            lock.parent.mkdir(parents=True, exist_ok=True)
            others.enter_context(filelock.FileLock(lock))
        assert trainer.train("voxelmorph", eight, tmp_path, "tiny").is_file()


def test_a_run_trains_in_the_folder_it_holds(eight: Dataset, tmp_path: Path) -> None:
    with held(tmp_path):
        assert trainer.train("voxelmorph", eight, tmp_path, "tiny").is_file()


def test_who_takes_a_folder_clears_what_a_killed_process_left_half_written(tmp_path: Path) -> None:
    seed0, aside = tmp_path / "weights" / "voxelmorph" / "seed0", f".part.9.{'0' * 32}.part"
    seed0.mkdir(parents=True)
    names = (seed0 / aside, tmp_path / f".run.json.9.{'0' * 32}.part", seed0 / "last.safetensors", tmp_path / "my.part")
    for path in names:
        path.touch()
    with held(tmp_path):  # somebody else may be at the training
        assert [path.exists() for path in names] == [True, False, True, True]
    with training_held(seed0):
        assert [path.exists() for path in names] == [False, False, True, True]


def test_of_the_processes_of_one_training_the_first_holds_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    with filelock.FileLock(tmp_path / ".lock"), held(tmp_path), training_held(tmp_path):
        pass
