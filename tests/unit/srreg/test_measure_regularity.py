import tracemalloc

import numpy as np
import plain_metrics
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from srreg import measure
from srreg.errors import DataError

SHAPE = (12, 14, 16)
MEASURED = (
    measure.folding_percent,
    measure.folding_percent_published,
    measure.nondiffeomorphic_volume_percent,
    measure.log_jacobian_std,
    measure.regularity,
)


def random_field(seed=0, shape=SHAPE, amplitude=2.0):
    return np.random.default_rng(seed).normal(scale=amplitude, size=(*shape, 3))


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


@pytest.mark.parametrize("shift", [(0.0, 0.0, 0.0), (3.0, -20.0, 0.5)])
@pytest.mark.parametrize("function", MEASURED[:4])
def test_the_identity_and_a_translation_are_as_regular_as_can_be(function, shift):
    assert function(np.full((*SHAPE, 3), shift, np.float32)) == 0


def test_a_collapse_onto_a_plane_counts_as_folded():
    field = np.zeros((*SHAPE, 3))
    field[..., 0] = -np.arange(SHAPE[0])[:, None, None]
    assert measure.folding_percent(field) == 100
    assert measure.folding_percent_published(field) == 0


SHAPES = st.tuples(*[st.integers(2, 9)] * 3)


@settings(deadline=None)
@given(
    shape=SHAPES,
    seed=st.integers(0, 2**32 - 1),
    amplitude=st.sampled_from([0.3, 0.6, 1, 4, 1000]),
    kind=st.sampled_from([np.float32, np.float64]),
)
def test_folding_has_the_count_of_numpys_gradients(shape, seed, amplitude, kind):
    field = random_field(seed, shape, amplitude).astype(kind)
    assert measure.folding_percent(field) == 100 * np.mean(plain_metrics.determinants(field) <= 0)


@settings(deadline=None)
@given(SHAPES.flatmap(lambda shape: arrays(np.float32, (*shape, 3), elements=st.integers(-2, 2).map(lambda n: n / 2))))
def test_folding_has_the_count_of_numpys_gradients_where_determinants_are_0(field):
    assert measure.folding_percent(field) == 100 * np.mean(plain_metrics.determinants(field) <= 0)


@pytest.mark.parametrize("noise", [0, 1e-8, 1e-6, 1e-4, 0.01])
@pytest.mark.parametrize("offset", [0, 500])
def test_folding_has_the_count_of_numpys_gradients_where_determinants_are_lost_in_rounding(noise, offset):
    # Everything falls onto one plane, but for a noise: in float32 alone the sign of a determinant of it means nothing.
    field = noise * random_field(10, (7, 9, 75), 1.0) + offset
    field[..., 1] -= np.arange(9)[None, :, None]
    field = field.astype(np.float32)
    assert measure.folding_percent(field) == 100 * np.mean(plain_metrics.determinants(field) <= 0)


@pytest.mark.parametrize("amplitude", [1e-30, 1e15, 1e36])
def test_folding_has_the_count_of_numpys_gradients_where_narrow_numbers_end(amplitude):
    field = random_field(11, (7, 9, 75), amplitude).astype(np.float32)
    assert measure.folding_percent(field) == 100 * np.mean(plain_metrics.determinants(field) <= 0)


@pytest.mark.parametrize("amplitude", [0.6, 1.0, 4.0])
def test_the_published_share_is_simpleitks_on_the_array_as_it_is(amplitude):
    field = random_field(seed=1, amplitude=amplitude)
    determinant = sitk.DisplacementFieldJacobianDeterminant(sitk.GetImageFromArray(field, isVector=True))
    expected = 100 * np.mean(sitk.GetArrayFromImage(determinant) < 0)
    assert expected > 0
    assert measure.folding_percent_published(field) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("function", MEASURED)
@pytest.mark.parametrize("shape", [(4, 4, 4), (4, 4, 4, 2), (1, 4, 4, 3)])
def test_what_is_no_field_is_refused(function, shape):
    with pytest.raises(DataError, match="expected a displacement"):
        function(np.zeros(shape))


