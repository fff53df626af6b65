"""Distances between the surfaces of two label maps, of all labels at once and without a distance map.

Most surface voxels find the nearest one of the other surface within three voxels: they look at what is around them,
nearest first. A percentile needs no distance beyond itself, so those that find nothing within reach are looked up in
a tree only where the percentile is among them. Every distance is exact.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from srreg.measure.surfaces import Surface
from srreg.measure.threads import cores, in_pieces

Spacing = tuple[float, float, float]

_QUANTILE = 0.95
# How many voxels are looked at, in rounds: after each, a label whose percentile has been found is left alone.
_ROUNDS = (125, 500, 2000)


@dataclass(frozen=True)
class Reach:
    """The voxels around a voxel, nearest first.

    Args:
        offsets: [N, 3].
        shells: [N], the place of each one's distance in `distances_mm`.
        distances_mm: [S], ascending.
        spacing_mm: edge lengths of a voxel along the array axes.
    """

    offsets: NDArray[np.int64]
    shells: NDArray[np.int64]
    distances_mm: NDArray[np.float64]
    spacing_mm: Spacing

    @classmethod
    def around(cls, spacing_mm: Spacing) -> "Reach":
        """All voxels of a ball that has about as many as the rounds look at."""
        radius_mm = (_ROUNDS[-1] * np.prod(spacing_mm) * 3 / (4 * np.pi)) ** (1 / 3)
        margin = np.floor(radius_mm / np.array(spacing_mm)).astype(np.int64)
        cuboid = np.indices(2 * margin + 1).reshape(3, -1).T - margin
        away_mm = np.linalg.norm(cuboid * spacing_mm, axis=1)
        order = np.argsort(away_mm, kind="stable")[: np.count_nonzero(away_mm <= radius_mm)]
        distances_mm, shells = np.unique(away_mm[order], return_inverse=True)
        return cls(cuboid[order], shells.astype(np.int64), distances_mm, spacing_mm)

    @property
    def margin(self) -> NDArray[np.int64]:
        """The longest step along each axis."""
        return self.offsets.max(axis=0)


@dataclass(frozen=True)
class Robust:
    """The 95th percentile of the distances between two surfaces, in mm.

    Args:
        pooled_mm: of both directed sets together.
        max_mm: the larger of the two directed ones.
    """

    pooled_mm: float
    max_mm: float


def robust_distances(moved: Surface, fixed: Surface, reach: Reach) -> dict[int, Robust]:
    """Percentiles of each number that the surfaces have; both must have the same."""
    there, back = _Search(moved, fixed, reach), _Search(fixed, moved, reach)
    for first, last in zip((0, *_ROUNDS), _ROUNDS, strict=False):
        for search in (there, back):
            search.look_around(first, last)
        settled = _are_settled(there, back)
        for search in (there, back):
            search.leave(settled)
    return {int(number): _robust(int(number), there, back) for number in np.flatnonzero(moved.sizes)}


class _Search:
    """The way from every surface voxel of one map to the nearest one of the same label in the other.

    Args:
        here: the surface looked from.
        there: the surface looked for.
        reach: how far to look before a tree is grown.
    """

    def __init__(self, here: Surface, there: Surface, reach: Reach) -> None:
        self.here, self.there, self.reach = here, there, reach
        self.counts = np.zeros((len(here.sizes), len(reach.distances_mm)), np.int64)  # [256, S]: found, at each distance
        self.left = here.positions

    def look_around(self, first: int, last: int) -> None:
        """Look at the voxels `first` to `last` of the reach, from those that found nothing yet."""
        from srreg.measure import label_kernels

        _, height, width = self.here.marked.shape
        steps, shells = self.reach.offsets[first:last] @ [height * width, width, 1], self.reach.shells[first:last]
        here, there = self.here.marked.reshape(-1), self.there.marked.reshape(-1)

        def look(a: int, b: int) -> tuple[NDArray[np.int64], NDArray[np.integer]]:
            counts, positions = np.zeros_like(self.counts), self.left[a:b].copy()
            many = label_kernels.look_around(here, there, positions, steps, shells, counts)
            return counts, positions[:many]

        found = in_pieces(look, len(self.left))
        self.counts = sum((counts for counts, _ in found), self.counts)
        self.left = np.concatenate([self.left[:0], *(positions for _, positions in found)])

    def leave(self, settled: NDArray[np.bool_]) -> None:
        """Look no longer from voxels of these numbers."""
        self.left = self.left[~settled[self._numbers()]]

    def far_mm(self, number: int) -> NDArray[np.float64]:
        """Distances of the voxels of a number that are still left."""
        left = self.left[self._numbers() == number]
        if not len(left):
            return np.empty(0)
        tree = KDTree(np.argwhere(self.there.marked == number) * self.reach.spacing_mm)
        points = np.stack(np.unravel_index(left, self.here.marked.shape), axis=-1) * self.reach.spacing_mm
        return tree.query(points, workers=cores())[0]

    def _numbers(self) -> NDArray[np.uint8]:
        return self.here.marked.reshape(-1)[self.left]


def _are_settled(there: _Search, back: _Search) -> NDArray[np.bool_]:
    """[256]: True where every percentile is among the distances found."""
    pairs = [(side.counts, side.here.sizes) for side in (there, back)]
    pairs.append((there.counts + back.counts, there.here.sizes + back.here.sizes))
    return np.all([counts.sum(axis=1) > np.ceil(_QUANTILE * (sizes - 1)) for counts, sizes in pairs], axis=0)


def _robust(number: int, there: _Search, back: _Search) -> Robust:
    """Where the number is settled nothing is left of it, and no percentile is among what is missing."""
    near_mm = there.reach.distances_mm
    sides = [(side.counts[number], side.far_mm(number), int(side.here.sizes[number])) for side in (there, back)]
    counts, far_mm, sizes = zip(*sides, strict=True)
    directed_mm = [_percentile_mm(near_mm, *side) for side in sides]
    return Robust(_percentile_mm(near_mm, counts[0] + counts[1], np.concatenate(far_mm), sum(sizes)), max(directed_mm))


def _percentile_mm(near_mm: NDArray[np.float64], counts: NDArray[np.int64], far_mm: NDArray[np.float64], size: int) -> float:
    """The 95th percentile of `size` distances, interpolated linearly as numpy does.

    Args:
        near_mm: distances, ascending.
        counts: how often each of them occurs.
        far_mm: the distances beyond them; those beyond the percentile may be missing.
        size: how many distances there are in all.
    """
    values, ends = np.concatenate([near_mm, np.sort(far_mm)]), np.cumsum(np.append(counts, np.ones_like(far_mm, np.int64)))
    place = _QUANTILE * (size - 1)
    below, above = values[np.searchsorted(ends, [np.floor(place), np.ceil(place)], side="right")]
    return float(below + (above - below) * (place % 1))
