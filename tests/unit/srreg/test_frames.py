"""A field found in one frame and used in another, against SimpleITK, which knows nothing of our arrays."""

import ants
import numpy as np
import pytest
import SimpleITK as sitk
from phantom import AFFINES, ORIENTATIONS, turned
from scipy import ndimage
from scipy.spatial.transform import Rotation

from srreg import io
from srreg.displacement import Displacement
from srreg.frames import carried, moved
from srreg.geometry import apply_affine, itk_header, ras_lps, to_sitk
from srreg.volume import Grid, LabelMap, Volume

FIXED_SHAPE, MOVING_SHAPE, FRAME_SHAPE = (12, 14, 16), (15, 11, 13), (20, 26, 23)
FRAME = np.diag([2.0, 1.6, 1.8, 1.0])
FRAME[:3, 3] = [-18, -25, -20]


def smooth(shape, seed):
    return ndimage.gaussian_filter(np.random.default_rng(seed).random(shape), 1.5) * 100


def field_in_frame():
    components = [smooth(FRAME_SHAPE, seed) / 20 - 2.5 for seed in (1, 2, 3)]
    return Displacement(np.stack(components, axis=-1), FRAME)


def way(degrees, shift_mm):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix() * [0.9, 1.1, 1.05]
    matrix[:3, 3] = shift_mm
    return matrix


def to_frame(affine, shape, degrees):
    """Brings the middle of a grid near the middle of the frame."""
    turn = way(degrees, (0, 0, 0))
    middle = apply_affine(turn @ affine, (np.array(shape) - 1) / 2)
    turn[:3, 3] = apply_affine(FRAME, (np.array(FRAME_SHAPE) - 1) / 2) - middle
    return turn


def sitk_affine(matrix):
    transform = sitk.AffineTransform(3)
    lps = ras_lps(matrix)
    transform.SetMatrix(lps[:3, :3].ravel().tolist())
    transform.SetTranslation(lps[:3, 3].tolist())
    return transform


def sitk_field(displacement, folder):
    io.write_displacement(folder / "field.nii.gz", displacement)
    vectors = sitk.Cast(sitk.ReadImage(str(folder / "field.nii.gz")), sitk.sitkVectorFloat64)
    return sitk.DisplacementFieldTransform(vectors)


@pytest.mark.parametrize("name", AFFINES)
def test_a_carried_field_goes_where_simpleitk_goes_in_three_steps(name, tmp_path):
    fixed = Grid(FIXED_SHAPE, AFFINES[name])
    fixed_way, moving_way = to_frame(fixed.affine, fixed.shape, (5, -8, 12)), way((-4, 9, 3), (7, -5, 11))
    field = carried(field_in_frame(), fixed, fixed_way, moving_way)
    steps = [sitk_affine(fixed_way), sitk_field(field_in_frame(), tmp_path), sitk_affine(np.linalg.inv(moving_way))]
    for voxel in [(3, 4, 5), (6, 7, 8), (9, 5, 11)]:
        point = apply_affine(fixed.affine, np.array(voxel, dtype=float))
        there = (point * [-1, -1, 1]).tolist()
        for step in steps:
            there = step.TransformPoint(there)
        ours = point + field.to_millimetres()[voxel]
        np.testing.assert_allclose(ours, np.array(there) * [-1, -1, 1], atol=2e-3)


def test_no_field_between_one_world_and_itself_is_no_field():
    fixed = Grid(FIXED_SHAPE, AFFINES["oblique"])
    turn = way((3, 4, 5), (1, 2, 3))
    found = carried(Displacement.zero(Grid(FRAME_SHAPE, FRAME)), fixed, turn, turn)
    np.testing.assert_allclose(found.data, 0, atol=1e-5)


