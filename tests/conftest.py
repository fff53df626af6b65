"""Fixtures every test may use."""

import os
from pathlib import Path

import pytest

REAL_DATA = Path(os.environ.get("SRREG_REAL_DATA", Path(__file__).parents[2] / "shared" / "data" / "real"))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real heads; a test that asks for it is skipped where there is none."""
    if not (REAL_DATA / "Task1" / "brain").is_dir():
        pytest.skip(f"no real heads at {REAL_DATA}; set SRREG_REAL_DATA to a folder that has them")
    return REAL_DATA