@pytest.mark.parametrize("function", MEASURED)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_field_that_is_not_finite_is_not_measured(function, value):
    field = np.zeros((4, 5, 6, 3), np.float32)
    field[1, 2, 3, 0] = value
    with pytest.raises(DataError, match="1 components"):
        function(field)


def reflection(axis, shape=SHAPE):
    """Along one axis x goes to -x: u = -2 x."""
    field = np.zeros((*shape, 3), np.float32)
    field[..., axis] = np.moveaxis(
        np.broadcast_to(-2.0 * np.arange(shape[axis]), (*np.delete(shape, axis), shape[axis])), -1, axis
    )
    return field


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_reflection_turns_all_volume_inside_out(axis):
    # All between the first and the last plane; beyond them the field goes on unchanged, and turns nothing.
    expected = 100 * (SHAPE[axis] - 1) / SHAPE[axis]
    assert measure.nondiffeomorphic_volume_percent(reflection(axis)) == pytest.approx(expected)
    assert measure.folding_percent(reflection(axis)) == 100


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_mirrored_slab_turns_its_own_volume_inside_out(axis):
    # Planes 4 to 7 land on 7, 6, 5, 4: the three spaces between them are turned, those on either side stretched to 4.
    assert measure.nondiffeomorphic_volume_percent(fold_along(axis)) == pytest.approx(100 * 3 / SHAPE[axis])


def test_a_smooth_field_with_small_slopes_turns_and_folds_nothing():
    d, h, w = np.indices(SHAPE) / 3  # the mapping's slopes are off the identity's by less than 0.3 in each row: invertible
    field = 0.4 * np.stack([np.sin(h) + np.cos(w), np.sin(w) + np.cos(d), np.sin(d) + np.cos(h)], axis=-1)
    assert measure.nondiffeomorphic_volume_percent(field) == 0
    assert measure.folding_percent(field) == 0
    assert measure.log_jacobian_std(field) > 0.01


def test_a_shear_turns_no_volume():
    field = np.zeros((*SHAPE, 3))
    field[..., 0] = -1.5 * np.arange(SHAPE[2])
    assert measure.nondiffeomorphic_volume_percent(field) == 0


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_one_voxel_that_jumps_over_its_neighbour_is_seen_by_its_volume_alone(axis):
    field = np.zeros((*SHAPE, 3))
    field[5, 6, 7, axis] = 1.5
    # In front of the voxel the distance shrinks from 1 to -0.5: it and its neighbour have four tetrahedra there each, of
    # det -0.5, volume 1/12, half of which counts. The two in the middle of the cubes keep det 2 - 1.5.
    assert measure.nondiffeomorphic_volume_percent(field) == pytest.approx(100 * 8 / 24 / (12 * 14 * 16))
    assert measure.folding_percent(field) == 0


