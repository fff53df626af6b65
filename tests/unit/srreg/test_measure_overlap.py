import tracemalloc

import numpy as np
import plain_metrics
import pytest
import SimpleITK as sitk
import surface_distance
from hypothesis import given, settings
from hypothesis import strategies as st
from label_pairs import CASES, pair_of
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


@pytest.mark.parametrize("labels", [np.zeros(SHAPE), np.full(SHAPE, -1), np.full(SHAPE, -1, np.int8)])
def test_labels_that_are_not_whole_numbers_from_0_are_refused(labels):
    with pytest.raises(DataError, match="whole numbers from 0"):
        measure.hd95(labels, np.zeros(SHAPE, int), [1])


def test_masks_of_booleans_are_label_maps_too():
    mask = voxel(1, 2, slice(3, 6)) > 0
    assert measure.dice(mask, mask, [1]) == {1: 1.0}


def test_an_unknown_definition_is_refused():
    with pytest.raises(UsageError, match="'pooled' or 'max'"):
        measure.hd95(voxel(1, 1, 1), voxel(1, 1, 1), [1], definition="mean")


def test_everything_of_a_label_comes_in_one_go():
    moved, fixed = blobs(2), blobs(3)
    dice = measure.dice(moved, fixed, [2, 4])
    pooled, largest = (measure.hd95(moved, fixed, [2, 4], (1, 2, 3), definition) for definition in ("pooled", "max"))
    for label, found in measure.overlap(moved, fixed, [2, 4], (1, 2, 3)).items():
        assert (found.moved_voxels, found.fixed_voxels) == (np.sum(moved == label), np.sum(fixed == label))
        assert (found.dice, found.hd95_pooled_mm, found.hd95_max_mm) == (dice[label], pooled[label], largest[label])


def test_a_label_is_absent_where_neither_map_has_it_and_lost_where_one_has_not():
    moved, fixed = voxel(1, 2, 3, label=1) + voxel(4, 4, 4, label=2), voxel(1, 2, 3, label=1)
    found = measure.overlap(moved, fixed, [1, 2, 3])
    assert [found[label].is_lost for label in (1, 2, 3)] == [False, True, False]
    assert [found[label].is_absent for label in (1, 2, 3)] == [False, False, True]


def smooth_pair(seed, shape, labels, apart):
    """Two maps of regions that touch every border; the second is the first, moved and made rough."""
    rng = np.random.default_rng(seed)
    fixed = blobs(seed, shape, labels)
    moved = np.roll(fixed, tuple(rng.integers(-apart, apart + 1, 3)), axis=(0, 1, 2))
    return np.where(rng.random(shape) < 0.02, rng.integers(0, labels + 1, shape), moved), fixed


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(*[st.integers(2, 20)] * 3),
    apart=st.integers(0, 12),
    spacing=st.tuples(*[st.sampled_from([0.4, 0.7, 1.0, 1.5, 3.0])] * 3),
    kind=st.sampled_from([np.uint8, np.int16, np.int32, np.int64]),
)
def test_every_distance_is_that_of_a_distance_map(seed, shape, apart, spacing, kind):
    moved, fixed = (labels.astype(kind) for labels in smooth_pair(seed, shape, 3, apart))
    for label, found in measure.overlap(moved, fixed, [0, 1, 2, 3], spacing).items():
        if found.is_lost or found.is_absent:
            continue
        masks = moved == label, fixed == label
        assert found.dice == plain_metrics.dice(*masks)
        assert found.hd95_pooled_mm == pytest.approx(plain_metrics.hd95(*masks, spacing, "pooled"), abs=1e-9)
        assert found.hd95_max_mm == pytest.approx(plain_metrics.hd95(*masks, spacing, "max"), abs=1e-9)


