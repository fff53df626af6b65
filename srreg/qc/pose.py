"""Is the pose in which MR and CT lie on each other the best one nearby? Asked by shifting the CT a little."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

# Shifts of less than this tell little: noise moves the optimum of a 1 mm grid by tenths of a millimetre.
_LEAST_STEP_MM = 2.0
_STEPS = (-2, -1, 0, 1, 2)
_BINS = 32
FEWEST_VOXELS = 300  # a joint histogram of 32 x 32 needs some


@dataclass(frozen=True)
class PoseProbe:
    """Normalised mutual information of MR and CT over small shifts of the CT along each axis.

    Args:
        step_mm: length of one step, per axis.
        information: [3, 5], per axis at -2, -1, 0, 1, 2 steps.
    """

    step_mm: NDArray[np.float64]
    information: NDArray[np.float64]

    @property
    def at_rest(self) -> float:
        """The value in the given pose: 1 says nothing in common, 2 everything."""
        return float(self.information[0, 2])

    @property
    def optimum_mm(self) -> NDArray[np.float64]:
        """Where the best shift lies [3], along the array axes.

        A parabola through the best step and its two neighbours says where between the steps it lies; a best
        step at the end of the line counts as it is.
        """
        return np.array([_peak(line) for line in self.information]) * self.step_mm

    @property
    def is_beyond(self) -> bool:
        """True if an optimum lies at the end of its line: the true one may lie further out."""
        return any(int(np.argmax(line)) in (0, len(line) - 1) for line in self.information)

    @property
    def distance_mm(self) -> float:
        """How far the optimum lies from the given pose."""
        return float(np.linalg.norm(self.optimum_mm))


def _peak(line: NDArray[np.float64]) -> float:
    """Position of the maximum of five values at -2 .. 2."""
    best = int(np.argmax(line))
    if best in (0, len(line) - 1):
        return float(_STEPS[best])
    before, here, after = line[best - 1 : best + 2]
    bend = before - 2 * here + after
    return _STEPS[best] + (0.0 if bend == 0 else float(0.5 * (before - after) / bend))


def probe_pose(
    mr: NDArray[np.float32],
    ct: NDArray[np.float32],
    brain: NDArray[np.bool_],
    spacing_mm: tuple[float, float, float],
) -> PoseProbe | None:
    """Measure MR and CT [D, H, W] against each other over small shifts.

    Only voxels so deep in the brain that no shift reaches its rim count: both images were masked alike,
    so the rim fits in any case. None where too few voxels lie so deep.
    """
    step = np.maximum(np.round(_LEAST_STEP_MM / np.array(spacing_mm)), 1).astype(int)
    core = deeper_than(brain, 2 * step)
    if np.count_nonzero(core) < FEWEST_VOXELS:
        return None
    fixed = binned(mr, core)[core]
    moving, places = binned(ct, core), np.flatnonzero(core)
    strides = np.array(moving.strides) // moving.itemsize
    flat = moving.reshape(-1)
    # No shift leaves the array: the core lies deeper in it than any.
    rows = [[information(fixed, flat[places + n * step[axis] * strides[axis]]) for n in _STEPS] for axis in range(3)]
    return PoseProbe(step * np.array(spacing_mm), np.array(rows))


def deeper_than(brain: NDArray[np.bool_], reach: NDArray[np.int_]) -> NDArray[np.bool_]:
    """Voxels whose neighbours along each axis, as far as `reach`, are brain too."""
    core = np.ones_like(brain)
    for axis, voxels in enumerate(reach):
        line = [1, 1, 1]
        line[axis] = 2 * int(voxels) + 1
        core &= ndimage.binary_erosion(brain, np.ones(line, dtype=bool))
    return core


def binned(image: NDArray[np.float32], core: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """Bin numbers 0 .. 31 between the 1st and 99th percentile of the core."""
    low, high = np.percentile(image[core], [1, 99])
    scaled = (image - low) / max(float(high - low), 1e-6) * _BINS
    return np.ascontiguousarray(scaled.clip(0, _BINS - 1).astype(np.uint16))


def information(fixed: NDArray[np.uint16], moving: NDArray[np.uint16]) -> float:
    """(H(a) + H(b)) / H(a, b): Studholme et al. 1999, Pattern Recognition 32:71. 1 where both are constant."""
    joint = np.bincount(fixed * np.uint16(_BINS) + moving, minlength=_BINS * _BINS).reshape(_BINS, _BINS)
    both = _entropy(joint.reshape(-1))
    return 1.0 if both == 0 else (_entropy(joint.sum(0)) + _entropy(joint.sum(1))) / both


def _entropy(counts: NDArray[np.int_]) -> float:
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log(share)).sum())
