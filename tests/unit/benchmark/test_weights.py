"""What is known of weights by where they lie."""

import pytest
from phantom import write_dataset

from benchmark import runner
from benchmark.run_settings import RunSettings
from benchmark.weights import size_trained_on


@pytest.mark.parametrize(("shape", "spacing_mm", "size"), [((48, 64, 48), 4.0, "quarter"), ((16, 32, 48), 4.0, None)])
def test_the_size_is_that_of_the_data_set_of_the_folders_runs(shape, spacing_mm, size, tmp_path):
    dataset = write_dataset(tmp_path / "sr-reg", subjects=6, shape=shape)
    assert dataset.grid.spacing_mm == (spacing_mm,) * 3
    runner.run(dataset, tmp_path / "runs", RunSettings(["initial"]))
    assert size_trained_on(tmp_path / "runs" / "weights" / "voxelmorph" / "seed0" / "weights.safetensors") == size


def test_weights_outside_a_run_folder_tell_nothing(tmp_path):
    assert size_trained_on(tmp_path / "weights.safetensors") is None