def test_a_surface_out_of_reach_is_found_all_the_same():
    moved, fixed = np.zeros((30, 14, 16), np.int16), np.zeros((30, 14, 16), np.int16)
    moved[2], fixed[22:25] = 1, 1
    found = measure.overlap(moved, fixed, [1])[1]
    # There: 224 times 20. Back: 224 times 20, 56 times 21 from the rim of plane 23, 224 times 22.
    assert found.hd95_max_mm == 22
    assert found.hd95_pooled_mm == 22


def test_more_labels_than_fit_in_a_byte_are_scored_like_few():
    fixed = np.arange(300).reshape(5, 6, 10).repeat(3, 0).repeat(2, 1).repeat(2, 2) + 1
    moved = np.roll(fixed, 1, axis=1)
    found = measure.overlap(moved, fixed, range(1, 301))
    assert len(found) == 300
    for label in (1, 254, 255, 256, 300):
        masks = moved == label, fixed == label
        assert found[label].dice == plain_metrics.dice(*masks)
        assert found[label].hd95_pooled_mm == pytest.approx(plain_metrics.hd95(*masks, (1, 1, 1), "pooled"))


def test_labels_that_nobody_asked_for_are_outside_of_those_that_are_scored():
    moved, fixed = blobs(4), blobs(5)
    other = {name: np.where(labels == 3, 30_000, labels) for name, labels in (("moved", moved), ("fixed", fixed))}
    assert measure.overlap(other["moved"], other["fixed"], [1, 2]) == measure.overlap(moved, fixed, [1, 2])


@pytest.mark.parametrize("view", [lambda x: x.T, lambda x: x[::-1], lambda x: np.asfortranarray(x), lambda x: x[:, ::2, 1:]])
def test_the_layout_in_memory_does_not_matter(view):
    moved, fixed = view(blobs(6)), view(blobs(7))
    assert measure.overlap(moved, fixed, [1, 2, 3]) == measure.overlap(moved.copy(), fixed.copy(), [1, 2, 3])


def test_maps_of_two_types_are_compared():
    moved, fixed = blobs(6), blobs(7)
    expected = measure.overlap(moved, fixed, [1, 2])
    for kinds in ((np.uint8, np.int32), (np.uint64, np.int64), (np.dtype(">i2"), np.dtype("<i2"))):
        assert measure.overlap(moved.astype(kinds[0]), fixed.astype(kinds[1]), [1, 2]) == expected


def test_a_map_is_left_as_it_was_and_may_be_read_only():
    moved, fixed = blobs(6), blobs(7)
    moved.flags.writeable = False
    before = fixed.copy()
    measure.overlap(moved, fixed, [1, 2])
    assert np.array_equal(fixed, before)
    assert fixed.flags.writeable


def test_no_label_is_scored_below_0():
    with pytest.raises(UsageError, match="from 0, got -1"):
        measure.dice(voxel(1, 1, 1), voxel(1, 1, 1), [1, -1])


def test_no_labels_no_numbers():
    assert measure.overlap(blobs(1), blobs(2), []) == {}


def test_a_map_without_voxels_is_refused():
    with pytest.raises(DataError, match="on one grid"):
        measure.dice(np.zeros((0, 3, 4), int), np.zeros((0, 3, 4), int), [1])


@pytest.mark.parametrize("cores", [1, 3, 16])
def test_the_numbers_do_not_depend_on_how_many_cores_there_are(cores, monkeypatch):
    moved, fixed = pair_of("far apart")
    expected = measure.overlap(moved, fixed, range(1, 10), CASES["far apart"][1])
    monkeypatch.setattr("srreg.measure.threads.cores", lambda: cores)
    assert measure.overlap(moved, fixed, range(1, 10), CASES["far apart"][1]) == expected


def test_no_distance_map_is_held():
    away = sum((x - n // 2) ** 2 for x, n in zip(np.indices((96, 104, 88)), (96, 104, 88), strict=True))
    fixed = np.where(away < 40**2, 1, 0).astype(np.int16)
    moved = np.roll(fixed, 2, axis=1)
    measure.overlap(moved, fixed, [1])
    tracemalloc.start()
    measure.overlap(moved, fixed, [1])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * fixed.size  # half a map of distances in float64
