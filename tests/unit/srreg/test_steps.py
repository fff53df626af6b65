import importlib.metadata
from dataclasses import replace

import numpy as np
import pytest
from phantom import head
from scipy.spatial.transform import Rotation

from srreg.build.reference import grid_of, template
from srreg.build.step import cache_key, field_digest
from srreg.build.steps.align import Align
from srreg.build.steps.conform import Conform
from srreg.build.steps.correct_intensity import CorrectIntensity
from srreg.errors import StepFailed
from srreg.geometry import apply_affine, resample
from srreg.labels import check_known, merge_sides, remap
from srreg.subject import Subject
from srreg.volume import Grid, LabelMap, Volume


def moved_template(away, spacing_mm=4.0):
    """The template's brain as if it were a patient's, `away` from the common frame (frame to patient, world)."""
    shape = tuple(round(s / spacing_mm) for s in (220, 260, 230))
    affine = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    affine[:3, 3] = apply_affine(away, np.array([0.0, -17, 5])) - spacing_mm * (np.array(shape) - 1) / 2
    image = resample(template(), Grid(shape, affine), away)
    # Above the blur that resampling leaves around the brain.
    return Subject("1BA001", image, image, brain=LabelMap(image.data > 20, affine))


def affine_of(degrees, scales, shift_mm):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix() * scales
    matrix[:3, 3] = shift_mm
    return matrix


def error_mm(found, away):
    """Mean distance, over the brain, between where a point of the frame comes back to and where it was."""
    points = apply_affine(template().affine, np.argwhere(template().data[::8, ::8, ::8] > 0) * 8.0)
    return float(np.linalg.norm(apply_affine(found @ away, points) - points, axis=1).mean())


@pytest.mark.parametrize(
    ("degrees", "scales", "shift_mm"),
    [
        ((0, 0, 0), (1, 1, 1), (40, -25, 300)),
        ((10, -8, 15), (0.9, 1.08, 1.02), (-390, -80, 400)),
        ((-15, 5, -12), (1.1, 1, 0.92), (5, 9, -7)),
    ],
)
def test_a_known_affine_is_found_again(degrees, scales, shift_mm):
    away = affine_of(degrees, scales, shift_mm)
    found = Align("affine", working_mm=4)(moved_template(away)).to_reference
    assert error_mm(found, away) < 1.0


def test_a_rigid_alignment_changes_no_size():
    away = affine_of((6, 4, -9), (1, 1, 1), (10, 20, -30))
    found = Align("rigid", working_mm=4)(moved_template(away)).to_reference
    np.testing.assert_allclose(found[:3, :3] @ found[:3, :3].T, np.eye(3), atol=1e-5)
    assert error_mm(found, away) < 1.0


def test_center_brings_the_middle_of_the_brain_and_turns_nothing():
    away = affine_of((0, 0, 0), (1, 1, 1), (33, -44, 55))
    found = Align("center")(moved_template(away)).to_reference
    np.testing.assert_array_equal(found[:3, :3], np.eye(3))
    np.testing.assert_allclose(found[:3, 3], [-33, 44, -55], atol=1.0)


def test_none_leaves_the_world_as_it_is():
    np.testing.assert_array_equal(Align("none")(moved_template(np.eye(4))).to_reference, np.eye(4))


@pytest.mark.parametrize("scale", [0.5, 0.75, 1.4, 2.0])
def test_an_affine_that_blows_the_brain_up_or_shrinks_it_is_not_believed(scale, monkeypatch):
    subject = moved_template(np.eye(4))
    monkeypatch.setattr("srreg.build.steps.align._ants", lambda *_: np.diag([scale, scale, scale, 1.0]))
    with pytest.raises(StepFailed, match="could not be aligned"):
        Align("affine", working_mm=4)(subject)


def test_a_brain_laid_beside_the_template_is_not_believed(monkeypatch):
    beside = np.eye(4)
    beside[1, 3] = 30
    monkeypatch.setattr("srreg.build.steps.align._ants", lambda *_: beside)
    with pytest.raises(StepFailed, match="could not be aligned"):
        Align("rigid", working_mm=4)(moved_template(np.eye(4)))


