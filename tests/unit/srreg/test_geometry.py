import numpy as np
import pytest
import SimpleITK as sitk
from phantom import AFFINES, ORIENTATIONS, head, turned
from scipy.spatial.transform import Rotation

from srreg import io
from srreg.errors import GeometryError
from srreg.geometry import (
    apply_affine,
    bounding_box,
    crop,
    from_sitk,
    itk_header,
    ras_lps,
    reorient_to_ras,
    resample,
    to_sitk,
)
from srreg.volume import Grid, LabelMap, Volume


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_each_of_the_48_orientations_comes_back_to_the_same_voxels(orientation):
    mr = head().mr
    back = reorient_to_ras(turned(mr, orientation))
    assert len(ORIENTATIONS) == 48
    assert back.digest == reorient_to_ras(mr).digest


def test_reorienting_moves_no_voxel_in_the_world():
    image = Volume(
        np.random.default_rng(0).random((12, 14, 16)), AFFINES["oblique"] @ np.diag([-1, 1, -1, 1.0])[:, [1, 0, 2, 3]]
    )
    ras = reorient_to_ras(image)
    voxel = np.argwhere(ras.data == image.data[3, 4, 5])[0]
    np.testing.assert_allclose(apply_affine(ras.affine, voxel), apply_affine(image.affine, np.array([3, 4, 5])), atol=1 / 64)
    assert np.all(np.diag(ras.affine[:3, :3]) > 0)


@pytest.mark.parametrize("name", AFFINES)
def test_simpleitk_gets_the_same_image_and_gives_it_back(name):
    image = Volume(np.random.default_rng(1).random((12, 14, 16)), AFFINES[name])
    theirs = to_sitk(image)
    point = apply_affine(image.affine, np.array([3.0, 4.0, 5.0])) * [-1, -1, 1]
    assert theirs.TransformPhysicalPointToIndex(point.tolist()) == (3, 4, 5)
    assert theirs.GetPixel(3, 4, 5) == image.data[3, 4, 5]
    back = from_sitk(theirs)
    np.testing.assert_array_equal(back.data, image.data)
    np.testing.assert_allclose(back.affine, image.affine, atol=1e-9)


@pytest.mark.parametrize("name", AFFINES)
def test_resampling_agrees_with_simpleitk(name):
    rng = np.random.default_rng(2)
    image = Volume(rng.random((12, 14, 16)), AFFINES[name])
    small = np.eye(4)
    small[:3, :3] = Rotation.from_euler("zyx", [5, 7, -9], degrees=True).as_matrix()
    middle = apply_affine(image.affine, np.array([5.5, 6.5, 7.5]))
    small[:3, 3] = middle - small[:3, :3] @ middle + [1.5, -0.7, 2.2]
    grid = Grid((10, 11, 13), image.affine @ np.diag([0.9, 0.9, 0.9, 1.0]))
    ours = resample(image, grid, small)
    transform = sitk.AffineTransform(3)  # takes points of the new grid to the old one
    to_source = ras_lps(np.linalg.inv(small))
    transform.SetMatrix(to_source[:3, :3].ravel().tolist())
    transform.SetTranslation(to_source[:3, 3].tolist())
    like = to_sitk(Volume(np.zeros(grid.shape), grid.affine))
    theirs = from_sitk(sitk.Resample(to_sitk(image), like, transform, sitk.sitkLinear, 0.0))
    inside = resample(Volume(np.ones((12, 14, 16)), image.affine), grid, small).data > 0.9999
    assert inside.mean() > 0.5
    np.testing.assert_allclose(ours.data[inside], theirs.data[inside], atol=1e-4)


def test_labels_are_resampled_by_the_nearest_voxel_alone():
    labels = head().labels
    fine = resample(labels, Grid((32, 64, 96), labels.affine @ np.diag([0.5, 0.5, 0.5, 1.0])))
    assert isinstance(fine, LabelMap)
    assert set(fine.values) == set(labels.values)


def test_a_coarser_grid_sees_the_mean_not_a_single_voxel():
    stripes = np.zeros((24, 28, 32))
    stripes[::2] = 1
    coarse = resample(Volume(stripes, np.eye(4)), Grid((6, 7, 8), np.diag([4.0, 4, 4, 1])))
    np.testing.assert_allclose(coarse.data[2:-2, 2:-2, 2:-2], 0.5, atol=0.05)


def test_the_background_is_what_one_says():
    image = Volume(np.full((4, 5, 6), 7.0), np.eye(4))
    away = np.eye(4)
    away[:3, 3] = 100
    assert (resample(image, Grid((3, 3, 3), away), background=-1000.0).data == -1000).all()


def test_itk_cannot_hold_shear():
    sheared = np.eye(4)
    sheared[0, 1] = 0.2
    with pytest.raises(GeometryError, match="sheared"):
        itk_header(Grid((4, 5, 6), sheared))


def test_a_mask_keeps_its_outermost_layer_on_a_finer_grid():
    full = LabelMap(np.ones((8, 9, 10)), np.diag([1.5, 1.5, 1.5, 1]))
    fine = np.eye(4)
    fine[:3, 3] = -0.25  # the first fine voxel's outer face is the first coarse voxel's
    assert resample(full, Grid((12, 13, 15), fine)).data.all()
    assert resample(Volume(full.data, full.affine), Grid((12, 13, 15), fine)).data.min() == 1


def test_without_a_background_the_outermost_values_go_on():
    ramp = Volume(np.arange(4 * 5 * 6).reshape(4, 5, 6), np.eye(4))
    away = np.eye(4)
    away[0, 3] = -10
    assert resample(ramp, Grid((3, 5, 6), away), background=None).data[0, 1, 2] == ramp.data[0, 1, 2]


@pytest.mark.parametrize(
    ("spacing_mm", "origin"),
    [
        (1.1, (-91.2345, -110.7, 33.3333)),
        (0.9375, (-120.1234567, 88.1, -300.5)),
        (0.9765625, (0.1, 0.2, 0.3)),
        (1.0, (0.5, -229.260009, 405.42099)),
    ],
)
def test_all_48_orientations_read_from_files_are_one_image(spacing_mm, origin, tmp_path):
    affine = np.diag([spacing_mm, spacing_mm, spacing_mm, 1])
    affine[:3, 3] = origin
    image = Volume(np.random.default_rng(0).random((11, 14, 17)), affine)
    found = set()
    for orientation in ORIENTATIONS:
        io.write_volume(tmp_path / "x.nii.gz", turned(image, orientation))
        found.add(reorient_to_ras(io.read_volume(tmp_path / "x.nii.gz")).digest)
    assert len(found) == 1


def test_a_bounding_box_is_tight_and_its_crop_stays_in_place():
    mask = np.zeros((12, 14, 16))
    mask[3:5, 6:9, 10] = 1
    box = bounding_box(mask)
    assert box == (slice(3, 5), slice(6, 9), slice(10, 11))
    assert bounding_box(mask, margin=20) == (slice(0, 12), slice(0, 14), slice(0, 16))
    part = crop(Volume(mask, AFFINES["oblique"]), box)
    assert part.data.all()
    np.testing.assert_allclose(part.affine[:3, 3], apply_affine(AFFINES["oblique"], np.array([3, 6, 10])))
    assert crop_is_empty(bounding_box(np.zeros((4, 5, 6))))


def crop_is_empty(box):
    return all(side.start == side.stop for side in box)
