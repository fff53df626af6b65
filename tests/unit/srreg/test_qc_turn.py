import math

import numpy as np
import pytest
from scipy import ndimage

from srreg.qc.turn import mirror_margin, probe_turn

SPACING = (3.0, 2.5, 2.0)
SHAPE = (48, 60, 70)


def pattern() -> tuple[np.ndarray, np.ndarray]:
    """A smooth random picture without symmetry, and an ellipsoid of a brain."""
    rough = np.random.default_rng(3).normal(size=SHAPE)
    picture = ndimage.gaussian_filter(rough, [5 / mm for mm in SPACING]).astype(np.float32)
    places = (np.moveaxis(np.indices(SHAPE), 0, -1) - (np.array(SHAPE) - 1) / 2) * SPACING
    brain = (np.linalg.norm(places / [65, 68, 62], axis=-1)) < 1
    return picture, brain


def turned(picture: np.ndarray, degrees: float, axes: tuple[int, int]) -> np.ndarray:
    """Turned by scipy in a plane of equal spacing, then taken back to the picture's own."""
    even = ndimage.zoom(picture, SPACING, order=1)
    there = ndimage.rotate(even, degrees, axes=axes, reshape=False, order=1, mode="nearest")
    return ndimage.zoom(there, np.array(picture.shape) / there.shape, order=1)


def test_two_images_that_lie_right_need_no_turn() -> None:
    picture, brain = pattern()
    found = probe_turn(picture, -picture, brain, SPACING)
    assert found is not None
    assert np.abs(found).max() < 0.5


@pytest.mark.parametrize(("axis", "axes"), [(0, (1, 2)), (1, (0, 2)), (2, (0, 1))])
def test_a_turned_ct_is_found_about_the_axis_it_was_turned_about_and_its_way(axis: int, axes: tuple[int, int]) -> None:
    picture, brain = pattern()
    one, other = (probe_turn(picture, -turned(picture, degrees, axes), brain, SPACING) for degrees in (4, -4))
    assert one is not None
    assert other is not None
    assert 2 < abs(one[axis]) < 5
    assert one[axis] == pytest.approx(-other[axis], abs=0.5)
    assert np.delete(np.abs(one), axis).max() < 1


def test_too_small_a_brain_tells_nothing() -> None:
    picture, brain = pattern()
    brain[:, :, 4:] = False
    assert probe_turn(picture, picture, brain, SPACING) is None
    assert math.isnan(mirror_margin(picture, picture, np.zeros_like(brain)))


def test_the_margin_is_large_for_an_image_and_negative_for_its_mirror_image() -> None:
    picture, brain = pattern()
    assert mirror_margin(picture, -picture, brain) > 80
    assert mirror_margin(picture, -picture[::-1], brain) < -80
