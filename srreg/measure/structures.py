"""How well the labels of two maps on one grid agree: Dice and the robust Hausdorff distance, HD95."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from srreg.errors import DataError, UsageError
from srreg.measure.arrays import read_only
from srreg.measure.distances import Reach, Robust, Spacing, robust_distances
from srreg.measure.surfaces import NUMBERS, Box, Surface
from srreg.measure.threads import in_pieces

Definition = Literal["pooled", "max"]
Labels = NDArray[np.integer]


@dataclass(frozen=True)
class Overlap:
    """How one label agrees.

    Args:
        moved_voxels: in the moved map.
        fixed_voxels: in the fixed map.
        dice: 2 |A and B| / (|A| + |B|), in [0, 1]; `nan` where it is absent from both maps.
        hd95_pooled_mm: 95th percentile of both directed sets of distances together (the paper's script, MedPy).
        hd95_max_mm: the larger of the two directed percentiles (MONAI). Both are `nan` where the label is absent
            from both maps, the volume's diagonal where it is absent from one.
    """

    moved_voxels: int
    fixed_voxels: int
    dice: float
    hd95_pooled_mm: float
    hd95_max_mm: float

    @property
    def is_absent(self) -> bool:
        """True where neither map has the label."""
        return not self.moved_voxels and not self.fixed_voxels

    @property
    def is_lost(self) -> bool:
        """True where one map has the label and the other has not."""
        return not self.is_absent and not (self.moved_voxels and self.fixed_voxels)


def overlap(
    moved_labels: Labels, fixed_labels: Labels, labels: Iterable[int], spacing_mm: Spacing = (1.0, 1.0, 1.0)
) -> dict[int, Overlap]:
    """Dice and HD95 of each label, all in one go.

    A surface is the voxels of a label that have one of their six neighbours outside it; what is outside the
    volume counts as outside the label. Percentiles are interpolated linearly.

    Args:
        moved_labels: [D, H, W], whole numbers from 0.
        fixed_labels: [D, H, W] on the same grid.
        labels: which to score.
        spacing_mm: edge lengths of a voxel along the array axes.

    Raises:
        DataError: two shapes, or values that are not whole numbers from 0.
        UsageError: a label to score below 0.
        BackendUnavailable: numba does not work here.
    """
    census = _count(moved_labels, fixed_labels, labels)
    distances = _distances(census, spacing_mm)
    diagonal_mm = float(np.linalg.norm(np.array(census.moved.shape) * spacing_mm))
    found = {}
    for label, (moved, fixed, _) in census.voxels.items():
        nowhere_mm = diagonal_mm if moved or fixed else float("nan")
        distance = distances.get(label, Robust(nowhere_mm, nowhere_mm))
        found[label] = Overlap(moved, fixed, census.dice(label), distance.pooled_mm, distance.max_mm)
    return found


def dice(moved_labels: Labels, fixed_labels: Labels, labels: Iterable[int]) -> dict[int, float]:
    """Overlap of each label: 2 |A and B| / (|A| + |B|).

    Args:
        moved_labels: [D, H, W], whole numbers from 0.
        fixed_labels: [D, H, W] on the same grid.
        labels: which to score.

    Returns:
        label -> value in [0, 1]; `nan` where it is absent from both maps.

    Raises:
        DataError: two shapes, or values that are not whole numbers from 0.
        UsageError: a label to score below 0.
        BackendUnavailable: numba does not work here.
    """
    census = _count(moved_labels, fixed_labels, labels)
    return {label: census.dice(label) for label in census.voxels}


def hd95(
    moved_labels: Labels,
    fixed_labels: Labels,
    labels: Iterable[int],
    spacing_mm: Spacing = (1.0, 1.0, 1.0),
    definition: Definition = "pooled",
) -> dict[int, float]:
    """Robust Hausdorff distance of each label: the 95th percentile of the distances between two surfaces.

    Args:
        moved_labels: [D, H, W], whole numbers from 0.
        fixed_labels: [D, H, W] on the same grid.
        labels: which to score.
        spacing_mm: edge lengths of a voxel along the array axes.
        definition: `pooled` or `max`, as `Overlap` has them.

    Returns:
        label -> mm; `nan` where it is absent from both maps, the volume's diagonal where it is absent from one.

    Raises:
        DataError: two shapes, or values that are not whole numbers from 0.
        UsageError: another definition, or a label to score below 0.
        BackendUnavailable: numba does not work here.
    """
    if definition not in ("pooled", "max"):
        raise UsageError(f"HD95 is defined as 'pooled' or 'max', not as {definition!r}")
    found = overlap(moved_labels, fixed_labels, labels, spacing_mm)
    return {label: one.hd95_pooled_mm if definition == "pooled" else one.hd95_max_mm for label, one in found.items()}


@dataclass(frozen=True)
class _Census:
    """What was counted in two maps of one type.

    Args:
        moved: [D, H, W].
        fixed: [D, H, W].
        voxels: label -> in the moved map, in the fixed map, in both at one place.
        low: the first voxel that has one of the labels.
        high: the last.
    """

    moved: Labels
    fixed: Labels
    voxels: dict[int, tuple[int, int, int]]
    low: NDArray[np.int64]
    high: NDArray[np.int64]

    def dice(self, label: int) -> float:
        moved, fixed, both = self.voxels[label]
        return 2 * both / (moved + fixed) if moved + fixed else float("nan")


def _count(moved_labels: NDArray[Any], fixed_labels: NDArray[Any], labels: Iterable[int]) -> _Census:
    from srreg.measure import label_kernels

    moved, fixed = _checked(moved_labels, fixed_labels)
    wanted = list(dict.fromkeys(labels))
    numbers = _numbered(wanted)

    def count(first: int, last: int) -> tuple[bool, NDArray[np.int64], NDArray[np.int64]]:
        counts, box = np.zeros((3, len(wanted) + 1), np.int64), np.array([moved.shape, (-1, -1, -1)])
        return label_kernels.count(moved, fixed, numbers, first, last, counts, box), counts, box

    valid, counts, boxes = zip(*in_pieces(count, len(moved)), strict=True)
    if not all(valid):
        raise DataError(f"expected labels that are whole numbers from 0, got {min(moved.min(), fixed.min())}")
    total, low, high = np.sum(counts, axis=0), np.min(boxes, axis=0)[0], np.max(boxes, axis=0)[1]
    voxels = {label: (int(a), int(b), int(both)) for label, (a, b, both) in zip(wanted, total.T[1:], strict=True)}
    return _Census(moved, fixed, voxels, low, high)


def _distances(census: _Census, spacing_mm: Spacing) -> dict[int, Robust]:
    """Of the labels that both maps have, some at a time: a surface is marked in bytes."""
    reach = Reach.around(spacing_mm)
    box = Box(census.low, census.high, reach.margin)
    shared = [label for label, (moved, fixed, _) in census.voxels.items() if moved and fixed]
    found: dict[int, Robust] = {}
    for first in range(0, len(shared), NUMBERS - 1):
        labels = shared[first : first + NUMBERS - 1]
        numbers = _numbered(labels)
        distances = robust_distances(Surface.of(census.moved, numbers, box), Surface.of(census.fixed, numbers, box), reach)
        found |= {label: distances[number] for number, label in enumerate(labels, start=1)}
    return found


def _numbered(labels: Sequence[int]) -> NDArray[np.int32]:
    """Label -> its place in the list, from 1; every other 0, the last among them, as the kernels ask for."""
    if min(labels, default=0) < 0:
        raise UsageError(f"expected labels to score from 0, got {min(labels)}")
    numbers = np.zeros(max(labels, default=0) + 2, np.int32)
    numbers[list(labels)] = np.arange(1, len(labels) + 1)
    return numbers


def _checked(moved_labels: NDArray[Any], fixed_labels: NDArray[Any]) -> tuple[Labels, Labels]:
    """Two maps of one type: a kernel is compiled for every type it meets."""
    shapes = moved_labels.shape, fixed_labels.shape
    if shapes[0] != shapes[1] or len(shapes[0]) != 3 or 0 in shapes[0]:
        raise DataError(f"expected two label maps [D, H, W] on one grid, got {shapes[0]} and {shapes[1]}")
    kind = np.promote_types(_kind(moved_labels), _kind(fixed_labels))
    return read_only(np.ascontiguousarray(moved_labels, kind)), read_only(np.ascontiguousarray(fixed_labels, kind))


def _kind(labels: NDArray[Any]) -> np.dtype[Any]:
    """The type to count in."""
    if labels.dtype == np.bool_:
        return np.dtype(np.uint8)
    if not np.issubdtype(labels.dtype, np.integer):
        raise DataError(f"expected labels that are whole numbers from 0, got {labels.dtype}")
    return np.dtype(np.int64) if labels.dtype.itemsize == 8 else labels.dtype  # uint64 and int64 would make a float
