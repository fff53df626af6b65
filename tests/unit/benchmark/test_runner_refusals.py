"""What a run refuses before anything runs."""

import shutil

import filelock
import pytest
from made_up_methods import MadeUp, run

from benchmark import runner
from benchmark.planning import plan
from benchmark.run_settings import RunSettings
from benchmark.training import trainer
from srreg.dataset import Dataset
from srreg.errors import BackendUnavailable, DataError, FolderBusy, UnknownName, UsageError


def test_a_folder_with_numbers_of_another_data_set_is_refused(dataset, tmp_path):
    run(dataset, tmp_path, MadeUp("still"))
    shutil.copytree(dataset.root, tmp_path / "other")
    with (tmp_path / "other" / "splits" / "test.txt").open("a") as handle:
        handle.write("# another version\n")
    with pytest.raises(UsageError, match="holds numbers of another data set"):
        run(Dataset.open(tmp_path / "other"), tmp_path, MadeUp("still"))


def test_a_folder_with_numbers_of_another_device_is_refused(dataset, tmp_path, monkeypatch):
    run(dataset, tmp_path, MadeUp("still"))
    monkeypatch.setattr(plan, "device_name", lambda device: "NVIDIA X")
    with pytest.raises(UsageError, match=r"holds numbers from 'CPU: .* this is 'NVIDIA X'"):
        run(dataset, tmp_path, MadeUp("still"))


def test_a_folder_that_is_in_use_is_refused(dataset, tmp_path):
    with filelock.FileLock(tmp_path / ".lock"), pytest.raises(FolderBusy, match="another bench run"):
        run(dataset, tmp_path, MadeUp("still"))


def test_a_run_ends_where_another_process_is_at_a_training_it_needs(dataset, tmp_path):
    lock = trainer.weights_file(tmp_path, "voxelmorph", 0).with_name(".lock")
    lock.parent.mkdir(parents=True)
    with filelock.FileLock(lock), pytest.raises(FolderBusy, match="seed0 is held by another"):
        runner.run(dataset, tmp_path, RunSettings(["initial", "voxelmorph"]))
    assert (tmp_path / "results.csv").is_file()


def test_a_data_set_without_test_pairs_is_refused(shared_dataset, tmp_path):
    shutil.copytree(shared_dataset.root, tmp_path / "data")
    (tmp_path / "data" / "pairs" / "test.csv").write_text("moving,fixed,protocol\n")
    with pytest.raises(DataError, match="needs two test subjects"):
        run(Dataset.open(tmp_path / "data"), tmp_path / "runs", MadeUp("still"))


def test_weights_that_are_not_there_are_refused_before_anything_runs(dataset, tmp_path):
    with pytest.raises(BackendUnavailable, match=r"nowhere\.safetensors .* is missing; train it: bench train --method voxel"):
        run(dataset, tmp_path, MadeUp("voxelmorph"), weights={"voxelmorph": tmp_path / "nowhere.safetensors"})


def test_a_wrong_name_or_profile_is_refused_before_anything_runs(dataset, tmp_path):
    with pytest.raises(UnknownName, match="Did you mean 'initial'"):
        runner.run(dataset, tmp_path, RunSettings(["inital"]))
    with pytest.raises(UnknownName, match="no profile is called 'quick'"):
        runner.run(dataset, tmp_path, RunSettings(["initial"], profile="quick"))


def test_a_damaged_record_is_refused_before_anything_runs(dataset, tmp_path):
    (tmp_path / "run.json").write_text("{")
    method = MadeUp("still")
    with pytest.raises(DataError, match="run.json"):
        run(dataset, tmp_path, method)
    assert method.calls == []


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"still": "mine"}, "still learns nothing and takes no weights. These do: mambamorph, mambamorph-original"),
        ({"other": "mine"}, "no method is called 'other'"),
    ],
)
def test_weights_for_what_takes_none_are_refused(dataset, tmp_path, weights, message):
    with pytest.raises(UsageError, match=message):
        run(dataset, tmp_path, MadeUp("still"), weights={name: tmp_path / path for name, path in weights.items()})


def test_weights_for_what_was_not_asked_for_or_came_twice_are_refused(dataset, tmp_path):
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(UsageError, match="voxelmorph, which is not among the methods asked for: initial"):
        runner.run(dataset, tmp_path, RunSettings(["initial"], weights={"vm": tmp_path / "mine"}))
    twice = {"vm": tmp_path / "mine", "voxelmorph": tmp_path / "other"}
    with pytest.raises(UsageError, match="for voxelmorph twice"):
        runner.run(dataset, tmp_path, RunSettings(["voxelmorph"], weights=twice))


def test_a_file_in_the_folders_place_is_refused(dataset, tmp_path):
    (tmp_path / "runs").write_text("")
    with pytest.raises(UsageError, match="runs cannot be written to"):
        run(dataset, tmp_path / "runs", MadeUp("still"))
