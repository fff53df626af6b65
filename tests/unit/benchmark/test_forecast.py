"""`bench plan` measures a small piece of the work, and says what the whole would take."""

import json
from dataclasses import replace

import pytest

from benchmark import clock
from benchmark.planning import forecast, forecast_table
from benchmark.planning.forecast import Task, forecasts, probe_shape
from benchmark.run_settings import RunSettings
from benchmark.training.trainer import weights_file
from srreg.errors import DataError, UsageError

PARAMETERS = 92_179  # VoxelMorph


@pytest.fixture
def task(tmp_path, monkeypatch):
    monkeypatch.setattr(forecast, "_REPEATS", 1)
    settings = RunSettings(methods=("initial", "voxelmorph"), profile="demo", epochs=2, seeds=(0, 1))
    return Task((16, 24, 48), 6, tmp_path, settings, "a data set")


def measured(task):
    return {one.method: one for one in forecasts(task, lambda done, total, name: None)}


@pytest.mark.parametrize(
    ("shape", "device", "probe"),
    [
        ((176, 208, 192), "cpu", (48, 48, 48)),
        ((48, 60, 44), "cpu", (48, 64, 48)),
        ((16, 16, 16), "cpu", (16, 16, 16)),
        ((177, 208, 192), "cuda", (192, 208, 192)),
    ],
)
def test_a_cpu_is_measured_on_a_small_grid_and_a_gpu_on_the_datas_own(shape, device, probe):
    assert probe_shape(shape, device) == probe


def test_parameters_are_the_networks_and_nothing_is_written(task, tmp_path):
    found = measured(task)
    assert found["voxelmorph"].parameters == PARAMETERS
    assert found["initial"].parameters is None
    assert not list(tmp_path.iterdir())


def test_seconds_are_those_of_all_that_is_to_do(task, monkeypatch):
    """A clock on which everything takes 2 s and 1 GiB: 2 trainings of 2 epochs of 50 steps, 6 pairs for each of 2 seeds."""
    monkeypatch.setattr(forecast, "timed", lambda call, device: (call(), clock.Cost(2.0, 1.0)))
    found = measured(replace(task, shape=(16, 32, 48)))
    assert found["voxelmorph"].training_seconds == 2 * 2 * 50 * 2.0
    assert found["voxelmorph"].registration_seconds == 2 * 6 * 2.0
    assert found["initial"].registration_seconds == 6 * 2.0
    assert found["voxelmorph"].registration_gib == 1.0


def test_time_and_memory_grow_with_the_voxels_but_for_the_weights(task, monkeypatch):
    monkeypatch.setattr(forecast, "timed", lambda call, device: (call(), clock.Cost(2.0, 1.0)))
    monkeypatch.setattr(forecast, "probe_shape", lambda shape, device: (16, 16, 16))
    one = measured(replace(task, shape=(32, 32, 32)))["voxelmorph"]
    states = PARAMETERS * 16 / 1024**3
    assert one.training_seconds == 8 * 2 * 2 * 50 * 2.0
    assert one.training_gib == pytest.approx(states + 8 * (1.0 - states))


def test_what_is_trained_already_is_not_trained_again(task):
    weights = weights_file(task.out, "voxelmorph", 1)
    weights.parent.mkdir(parents=True)
    weights.touch()
    (weights.parent / "training.json").write_text('{"status": "running"}')  # interrupted: its best weights so far
    assert measured(task)["voxelmorph"].trainings == 2
    (weights.parent / "training.json").write_text('{"status": "finished"}')
    assert measured(task)["voxelmorph"].trainings == 1


def test_a_device_that_is_not_here_is_refused_before_anything_is_measured(tmp_path):
    with pytest.raises(UsageError, match="expected a device"):
        forecast.task(None, tmp_path, RunSettings(methods=("initial",), device="gpu"), default=tmp_path / "nowhere")


def test_a_data_set_that_was_named_and_is_not_there_is_refused(tmp_path):
    settings = RunSettings(methods=("initial",))
    with pytest.raises(DataError, match="typo is not a built data set"):
        forecast.task(tmp_path / "typo", tmp_path, settings, default=tmp_path / "sr-reg")
    assert forecast.task(None, tmp_path, settings, default=tmp_path / "sr-reg").shape == (176, 208, 192)


def test_too_little_memory_is_a_remark_and_the_others_go_on(task, monkeypatch):
    def fail(name, task):
        raise MemoryError

    monkeypatch.setattr(forecast, "_of_network", fail)
    found = measured(task)
    assert "too little memory for voxelmorph" in found["voxelmorph"].remark
    assert found["initial"].registration_seconds is not None


def test_the_table_and_the_json_say_the_same(task):
    found = forecasts(task, lambda done, total, name: None)
    text, whole = forecast_table.as_text(task, found), json.loads(forecast_table.as_json(task, found))
    for one in whole["methods"]:
        line = next(line for line in text.splitlines() if line.startswith(f"| {one['method']} "))
        assert one["parameters"] is None or f"{one['parameters']:,}" in line
    assert "For a data set, at 16 x 24 x 48" in text