def test_n4_takes_out_a_known_bias():
    subject = head(shape=(40, 52, 44), spacing_mm=4.5)
    x = np.linspace(-1, 1, 40)[:, None, None] * np.ones(subject.mr.data.shape)
    shaded = replace(subject, mr=Volume(subject.mr.data * np.exp(0.6 * x), subject.mr.affine))
    white = subject.labels.data == 2
    field = resample(CorrectIntensity()(shaded).bias, subject.mr.grid, background=None).data
    before, after = shaded.mr.data[white], (shaded.mr.data / field)[white]
    assert before.std() / before.mean() > 0.1
    assert after.std() / after.mean() < 0.04


@pytest.mark.parametrize("size", ["full", "half", "quarter"])
def test_grids_suit_the_networks_and_share_their_middle(size):
    grid = grid_of(size)
    assert all(n % 16 == 0 for n in grid.shape)
    middle = apply_affine(grid.affine, (np.array(grid.shape) - 1) / 2)
    np.testing.assert_allclose(middle, [0, -17, 5])
    corners = apply_affine(np.linalg.inv(grid.affine), np.array([[-72.0, -107, -72], [72, 73, 82]]))
    assert (corners >= 0).all()
    assert (corners <= np.array(grid.shape) - 1).all()


def test_conform_puts_every_size_in_the_same_place():
    subject = replace(head(shape=(40, 52, 44), spacing_mm=4.5), to_reference=np.eye(4))
    centres = []
    for size in ("full", "half", "quarter"):
        made = Conform(size)(subject)
        centres.append([apply_affine(made.labels.affine, np.argwhere(made.labels.data == k).mean(axis=0)) for k in (2, 3, 4)])
        assert made.mr.data[made.brain.data == 0].max() == 0
    np.testing.assert_allclose(centres[1], centres[0], atol=0.6)
    np.testing.assert_allclose(centres[2], centres[0], atol=1.2)


def test_the_ct_window_is_what_it_says():
    subject = replace(head(shape=(40, 52, 44), spacing_mm=4.5), to_reference=np.eye(4))
    flat = replace(subject, ct=Volume(np.where(subject.labels.data == 2, 20.0, 200.0), subject.ct.affine))
    made = Conform("quarter")(flat)
    assert np.median(made.ct.data[made.labels.data == 2]) == pytest.approx(20 / 80)
    assert made.ct.data.max() == 1


def test_a_brain_that_misses_the_grid_is_said_so():
    away = np.eye(4)
    away[:3, 3] = 1000
    with pytest.raises(StepFailed, match="no brain lies on the data set's grid"):
        Conform("quarter")(replace(head(), to_reference=away))


def test_a_key_follows_what_a_step_reads_and_nothing_else():
    subject = head()
    step = CorrectIntensity()
    key = cache_key(step, subject)
    assert cache_key(step, replace(subject, id="other", ct=subject.mr, labels=None)) == key
    assert cache_key(step, replace(subject, mr=Volume(subject.mr.data + 1, subject.mr.affine))) != key
    assert cache_key(CorrectIntensity(iterations=49), subject) != key
    assert field_digest(subject, "bias") is None


def test_a_new_release_of_a_library_gives_a_new_key(monkeypatch):
    key = cache_key(CorrectIntensity(), head())
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "99.0")
    assert cache_key(CorrectIntensity(), head()) != key


def test_right_hand_labels_become_left_hand_ones():
    data = np.array([0, 2, 41, 17, 53, 60, 24, 16]).reshape(2, 2, 2)
    merged = merge_sides(LabelMap(data, np.eye(4)))
    assert merged.data.ravel().tolist() == [0, 2, 2, 17, 17, 28, 24, 16]
    check_known(merged)


def test_labels_are_replaced_at_once_not_one_after_another():
    data = np.array([1, 2, 3, 1]).reshape(1, 2, 2)
    assert remap(LabelMap(data, np.eye(4)), {1: 2, 2: 3, 3: 1}).data.ravel().tolist() == [2, 3, 1, 2]
