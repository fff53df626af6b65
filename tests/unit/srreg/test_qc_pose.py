import numpy as np
import pytest
from scipy import ndimage

from srreg.qc.pose import probe_pose

SHAPE = (28, 36, 44)
RNG = np.random.default_rng(3)
# Smooth blobs, so that half a voxel of shift matters; the CT shows the same shapes in another order of brightness.
BLOBS = ndimage.gaussian_filter(RNG.normal(size=SHAPE), 2.0).astype(np.float32)
BRAIN = np.zeros(SHAPE, dtype=bool)
BRAIN[4:-4, 4:-4, 4:-4] = True


def ct_of(mr: np.ndarray) -> np.ndarray:
    return (-(mr**3) * 100 + RNG.normal(0, 0.001, mr.shape)).astype(np.float32)


def test_images_that_lie_on_each_other_are_at_their_optimum() -> None:
    probe = probe_pose(BLOBS, ct_of(BLOBS), BRAIN, (2, 2, 2))
    assert probe is not None
    assert probe.distance_mm < 0.2
    assert not probe.is_beyond
    assert probe.at_rest > 1.1


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("spacing_mm", [1.0, 2.0, 4.0])
def test_a_shift_along_each_axis_is_found_with_its_sign(axis: int, spacing_mm: float) -> None:
    voxels = max(round(2 / spacing_mm), 1)
    shift = np.zeros(3)
    shift[axis] = voxels
    moved = ndimage.shift(ct_of(BLOBS), shift, order=1)
    probe = probe_pose(BLOBS, moved, BRAIN, (spacing_mm,) * 3)
    assert probe is not None
    assert probe.optimum_mm == pytest.approx(shift * spacing_mm, abs=0.35 * spacing_mm)


def test_a_shift_further_than_what_is_tried_says_so() -> None:
    moved = ndimage.shift(ct_of(BLOBS), (0, 3, 0), order=1)
    probe = probe_pose(BLOBS, moved, BRAIN, (2, 2, 2))
    assert probe is not None
    assert probe.is_beyond


def test_the_rim_of_the_mask_plays_no_part() -> None:
    shifted = ndimage.shift(ct_of(BLOBS), (1, 0, 0), order=1)
    whole = probe_pose(BLOBS, shifted, BRAIN, (2, 2, 2))
    masked = probe_pose(np.where(BRAIN, BLOBS, 0), np.where(BRAIN, shifted, 0), BRAIN, (2, 2, 2))
    assert whole is not None
    assert masked is not None
    assert np.array_equal(whole.information, masked.information)


def test_a_brain_too_small_to_shift_in_cannot_be_told() -> None:
    assert probe_pose(BLOBS, BLOBS, np.zeros(SHAPE, dtype=bool), (2, 2, 2)) is None


def test_a_constant_image_shares_nothing() -> None:
    probe = probe_pose(BLOBS, np.zeros(SHAPE, dtype=np.float32), BRAIN, (2, 2, 2))
    assert probe is not None
    assert probe.at_rest == pytest.approx(1)