def test_there_and_back_through_inverse_frames_is_the_way_itself():
    fixed = Grid(FIXED_SHAPE, AFFINES["oblique"])
    one, other = way((5, -8, 12), (3, 2, -4)), way((-4, 9, 3), (7, -5, 11))
    frame = Displacement.zero(Grid(FRAME_SHAPE, FRAME))
    there = carried(frame, fixed, one, other).to_millimetres()
    points = apply_affine(fixed.affine, np.moveaxis(np.indices(fixed.shape, dtype=float), 0, -1))
    back = apply_affine(np.linalg.inv(one) @ other, points + there)
    np.testing.assert_allclose(back, points, atol=1e-3)


def test_beyond_the_frame_the_field_goes_on_with_its_last_value():
    data = np.zeros((*FRAME_SHAPE, 3), np.float32)
    data[..., 1] = 2.0
    far = FRAME.copy()
    far[:3, 3] += 500
    found = carried(Displacement(data, FRAME), Grid(FIXED_SHAPE, far), np.eye(4), np.eye(4))
    np.testing.assert_allclose(found.data, np.broadcast_to([0, 2, 0], found.data.shape), atol=1e-4)


def pair_of_grids(name):
    """A moving image on an oblique grid of its own, and a field on a fixed grid that reaches out of it."""
    fixed = Grid(FIXED_SHAPE, AFFINES[name])
    affine = AFFINES["oblique"].copy()
    affine[:3, 3] += apply_affine(fixed.affine, np.array([6.0, 7, 8])) - apply_affine(affine, np.array([7.0, 5, 6]))
    field = Displacement(np.stack([smooth(FIXED_SHAPE, s) / 15 - 3 for s in (4, 5, 6)], -1), fixed.affine)
    return Volume(smooth(MOVING_SHAPE, 7), affine), field


@pytest.mark.parametrize("name", AFFINES)
def test_simpleitk_moves_the_image_as_we_do_to_the_last_voxel(name, tmp_path):
    moving, field = pair_of_grids(name)
    like = to_sitk(Volume(np.zeros(FIXED_SHAPE), field.affine))
    theirs = sitk.Resample(to_sitk(moving), like, sitk_field(field, tmp_path), sitk.sitkLinear, -50.0)
    ours = moved(moving, field, background=-50.0)
    assert 0.05 < (ours.data == -50).mean() < 0.9
    np.testing.assert_allclose(sitk.GetArrayFromImage(theirs).transpose(2, 1, 0), ours.data, atol=2e-2)


@pytest.mark.parametrize("name", AFFINES)
def test_ants_moves_the_image_as_we_do_to_the_last_voxel(name, tmp_path):
    moving, field = pair_of_grids(name)
    io.write_displacement(tmp_path / "field.nii.gz", field)
    fixed = ants_image(Volume(np.zeros(FIXED_SHAPE), field.affine))
    theirs = ants.apply_transforms(
        fixed, ants_image(moving), [str(tmp_path / "field.nii.gz")], interpolator="linear", defaultvalue=-50
    )
    np.testing.assert_allclose(theirs.numpy(), moved(moving, field, background=-50.0).data, atol=2e-2)


def ants_image(image):
    origin, spacing, direction = itk_header(image.grid)
    return ants.from_numpy(np.array(image.data), origin=origin, spacing=spacing, direction=direction)


@pytest.mark.parametrize("orientation", ORIENTATIONS[::5])
def test_the_moving_images_orientation_changes_nothing(orientation):
    moving, field = pair_of_grids("LPS")
    np.testing.assert_allclose(moved(turned(moving, orientation), field).data, moved(moving, field).data, atol=1e-3)


def test_labels_are_moved_to_labels_and_stay_a_label_map():
    _, field = pair_of_grids("RAS")
    labels = LabelMap(np.random.default_rng(0).integers(0, 4, MOVING_SHAPE) * 9, field.affine)
    found = moved(labels, field)
    assert isinstance(found, LabelMap)
    assert set(found.values) == {0, 9, 18, 27}
