"""`bench register` on heads of real people: one's MR onto the other's CT, skulls and all."""

from pathlib import Path

import pytest

from benchmark.own_pair.own_images import OwnPair
from benchmark.own_pair.registration import Registering, register
from srreg import io, modality
from srreg.backends.protocol import Resources
from srreg.backends.registry import SKULL_STRIPPERS, make

pytestmark = pytest.mark.real


@pytest.mark.parametrize("subject", ["1BA001", "1BB001"])
def test_mr_and_ct_are_told_apart(real_data: Path, subject: str) -> None:
    folder = real_data / "Task1" / "brain" / subject
    for kind in ("mr", "ct"):
        assert modality.guess(io.read_volume(folder / f"{kind}.nii.gz")) == kind


def test_the_brain_of_one_head_comes_to_lie_in_the_skull_of_another(real_data: Path, tmp_path: Path) -> None:
    heads = real_data / "Task1" / "brain"
    pair = OwnPair(heads / "1BB001" / "mr.nii.gz", heads / "1BA001" / "ct.nii.gz", heads / "1BB001" / "brain.nii.gz")
    stripper = make(SKULL_STRIPPERS, None, Resources(threads=2))
    register(pair, tmp_path, Registering("initial", skull_stripper=stripper, size="quarter"))
    ct, brain = io.read_volume(pair.fixed), io.read_labels(tmp_path / "moved_labels.nii.gz")
    assert brain.grid.matches(ct.grid, tolerance_mm=0.01)
    assert 1000 < brain.volume_ml() < 2200
    hu = ct.data[brain.data > 0]
    assert (hu > 200).mean() < 0.02  # hardly any of it in bone
    assert ((hu > -20) & (hu < 100)).mean() > 0.95
