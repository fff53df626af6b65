import numpy as np
import pytest

from srreg.errors import DataError, GeometryError
from srreg.volume import Grid, LabelMap, Volume

SHAPE = (12, 14, 16)


def test_a_volume_is_float32_and_cannot_be_edited():
    volume = Volume(np.arange(12 * 14 * 16).reshape(SHAPE), np.eye(4))
    assert volume.data.dtype == np.float32
    with pytest.raises(ValueError, match="read-only"):
        volume.data[0, 0, 0] = 1


def test_the_digest_follows_voxels_and_affine_alone():
    data = np.random.default_rng(0).random(SHAPE, dtype=np.float32)
    volume = Volume(data, np.eye(4))
    assert Volume(data.astype(np.float64), np.eye(4) + 1e-9).digest == volume.digest
    assert Volume(data, np.diag([1, 1, 2, 1.0])).digest != volume.digest
    changed = data.copy()
    changed[3, 4, 5] += 1e-3
    assert Volume(changed, np.eye(4)).digest != volume.digest


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 6, 7), (4, 0, 6)])
def test_only_three_axes_make_a_volume(shape):
    with pytest.raises(DataError, match="three axes"):
        Volume(np.zeros(shape), np.eye(4))


def test_complex_voxels_are_refused():
    with pytest.raises(DataError, match="complex"):
        Volume(np.zeros(SHAPE, complex), np.eye(4))


@pytest.mark.parametrize("affine", [np.zeros((4, 4)), np.diag([1, 1, 0, 1.0]), np.full((4, 4), np.nan), np.eye(3)])
def test_an_affine_without_volume_is_refused(affine):
    with pytest.raises(GeometryError):
        Volume(np.zeros(SHAPE), affine)


@pytest.mark.parametrize("bad", [2.5, -1.0, 40000.0, np.nan])
def test_labels_that_are_not_whole_numbers_are_listed(bad):
    data = np.zeros(SHAPE)
    data[1, 2, 3] = bad
    with pytest.raises(DataError, match=str(bad).split(".")[0]):
        LabelMap(data, np.eye(4))


def test_label_values_are_those_that_occur():
    data = np.zeros(SHAPE)
    data[1, 2, 3], data[4, 5, 6] = 26, 3
    assert LabelMap(data, np.eye(4)).values == (0, 3, 26)


def test_volume_in_millilitres_counts_voxels_by_their_size():
    data = np.zeros(SHAPE)
    data[:5, :4, :3] = 7
    assert LabelMap(data, np.diag([-2.0, 1.5, 3.0, 1])).volume_ml() == pytest.approx(60 * 9 / 1000)


def test_grids_match_by_their_corners():
    grid = Grid(SHAPE, np.eye(4))
    turned = np.eye(4)
    turned[0, 1] = 1e-3  # 14 voxels away that is 0.013 mm
    assert grid.matches(Grid(SHAPE, np.eye(4)))
    assert not grid.matches(Grid(SHAPE, turned))
    assert grid.matches(Grid(SHAPE, turned), tolerance_mm=0.02)
    assert not grid.matches(Grid((12, 14, 17), np.eye(4)))
