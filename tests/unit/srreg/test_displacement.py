import ants
import numpy as np
import pytest
import SimpleITK as sitk
from phantom import AFFINES

from srreg import io
from srreg.displacement import Displacement, compose, warp
from srreg.errors import DataError, GeometryError
from srreg.geometry import from_sitk, itk_header, to_sitk
from srreg.volume import Grid, LabelMap, Volume

SHAPE = (12, 14, 16)


def smooth_image(affine, seed=0):
    from scipy import ndimage

    noise = np.random.default_rng(seed).random(SHAPE)
    return Volume(ndimage.gaussian_filter(noise, 1.5) * 100, affine)


def shift(axis, voxels, affine):
    data = np.zeros((*SHAPE, 3), np.float32)
    data[..., axis] = voxels
    return Displacement(data, affine)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("name", AFFINES)
def test_a_shift_by_two_voxels_brings_what_lies_two_voxels_on(axis, name):
    image = smooth_image(AFFINES[name])
    moved = warp(image, shift(axis, 2, AFFINES[name]))
    expected = np.roll(image.data, -2, axis)
    inner = tuple(slice(0, -2) if k == axis else slice(None) for k in range(3))
    np.testing.assert_allclose(moved.data[inner], expected[inner], atol=1e-4)


def test_the_identity_leaves_an_image_as_it_is():
    image = smooth_image(np.eye(4))
    np.testing.assert_array_equal(warp(image, Displacement.zero(image.grid)).data, image.data)


def test_labels_are_warped_to_labels():
    labels = LabelMap(np.random.default_rng(0).integers(0, 4, SHAPE) * 9, np.eye(4))
    moved = warp(labels, shift(1, 0.4, np.eye(4)))
    assert set(moved.values) <= {0, 9, 18, 27}


def test_a_moving_image_on_another_grid_is_met_in_the_world():
    image = smooth_image(AFFINES["oblique"])
    flipped = Volume(image.data[::-1], image.affine @ flip_first_axis())
    field = shift(0, 1.5, image.affine)
    np.testing.assert_allclose(warp(flipped, field).data, warp(image, field).data, atol=1e-3)


def flip_first_axis():
    matrix = np.diag([-1.0, 1, 1, 1])
    matrix[0, 3] = SHAPE[0] - 1
    return matrix


@pytest.mark.parametrize("name", AFFINES)
def test_millimetres_and_back(name):
    data = np.random.default_rng(0).normal(size=(*SHAPE, 3)).astype(np.float32)
    field = Displacement(data, AFFINES[name])
    back = Displacement.from_millimetres(field.to_millimetres(), AFFINES[name])
    np.testing.assert_allclose(back.data, data, atol=1e-5)
    lengths = np.linalg.norm(field.to_millimetres(), axis=-1)
    spacing = np.array(field.grid.spacing_mm)
    np.testing.assert_allclose(lengths, np.linalg.norm(data * spacing, axis=-1), rtol=1e-4)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("name", AFFINES)
def test_simpleitk_reads_our_file_and_moves_the_image_as_we_do(axis, name, tmp_path):
    image, field = smooth_image(AFFINES[name]), shift(axis, 2, AFFINES[name])
    io.write_displacement(tmp_path / "field.nii.gz", field)
    vectors = sitk.Cast(sitk.ReadImage(str(tmp_path / "field.nii.gz")), sitk.sitkVectorFloat64)
    theirs = sitk.Resample(to_sitk(image), to_sitk(image), sitk.DisplacementFieldTransform(vectors), sitk.sitkLinear, 0.0)
    inner = tuple(slice(1, -3) for _ in range(3))
    np.testing.assert_allclose(from_sitk(theirs).data[inner], warp(image, field).data[inner], atol=1e-2)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("name", AFFINES)
def test_ants_reads_our_file_and_moves_the_image_as_we_do(axis, name, tmp_path):
    image, field = smooth_image(AFFINES[name]), shift(axis, 2, AFFINES[name])
    io.write_displacement(tmp_path / "field.nii.gz", field)
    origin, spacing, direction = itk_header(image.grid)
    theirs = ants.from_numpy(np.array(image.data), origin=origin, spacing=spacing, direction=direction)
    moved = ants.apply_transforms(theirs, theirs, [str(tmp_path / "field.nii.gz")], interpolator="linear")
    inner = tuple(slice(1, -3) for _ in range(3))
    np.testing.assert_allclose(moved.numpy()[inner], warp(image, field).data[inner], atol=1e-2)


@pytest.mark.parametrize("name", AFFINES)
def test_a_field_file_reads_back(name, tmp_path):
    data = np.random.default_rng(3).normal(size=(*SHAPE, 3)).astype(np.float32)
    io.write_displacement(tmp_path / "field.nii.gz", Displacement(data, AFFINES[name]))
    back = io.read_displacement(tmp_path / "field.nii.gz")
    np.testing.assert_allclose(back.data, data, atol=1e-4)
    assert back.grid.matches(Grid(SHAPE, AFFINES[name]))


def test_one_composed_field_does_what_two_do():
    image = smooth_image(np.eye(4))
    first, then = shift(0, 1, np.eye(4)), shift(2, -2, np.eye(4))
    twice = warp(warp(image, first), then)
    inner = (slice(0, -2), slice(None), slice(3, None))
    np.testing.assert_allclose(warp(image, compose(first, then)).data[inner], twice.data[inner], atol=1e-4)


def test_fields_on_two_grids_are_not_composed():
    with pytest.raises(GeometryError, match="two grids"):
        compose(shift(0, 1, np.eye(4)), shift(0, 1, np.diag([2.0, 1, 1, 1])))


def test_a_field_that_is_not_finite_is_refused():
    data = np.zeros((*SHAPE, 3))
    data[1, 2, 3, 0] = np.inf
    with pytest.raises(DataError, match="1 components"):
        Displacement(data, np.eye(4))
    with pytest.raises(DataError, match="D, H, W, 3"):
        Displacement(np.zeros((3, *SHAPE)), np.eye(4))
