"""What the command line of `bench` refuses by itself."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

import cli_bench
from srreg.errors import UsageError


@pytest.mark.parametrize("seeds", ["-1", "0,2147483648", "one"])
def test_seeds_that_no_generator_takes_are_refused(seeds):
    with pytest.raises(UsageError, match="--seeds expects whole numbers"):
        cli_bench._numbers(seeds)


@pytest.mark.parametrize("seed", ["-1", "2147483648"])
def test_a_seed_that_no_generator_takes_is_refused(seed):
    told = CliRunner().invoke(cli_bench.app, ["train", "--method", "voxelmorph", "--seed", seed])
    assert told.exit_code == 2
    assert "Invalid value for '--seed'" in told.output


def test_weights_for_one_name_twice_are_refused():
    with pytest.raises(UsageError, match="--weights was given more than once for voxelmorph"):
        cli_bench._weights(["voxelmorph=a", "voxelmorph=b"])
    assert cli_bench._weights(["voxelmorph=a"]) == {"voxelmorph": Path("a")}
