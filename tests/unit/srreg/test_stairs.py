import math

import numpy as np
import pytest
from scipy import ndimage

from srreg.build.stairs import image_bends, image_stairs, label_stairs

SHAPE = (48, 54, 60)
BRAIN = np.zeros(SHAPE, bool)
BRAIN[3:45, 3:51, 3:57] = True
STEPS = [(axis, step) for axis in range(3) for step in (2, 3, 5)]


def image(sigma: float = 1.0) -> np.ndarray:
    return ndimage.gaussian_filter(np.random.default_rng(1).normal(size=SHAPE), sigma).astype(np.float32)


def nearest(data: np.ndarray, axis: int, step: int) -> np.ndarray:
    """Every `step` planes are one."""
    return np.take(data, np.arange(SHAPE[axis]) // step * step, axis)


def linear(data: np.ndarray, axis: int, step: int) -> np.ndarray:
    """Between every `step`-th plane a straight line, as numpy draws it."""
    knots = np.arange(0, SHAPE[axis], step)
    values = np.take(data, knots, axis)
    return np.apply_along_axis(lambda line: np.interp(np.arange(SHAPE[axis]), knots, line), axis, values).astype(np.float32)


def test_an_image_and_labels_on_their_own_grid_have_no_stairs() -> None:
    assert image_stairs(image(), BRAIN) < 20
    assert image_bends(image(), BRAIN) < 20
    assert label_stairs(image() > 0, BRAIN) < 20


@pytest.mark.parametrize(("axis", "step"), STEPS)
def test_nearest_neighbour_from_thicker_slices_is_all_stairs(axis: int, step: int) -> None:
    assert image_stairs(nearest(image(), axis, step), BRAIN) == pytest.approx(100)
    assert label_stairs(nearest(image() > 0, axis, step), BRAIN) == pytest.approx(100)


@pytest.mark.parametrize(("axis", "step"), STEPS)
def test_lines_between_thicker_slices_bend_at_the_slices_alone(axis: int, step: int) -> None:
    straight = linear(image(), axis, step)
    assert image_bends(straight, BRAIN) == pytest.approx(100, abs=1)
    assert image_stairs(straight, BRAIN) < 70


def test_slices_that_lie_askew_are_found_by_tile() -> None:
    places = np.indices(SHAPE).astype(float)
    places[2] += 0.09 * places[0]  # 5 degrees
    askew = ndimage.map_coordinates(linear(image(), 2, 4), places, order=1, mode="nearest").astype(np.float32)
    assert image_bends(askew, BRAIN) > 40
    sound = ndimage.map_coordinates(image(), places, order=1, mode="nearest").astype(np.float32)
    assert image_bends(sound, BRAIN) < 25


def test_an_interface_along_the_planes_in_a_part_of_the_brain_is_no_staircase() -> None:
    stepped = image()
    stepped[:16, :18, 30:] += 5
    assert image_stairs(stepped, BRAIN) < 20


def test_too_small_a_brain_and_an_image_of_one_value_tell_nothing() -> None:
    small = np.zeros(SHAPE, bool)
    small[:6, :6, :6] = True
    assert math.isnan(image_stairs(image(), small))
    assert math.isnan(label_stairs(np.full(SHAPE, 2), BRAIN))
    assert math.isnan(image_bends(np.zeros((4, 1, 2), np.float32), np.ones((4, 1, 2), bool)))
