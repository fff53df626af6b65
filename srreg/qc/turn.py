"""Is the CT turned, or mirrored, against the MR? Asked by turning and mirroring it a little."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from srreg.qc.pose import FEWEST_VOXELS, binned, deeper_than, information

# Not 0: a turned copy is interpolated, which smooths noise away and so shares more than one that is not.
_ANGLES_DEG = (-8, -4, 4, 8)
_REACH_MM = 45.0  # a point this far out moves by 6 mm at 8 degrees
_DEPTH_MM = 4.0
_MOST_POINTS = 40_000


def probe_turn(
    mr: NDArray[np.float32], ct: NDArray[np.float32], brain: NDArray[np.bool_], spacing_mm: tuple[float, float, float]
) -> NDArray[np.float64] | None:
    """The turn of the CT about each array axis that shares most with the MR, [3] in degrees.

    Normalised mutual information inside the brain at -8, -4, 4 and 8 degrees about its centre, and the top of a parabola
    through them, never further than the outermost. It tells a turn from none; how large it says a turn is lies below the truth
    where the images share fine detail.

    Args:
        mr: [D, H, W].
        ct: same shape.
        brain: the mask, same shape.
        spacing_mm: edge lengths of a voxel.

    Returns:
        None where the brain is too small to tell.
    """
    places, middle = _places(brain, np.array(spacing_mm))
    if len(places) < FEWEST_VOXELS:
        return None
    at_places = tuple(places.T)
    fixed = binned(mr, brain)[at_places]
    moving = binned(ct, brain).astype(np.float32)
    offsets = (places - middle) * spacing_mm
    optimum = []
    for axis in "xyz":
        turned = [Rotation.from_euler(axis, angle, degrees=True).apply(offsets) / spacing_mm + middle for angle in _ANGLES_DEG]
        copies = [ndimage.map_coordinates(moving, t.T, order=1, mode="nearest") for t in turned]
        optimum.append(_top([information(fixed, np.round(copy).astype(np.uint16)) for copy in copies]))
    return np.array(optimum)


def _places(brain: NDArray[np.bool_], spacing_mm: NDArray[np.float64]) -> tuple[NDArray[np.int_], NDArray[np.float64]]:
    """Voxels [N, 3] near the middle of the brain and deep in it, evenly thinned, and that middle [3]."""
    core = np.argwhere(deeper_than(brain, np.ceil(_DEPTH_MM / spacing_mm).astype(int)))
    if core.size == 0:
        return core, np.zeros(3)
    middle = core.mean(axis=0)
    near = core[np.linalg.norm((core - middle) * spacing_mm, axis=1) < _REACH_MM]
    return near[:: len(near) // _MOST_POINTS + 1], middle


def _top(line: list[float]) -> float:
    """Where the parabola of least squares has its top; its better end where it has none within."""
    bend, slope, _ = np.polyfit(_ANGLES_DEG, line, 2)
    end = float(_ANGLES_DEG[-1])
    if bend >= 0:
        return end if line[-1] > line[0] else -end
    return float(np.clip(-slope / (2 * bend), -end, end))


def mirror_margin(mr: NDArray[np.float32], ct: NDArray[np.float32], brain: NDArray[np.bool_]) -> float:
    """How much more the MR shares with the CT than with its mirror image, in percent of the former; nan where unknown.

    Mirrored across the brain's middle, and one voxel to either side of it.
    """
    if np.count_nonzero(brain) < FEWEST_VOXELS:
        return float("nan")
    places = np.argwhere(brain)
    middle, scores = places[:, 0].mean(), []
    for twice in np.round(2 * middle).astype(int) + np.arange(-2, 3):
        there = places * [-1, 1, 1] + [twice, 0, 0]
        known = (there[:, 0] >= 0) & (there[:, 0] < brain.shape[0])
        known[known] = brain[tuple(there[known].T)]
        scores.append((places[known], there[known]))
    fixed, moving = binned(mr, brain), binned(ct, brain)
    straight = information(fixed[brain], moving[brain]) - 1
    mirrored = max(information(fixed[tuple(a.T)], moving[tuple(b.T)]) - 1 for a, b in scores if len(a) >= FEWEST_VOXELS)
    return 100 * (straight - mirrored) / max(straight, 1e-9)
