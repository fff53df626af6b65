import numpy as np
import pytest
import SimpleITK as sitk
import surface_distance
from scipy import ndimage

from srreg import measure
from srreg.errors import DataError, UsageError

SHAPE = (12, 14, 16)


def voxel(*index, label=1):
    labels = np.zeros(SHAPE, np.int16)
    labels[index] = label
    return labels


def blobs(seed, shape=SHAPE, labels=4):
    """Smooth random regions that touch the border; label 0 is background."""
    rng = np.random.default_rng(seed)
    smooth = [ndimage.gaussian_filter(rng.normal(size=shape), 2) for _ in range(labels + 1)]
    return np.argmax(smooth, axis=0).astype(np.int16)


def random_field(seed=0, shape=SHAPE, amplitude=2.0):
    return np.random.default_rng(seed).normal(scale=amplitude, size=(*shape, 3))


def test_dice_of_half_an_overlap_is_a_half():
    first, second = voxel(2, 3, slice(4, 6)), voxel(2, 3, slice(5, 7))
    assert measure.dice(first, second, [1]) == {1: 0.5}


def test_dice_counts_every_label_by_itself():
    moved = np.array([[[0, 1, 1, 2]]])
    fixed = np.array([[[0, 1, 2, 2]]])
    assert measure.dice(moved, fixed, [1, 2]) == {1: pytest.approx(2 / 3), 2: pytest.approx(2 / 3)}


def test_dice_agrees_with_surface_distance_and_simpleitk():
    moved, fixed = blobs(0), blobs(1)
    overlap = sitk.LabelOverlapMeasuresImageFilter()
    overlap.Execute(sitk.GetImageFromArray(moved), sitk.GetImageFromArray(fixed))
    for label, value in measure.dice(moved, fixed, [1, 2, 3, 4]).items():
        assert value == pytest.approx(surface_distance.compute_dice_coefficient(fixed == label, moved == label))
        assert value == pytest.approx(overlap.GetDiceCoefficient(label))


def test_a_label_absent_from_both_is_nan():
    empty = np.zeros(SHAPE, np.int16)
    assert np.isnan(measure.dice(empty, empty, [7])[7])
    assert np.isnan(measure.hd95(empty, empty, [7])[7])


@pytest.mark.parametrize("swap", [False, True])
def test_a_label_absent_from_one_has_dice_0_and_the_diagonal_as_distance(swap):
    maps = [np.zeros(SHAPE, np.int16), voxel(1, 2, 3)]
    moved, fixed = maps[::-1] if swap else maps
    assert measure.dice(moved, fixed, [1]) == {1: 0.0}
    assert measure.hd95(moved, fixed, [1], (2, 1, 0.5))[1] == pytest.approx(np.sqrt(24**2 + 14**2 + 8**2))


def test_hd95_of_two_voxels_2_mm_apart_is_2_mm():
    assert measure.hd95(voxel(3, 4, 5), voxel(3, 6, 5), [1]) == {1: 2.0}
    assert measure.hd95(voxel(3, 4, 5), voxel(3, 5, 5), [1], (1, 2, 1)) == {1: 2.0}


@pytest.mark.parametrize(("axis", "expected"), [(0, 0.7), (1, 1.5), (2, 3.0)])
def test_spacing_belongs_to_its_axis(axis, expected):
    index = [3, 4, 5]
    index[axis] += 1
    found = measure.hd95(voxel(3, 4, 5), voxel(*index), [1], (0.7, 1.5, 3.0))
    assert found[1] == pytest.approx(expected)


def test_hd95_of_a_label_with_itself_is_0_even_at_the_edge_of_the_image():
    labels = voxel(slice(0, 5), slice(8, 14), slice(0, 16))
    assert measure.hd95(labels, labels, [1]) == {1: 0.0}


def test_the_pooled_percentile_is_over_both_directed_sets_and_max_over_the_worse():
    moved, fixed = voxel(0, 0, 0), voxel(0, 0, slice(0, 4))
    # there: 0; back: 0, 1, 2, 3. Pooled: 0, 0, 1, 2, 3 at position 0.95 * 4 = 3.8.
    assert measure.hd95(moved, fixed, [1])[1] == pytest.approx(2.8)
    assert measure.hd95(moved, fixed, [1], definition="max")[1] == pytest.approx(2.85)


def test_where_the_image_ends_a_label_has_its_surface():
    whole = np.ones(SHAPE, np.int16)
    inner = voxel(slice(1, -1), slice(1, -1), slice(1, -1))
    # A corner of the whole is 3 ** 0.5 from the inner box, an edge 2 ** 0.5, a face 1.
    assert measure.hd95(whole, inner, [1], definition="max")[1] == pytest.approx(2**0.5)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.7, 1.5, 3.0)])
@pytest.mark.parametrize("definition", ["pooled", "max"])
def test_hd95_agrees_with_distance_maps_of_simpleitk(spacing, definition):
    moved, fixed = blobs(2), blobs(3)
    found = measure.hd95(moved, fixed, [1, 2, 3, 4], spacing, definition)
    for label, value in found.items():
        assert value == pytest.approx(_by_simpleitk(moved == label, fixed == label, spacing, definition), abs=1e-4)


