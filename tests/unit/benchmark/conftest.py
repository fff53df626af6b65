"""A small data set that tests of the runner share."""

import pytest
from phantom import write_dataset

from benchmark.training.profiles import PROFILES, Profile
from srreg.dataset import Dataset


@pytest.fixture(scope="session")
def shared_dataset(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("data") / "sr-reg", subjects=6)


@pytest.fixture
def dataset(shared_dataset):
    return Dataset.open(shared_dataset.root)


@pytest.fixture(scope="session")
def eight(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Eight phantoms on a grid of which no axis is a multiple of 16."""
    return write_dataset(tmp_path_factory.mktemp("sr-reg"), subjects=8, shape=(12, 14, 10))


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two profiles of two epochs of two steps."""
    import torch

    torch.set_num_threads(1)
    for name, weight in (("tiny", 0.0), ("tiny-contrast", 0.5)):
        recipe = Profile(name, 2, 2, 1e-3, "bf16", "validation-dice", contrastive_weight=weight)
        monkeypatch.setitem(PROFILES, name, recipe)  # type: ignore[arg-type]
