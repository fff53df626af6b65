"""A small data set that tests of the runner share."""

import pytest
from phantom import write_dataset

from srreg.dataset import Dataset


@pytest.fixture(scope="session")
def shared_dataset(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("data") / "sr-reg", subjects=6)


@pytest.fixture
def dataset(shared_dataset):
    return Dataset.open(shared_dataset.root)