def _by_simpleitk(moved, fixed, spacing, definition):
    def contour(mask):
        padded = sitk.GetImageFromArray(np.pad(mask, 1).astype(np.uint8))
        padded.SetSpacing(spacing[::-1])
        return sitk.BinaryContour(padded, fullyConnected=False)

    def distances(a, b):
        away = sitk.SignedMaurerDistanceMap(b, squaredDistance=False, useImageSpacing=True)
        return np.abs(sitk.GetArrayFromImage(away))[sitk.GetArrayFromImage(a) > 0]

    first, second = contour(moved), contour(fixed)
    there, back = distances(first, second), distances(second, first)
    if definition == "max":
        return max(np.percentile(there, 95), np.percentile(back, 95))
    return np.percentile(np.concatenate([there, back]), 95)


def test_maps_on_two_grids_are_refused():
    with pytest.raises(DataError, match="on one grid"):
        measure.dice(np.zeros((2, 3, 4), int), np.zeros((4, 3, 2), int), [1])


@pytest.mark.parametrize("labels", [np.zeros(SHAPE), np.full(SHAPE, -1)])
def test_labels_that_are_not_whole_numbers_from_0_are_refused(labels):
    with pytest.raises(DataError, match="whole numbers from 0"):
        measure.hd95(labels, np.zeros(SHAPE, int), [1])


def test_masks_of_booleans_are_label_maps_too():
    mask = voxel(1, 2, slice(3, 6)) > 0
    assert measure.dice(mask, mask, [1]) == {1: 1.0}


def test_an_unknown_definition_is_refused():
    with pytest.raises(UsageError, match="'pooled' or 'max'"):
        measure.hd95(voxel(1, 1, 1), voxel(1, 1, 1), [1], definition="mean")


def fold_along(axis):
    """Reflected about the middle along one axis between planes 4 and 7: u = -2 (x - 5.5), 0 elsewhere."""
    ramp = np.zeros(SHAPE[axis])
    ramp[4:8] = -2 * (np.arange(4, 8) - 5.5)  # 3, 1, -1, -3
    field = np.zeros((*SHAPE, 3))
    field[..., axis] = np.moveaxis(np.broadcast_to(ramp, (*np.delete(SHAPE, axis), SHAPE[axis])), -1, axis)
    return field


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_pure_fold_is_found_along_each_axis(axis):
    # Central differences of 0 3 1 -1 -3 0 at planes 3..8 are 1.5 0.5 -2 -2 0.5 1.5: two planes fold.
    assert measure.folding_percent(fold_along(axis)) == pytest.approx(100 * 2 / SHAPE[axis])


@pytest.mark.parametrize("axis", [0, 2])
def test_the_published_share_misses_a_fold_along_the_outer_axes(axis):
    assert measure.folding_percent_published(fold_along(axis)) == 0


def test_the_published_share_finds_a_fold_along_the_middle_axis():
    assert measure.folding_percent_published(fold_along(1)) == pytest.approx(100 * 2 / SHAPE[1])


def test_a_shear_folds_nothing_but_the_published_share_says_it_does():
    # Component 0 changes along axis 2 by -1.5 a voxel: det = 1; the script takes it for a change along axis 0: 1 - 1.5.
    field = np.zeros((*SHAPE, 3))
    field[..., 0] = -1.5 * np.arange(SHAPE[2])
    assert measure.folding_percent(field) == 0
    # At the first and the last plane of axis 2 the script halves the difference: 1 - 0.75.
    assert measure.folding_percent_published(field) == pytest.approx(100 * 14 / 16)


@pytest.mark.parametrize("measured", [measure.folding_percent, measure.folding_percent_published])
def test_a_translation_folds_nothing(measured):
    assert measured(np.full((*SHAPE, 3), (3.0, -20.0, 0.5), np.float32)) == 0


def test_a_collapse_onto_a_plane_counts_as_folded():
    field = np.zeros((*SHAPE, 3))
    field[..., 0] = -np.arange(SHAPE[0])[:, None, None]
    assert measure.folding_percent(field) == 100
    assert measure.folding_percent_published(field) == 0


def test_folding_has_the_count_of_numpy_gradients_and_determinants():
    field = random_field()
    jacobian = np.stack([np.stack(np.gradient(field[..., k]), axis=-1) for k in range(3)], axis=-2) + np.eye(3)
    assert measure.folding_percent(field) == pytest.approx(100 * np.mean(np.linalg.det(jacobian) <= 0), abs=1e-9)


@pytest.mark.parametrize("amplitude", [0.6, 1.0, 4.0])
def test_the_published_share_is_simpleitks_on_the_array_as_it_is(amplitude):
    field = random_field(seed=1, amplitude=amplitude)
    determinant = sitk.DisplacementFieldJacobianDeterminant(sitk.GetImageFromArray(field, isVector=True))
    expected = 100 * np.mean(sitk.GetArrayFromImage(determinant) < 0)
    assert expected > 0
    assert measure.folding_percent_published(field) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("shape", [(4, 4, 4), (4, 4, 4, 2), (1, 4, 4, 3)])
def test_what_is_no_field_is_refused(shape):
    with pytest.raises(DataError, match="expected a displacement"):
        measure.folding_percent(np.zeros(shape))


@pytest.mark.parametrize("folding", [measure.folding_percent, measure.folding_percent_published])
def test_a_field_that_is_not_finite_has_no_folding(folding):
    field = np.zeros((4, 5, 6, 3))
    field[1, 2, 3, 0] = np.nan
    with pytest.raises(DataError, match="1 components"):
        folding(field)