@settings(deadline=None, max_examples=50)
@given(shape=SHAPES, seed=st.integers(0, 2**32 - 1), amplitude=st.sampled_from([0.3, 1, 30]))
def test_the_turned_volume_is_that_of_tetrahedra_cut_one_by_one(shape, seed, amplitude):
    field = random_field(seed, shape, amplitude)
    expected = 100 * plain_metrics.turned_volume(field) / np.prod(shape)
    assert measure.nondiffeomorphic_volume_percent(field) == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert measure.nondiffeomorphic_volume_percent(field.astype(np.float32)) == pytest.approx(expected, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("scale", [0.01, 0.5, 1.5, 40.0])
def test_a_change_of_volume_that_is_the_same_everywhere_has_no_spread(scale):
    field = (scale - 1) * np.moveaxis(np.indices(SHAPE), 0, 3).astype(float)
    assert measure.log_jacobian_std(field) == pytest.approx(0, abs=1e-6)


@settings(deadline=None)
@given(shape=SHAPES, seed=st.integers(0, 2**32 - 1), amplitude=st.sampled_from([0.01, 0.3, 2, 1000]))
def test_the_spread_is_that_of_numpys_logarithms_and_small_determinants_are_clipped(shape, seed, amplitude):
    field = random_field(seed, shape, amplitude)
    determinants = plain_metrics.determinants(field)
    found = measure.regularity(field)["whole"]
    assert found.log_jacobian_std == pytest.approx(np.std(np.log(np.maximum(determinants, 1e-9))), rel=1e-9, abs=1e-7)
    assert found.clipped == np.count_nonzero(determinants < 1e-9)


def test_everything_of_a_field_comes_in_one_pass():
    field = random_field(3)
    found = measure.regularity(field)["whole"]
    assert found.voxels == 12 * 14 * 16
    one_by_one = [function(field) for function in MEASURED[:4]]
    assert one_by_one == [
        found.folding_percent,
        found.folding_percent_published,
        found.nondiffeomorphic_volume_percent,
        found.log_jacobian_std,
    ]


def test_a_mask_divides_the_voxels_in_those_inside_and_those_outside():
    field, mask = random_field(4), np.random.default_rng(5).random(SHAPE) < 0.3
    found, folded = measure.regularity(field, mask), plain_metrics.determinants(field) <= 0
    assert found["inside"].voxels == np.count_nonzero(mask)
    assert found["inside"].folding_percent == pytest.approx(100 * np.mean(folded[mask]))
    assert found["outside"].folding_percent == pytest.approx(100 * np.mean(folded[~mask]))
    whole = found["whole"]
    for name in ("folding_percent_published", "nondiffeomorphic_volume_percent"):
        parts = sum(getattr(found[part], name) * found[part].voxels for part in ("inside", "outside"))
        assert getattr(whole, name) == pytest.approx(parts / whole.voxels)
    assert whole.clipped == found["inside"].clipped + found["outside"].clipped


def test_what_folds_inside_the_mask_alone_does_not_count_outside_it():
    field, mask = np.zeros((*SHAPE, 3)), np.zeros(SHAPE, bool)
    field[5, 6, 7, 1] = 3
    mask[3:8, 4:9, 5:10] = True
    found = measure.regularity(field, mask)
    for name in ("folding_percent", "nondiffeomorphic_volume_percent", "log_jacobian_std"):
        assert getattr(found["inside"], name) > 0
        assert getattr(found["outside"], name) == pytest.approx(0, abs=1e-9)


def test_outside_a_mask_of_everything_there_is_no_number():
    outside = measure.regularity(random_field(), np.ones(SHAPE, bool))["outside"]
    assert outside.voxels == outside.clipped == 0
    assert np.isnan([outside.folding_percent, outside.nondiffeomorphic_volume_percent, outside.log_jacobian_std]).all()


def test_a_mask_of_another_grid_is_refused():
    with pytest.raises(DataError, match="on the field's grid"):
        measure.regularity(random_field(), np.ones((14, 12, 16), bool))


@pytest.mark.parametrize("view", [lambda x: x.transpose(2, 1, 0, 3), lambda x: x[::-1, :, ::2], np.asfortranarray])
def test_the_layout_in_memory_does_not_matter(view):
    field = view(random_field(6))
    assert measure.regularity(field) == measure.regularity(field.copy(order="C"))


@pytest.mark.parametrize("kind", [np.float16, np.int32, np.dtype(">f4")])
def test_other_number_types_are_measured_in_float64(kind):
    field = np.round(random_field(7)).astype(kind)
    assert measure.regularity(field) == measure.regularity(field.astype(np.float64))


@pytest.mark.parametrize("cores", [1, 3, 16])
def test_the_numbers_do_not_depend_on_how_many_cores_there_are(cores, monkeypatch):
    field = random_field(8, (12, 61, 16))
    expected = measure.regularity(field)
    monkeypatch.setattr("srreg.measure.threads.cores", lambda: cores)
    assert measure.regularity(field) == expected


def test_a_field_is_left_as_it_was_and_not_copied():
    field = random_field(9, (64, 72, 80)).astype(np.float32)
    before = field.copy()
    measure.regularity(field)
    tracemalloc.start()
    measure.regularity(field)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < field.nbytes / 10
    assert np.array_equal(field, before)
    assert field.flags.writeable
