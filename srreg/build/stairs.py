"""Does an image change from plane to plane in steps? Thick slices, or labels of a coarser grid, on a finer one do."""

import numpy as np
from numpy.typing import NDArray

_SMALL_TILE, _LARGE_TILE = 8, 16  # voxels; a label map changes at few places, and needs more of them to be counted
_FEWEST_PAIRS = 6  # of planes in a column
_PERCENT = 100


def image_stairs(image: NDArray[np.float32], brain: NDArray[np.bool_]) -> float:
    """How far an image is made of equal neighbours, in percent: 100 where it was brought to a finer grid by nearest neighbour.

    Args:
        image: [D, H, W].
        brain: where to look, same shape.

    Returns:
        That of the axis with the highest; nan where the brain is too small to tell.
    """
    return _highest(
        [_stairs(np.abs(np.diff(line)), _all_inside(within, 2), _SMALL_TILE) for line, within in _lines(image, brain)]
    )


def image_bends(image: NDArray[np.float32], brain: NDArray[np.bool_]) -> float:
    """How far an image runs in straight pieces, in percent: 100 where thick slices were brought to a finer grid linearly.

    As `image_stairs`, of the second difference, which a straight piece has none of but at its ends.
    """
    lines = _lines(image, brain)
    return _highest([_stairs(np.abs(np.diff(line, n=2)), _all_inside(within, 3), _SMALL_TILE) for line, within in lines])


def label_stairs(labels: NDArray[np.integer], brain: NDArray[np.bool_]) -> float:
    """How far the borders of labels lie between the same planes, in percent, as `image_stairs`."""
    lines = _lines(labels, brain)
    return _highest([_stairs(np.diff(line) != 0, _all_inside(within, 2), _LARGE_TILE) for line, within in lines])


def _lines(image: NDArray[np.generic], brain: NDArray[np.bool_]) -> list[tuple[NDArray[np.generic], NDArray[np.bool_]]]:
    """Image and brain with each axis last in turn."""
    return [(np.moveaxis(image, axis, -1), np.moveaxis(brain, axis, -1)) for axis in range(3)]


def _all_inside(brain: NDArray[np.bool_], count: int) -> NDArray[np.bool_]:
    """Whether so many neighbours along the last axis are all brain."""
    length = brain.shape[-1] - count + 1
    return np.logical_and.reduce([brain[..., start : start + max(length, 0)] for start in range(count)])


def _stairs(change: NDArray[np.generic], inside: NDArray[np.bool_], tile: int) -> float:
    """Median over the tiles of how unevenly the change between planes is spread over them, in percent.

    A tile's changes c have the unevenness sum |c[k+1] - c[k]| / sum (c[k+1] + c[k]): 0 where every plane differs as much
    from the next, 1 where no two pairs of planes in a row both differ, however wide the steps are. Tiles, because thick slices
    of a head that was turned lie askew; the median, because an interface along the planes is a step in some tiles only.

    Args:
        change: [A, B, K], between planes along the last axis.
        inside: where it counts.
        tile: voxels along an edge.
    """
    count = _by_tile(inside, tile)
    counts = count >= tile * tile / 2
    mean = np.where(counts, _by_tile(np.where(inside, change, 0), tile) / np.maximum(count, 1), 0)
    pairs = counts[..., 1:] & counts[..., :-1]
    rises = (np.abs(np.diff(mean)) * pairs).sum(axis=-1)
    sums = ((mean[..., 1:] + mean[..., :-1]) * pairs).sum(axis=-1)
    usable = (pairs.sum(axis=-1) >= _FEWEST_PAIRS) & (sums > 0)
    return _PERCENT * float(np.median(rises[usable] / sums[usable])) if usable.any() else float("nan")


def _by_tile(values: NDArray[np.generic], tile: int) -> NDArray[np.float64]:
    """[A, B, K] summed over tiles of the first two axes; what fills no tile is left out."""
    a, b, k = values.shape[0] // tile, values.shape[1] // tile, values.shape[2]
    whole: NDArray[np.float64] = values[: a * tile, : b * tile].reshape(a, tile, b, tile, k).sum(axis=(1, 3), dtype=np.float64)
    return whole


def _highest(percents: list[float]) -> float:
    known = [percent for percent in percents if not np.isnan(percent)]
    return max(known, default=float("nan"))
