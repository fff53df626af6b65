"""Kernels on label maps: count voxels, mark surfaces, look for the nearest surface voxel.

A label's number is its place in the list of labels that are scored, from 1; every other label is number 0. In
`numbers`, label -> number, the last entry stands for all labels from there on, and is 0.
"""

import numpy as np
from numpy.typing import NDArray

from srreg.measure.compiled import exact

Labels = NDArray[np.integer]
Numbers = NDArray[np.int32]


@exact
def count(
    moved: Labels, fixed: Labels, numbers: Numbers, first: int, last: int, counts: NDArray[np.int64], box: NDArray[np.int64]
) -> bool:
    """Count the voxels of every number in planes `first` to `last`.

    Args:
        moved: [D, H, W].
        fixed: [D, H, W].
        numbers: label -> number.
        first: plane.
        last: plane, not included.
        counts: [3, K + 1], added to: voxels in the moved map, in the fixed map, in both at one place.
        box: [2, 3], made wider: the first and the last voxel that has a number in either map.

    Returns:
        False where a label is below 0.
    """
    _, height, width = moved.shape
    starts = np.empty(width + 1, np.int64)
    valid = True
    for i in range(first, last):
        for j in range(height):
            runs = _find_runs(moved[i, j], fixed[i, j], starts)
            for run in range(runs):  # labels come in runs: a run is counted at once
                start, end = starts[run], starts[run + 1]
                a, b = moved[i, j, start], fixed[i, j, start]
                valid &= a >= 0 and b >= 0
                a, b = _number(a, numbers), _number(b, numbers)
                counts[0, a] += end - start
                counts[1, b] += end - start
                if a == b:
                    counts[2, a] += end - start
                if a > 0 or b > 0:
                    _widen(box, (i, j, start), (i, j, end - 1))
    return valid


@exact
def _find_runs(moved: NDArray[np.integer], fixed: NDArray[np.integer], starts: NDArray[np.int64]) -> int:
    """Write down where either label of a row [W] changes, and the row's end; return how many runs there are."""
    width = len(moved)
    changes = np.ones(width, np.bool_)
    for k in range(1, width):
        changes[k] = (moved[k] != moved[k - 1]) | (fixed[k] != fixed[k - 1])
    found = 0
    for k in range(width):  # without a branch: half of the guesses would be wrong
        starts[found] = k
        found += changes[k]
    starts[found] = width
    return found


@exact
def _number(label: int, numbers: Numbers) -> int:
    return numbers[min(np.uint64(label), np.uint64(len(numbers) - 1))]


@exact
def _widen(box: NDArray[np.int64], low: tuple[int, int, int], high: tuple[int, int, int]) -> None:
    for axis in range(3):
        box[0, axis], box[1, axis] = min(box[0, axis], low[axis]), max(box[1, axis], high[axis])


@exact
def mark(
    labels: Labels,
    numbers: Numbers,
    first: int,
    last: int,
    low: NDArray[np.int64],
    margin: NDArray[np.int64],
    surface: NDArray[np.uint8],
    sizes: NDArray[np.int64],
) -> None:
    """Write the numbers of the surface voxels in planes `first` to `last` of a box into `surface`.

    A surface voxel has one of its six neighbours outside its label; what is outside the volume is outside the label.

    Args:
        labels: [D, H, W].
        numbers: label -> number, at most 255.
        first: plane of the box.
        last: plane of the box, not included.
        low: where the box begins in the volume.
        margin: voxels on either side of the box.
        surface: the box with its margin all round.
        sizes: [planes of the box], set to how many surface voxels each has.
    """
    rows, columns = surface.shape[1] - 2 * margin[1], surface.shape[2] - 2 * margin[2]
    edges = np.empty(labels.shape[2], np.bool_)
    for i in range(first, last):
        found = 0
        for j in range(rows):
            _find_edges(labels, i + low[0], j + low[1], edges)
            marks = surface[i + margin[0], j + margin[1], margin[2] : margin[2] + columns]
            line = labels[i + low[0], j + low[1], low[2] : low[2] + columns]
            edge = edges[low[2] : low[2] + columns]
            for k in range(columns):
                marks[k] = _number(line[k], numbers) * edge[k]
            for k in range(columns):  # a loop of its own, to be vectorized
                found += marks[k] > 0
        sizes[i] = found


@exact
def _find_edges(labels: Labels, i: int, j: int, edges: NDArray[np.bool_]) -> None:
    """Tell which voxels of a row have another label beside them, or nothing."""
    depth, height, width = labels.shape
    edges[:] = True
    if 0 < i < depth - 1 and 0 < j < height - 1:
        row, above, below, before, behind = labels[i, j], labels[i - 1, j], labels[i + 1, j], labels[i, j - 1], labels[i, j + 1]
        for k in range(1, width - 1):
            along = (row[k - 1] != row[k]) | (row[k + 1] != row[k])
            edges[k] = along | (above[k] != row[k]) | (below[k] != row[k]) | (before[k] != row[k]) | (behind[k] != row[k])


@exact
def list_marked(
    surface: NDArray[np.uint8], first: int, last: int, positions: NDArray[np.integer], sizes: NDArray[np.int64]
) -> None:
    """Write down where `surface`, flat from `first` to `last`, is not 0.

    Args:
        surface: flat.
        first: where to begin.
        last: where to end.
        positions: as many as there are, and one to spare.
        sizes: [256], added to: how many there are of each number.
    """
    found = 0
    for position in range(first, last):  # without a branch
        positions[found] = position
        found += surface[position] > 0
    for position in positions[:found]:
        sizes[surface[position]] += 1


@exact
def look_around(
    here: NDArray[np.uint8],
    there: NDArray[np.uint8],
    positions: NDArray[np.integer],
    steps: NDArray[np.int64],
    shells: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> int:
    """From each surface voxel, find the nearest one of the same number on the other surface.

    Args:
        here: the surface looked from, flat.
        there: the surface looked for, flat, of the same shape.
        positions: voxels of `here` to look from; those that find nothing are moved to the front.
        steps: from a voxel to those around it, nearest first; none leads out of the array.
        shells: for each step, the place of its distance among the distances there are.
        counts: [K + 1, S], added to: how many voxels of each number found theirs at each distance.

    Returns:
        How many voxels found nothing.
    """
    left = 0
    for position in positions:
        number = here[position]
        for step in range(len(steps)):
            if there[position + steps[step]] == number:
                counts[number, shells[step]] += 1
                break
        else:
            positions[left] = position
            left += 1
    return left
