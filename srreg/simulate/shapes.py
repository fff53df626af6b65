"""Solid shapes in millimetres: ellipsoids and tubes with a distance to their surface, negative inside."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Vector = tuple[float, float, float]


class Points(NamedTuple):
    """Places in the world: three arrays [N], mm, RAS+."""

    x: Floats
    y: Floats
    z: Floats

    def at(self, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> "Points":
        """Some of the places."""
        return Points(self.x[chosen], self.y[chosen], self.z[chosen])

    def folded(self) -> "Points":
        """Both sides of the head on the right one: x becomes its distance from the middle."""
        return Points(np.abs(self.x), self.y, self.z)

    def within(self, low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.intp]:
        """Indices of the places inside a box."""
        inside = (self.x > low[0]) & (self.x < high[0])
        inside &= (self.y > low[1]) & (self.y < high[1])
        inside &= (self.z > low[2]) & (self.z < high[2])
        return np.flatnonzero(inside)


class Shape(Protocol):
    """A solid."""

    @property
    def box(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Two corners [3] of a box around it, mm."""
        ...

    def distance(self, points: Points) -> Floats:
        """Distance of each place to the surface in mm, negative inside."""
        ...


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid; `pitch` lifts its front, `yaw` turns its front outwards (degrees)."""

    centre: Vector
    radii: Vector
    pitch: float = 0.0
    yaw: float = 0.0

    @cached_property
    def _axes(self) -> NDArray[np.float64]:
        """[3, 3], one unit vector of the ellipsoid's own axes a row."""
        p, w = np.radians([self.pitch, self.yaw])
        lift = np.array([[1, 0, 0], [0, np.cos(p), np.sin(p)], [0, -np.sin(p), np.cos(p)]])
        turn = np.array([[np.cos(w), -np.sin(w), 0], [np.sin(w), np.cos(w), 0], [0, 0, 1]])
        turned: NDArray[np.float64] = lift @ turn
        return turned

    @property
    def box(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Two corners [3] of a box around it, mm."""
        reach = np.sqrt(((self._axes * np.array(self.radii)[:, None]) ** 2).sum(axis=0))
        return np.array(self.centre) - reach, np.array(self.centre) + reach

    def distance(self, points: Points) -> Floats:
        """Distance to the surface in mm, exact at the surface and for spheres, else to first order."""
        x, y, z = (p - np.float32(c) for p, c in zip(points, self.centre, strict=True))
        level, slope = np.float32(0), np.float32(0)
        for axis, radius in zip(self._axes.astype(np.float32), np.array(self.radii, np.float32), strict=True):
            part = np.square((axis[0] * x + axis[1] * y + axis[2] * z) / radius)
            level, slope = level + part, slope + part / radius**2
        level, slope = np.sqrt(level), np.sqrt(slope)
        distance: Floats = level * (level - 1) / np.maximum(slope, np.float32(1e-6))
        # At the very centre level and slope vanish together.
        return np.where(level < 1e-3, np.float32(-min(self.radii)), distance)


@dataclass(frozen=True)
class Tube:
    """A string of pearls: spheres at the knots (x, y, z, radius), blended linearly between them."""

    knots: tuple[tuple[float, float, float, float], ...]

    @property
    def box(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Two corners [3] of a box around it, mm."""
        knots = np.array(self.knots)
        return (knots[:, :3] - knots[:, 3:]).min(axis=0), (knots[:, :3] + knots[:, 3:]).max(axis=0)

    def distance(self, points: Points) -> Floats:
        """Distance to the surface in mm."""
        nearest = np.full(points.x.shape, np.inf, np.float32)
        knots = np.array(self.knots, np.float32)
        for start, end in pairwise(knots):
            np.minimum(nearest, _to_segment(points, start, end), out=nearest)
        return nearest


def _to_segment(points: Points, start: Floats, end: Floats) -> Floats:
    along = end[:3] - start[:3]
    from_start = [p - c for p, c in zip(points, start[:3], strict=True)]
    share = sum(a * f for a, f in zip(along, from_start, strict=True)) / np.float32((along**2).sum())
    share = np.clip(share, 0, 1)
    apart = sum(np.square(f - share * a) for a, f in zip(along, from_start, strict=True))
    distance: Floats = np.sqrt(apart) - (start[3] + share * (end[3] - start[3]))
    return distance


def blend(first: Floats, second: Floats, width: float) -> Floats:
    """The union of two solids by their distances, its crease rounded over `width` mm."""
    share = np.clip(np.float32(0.5) + (second - first) / np.float32(2 * width), 0, 1)
    union: Floats = second + (first - second) * share - np.float32(width) * share * (1 - share)
    return union


@dataclass(frozen=True)
class Part:
    """A shape, what it is made of, and by how much a person's own share of it is more or less (mm)."""

    tissue: int
    shape: Shape
    grown_mm: float = 0.0


def paint(tissue: NDArray[np.uint8], points: Points, parts: Sequence[Part]) -> None:
    """Write the parts into `tissue` [N] one after another; a later one covers what lies under it."""
    if not tissue.size:
        return
    low = np.array([axis.min() for axis in points])
    high = np.array([axis.max() for axis in points])
    for part in parts:
        box_low, box_high = part.shape.box
        box_low, box_high = box_low - max(part.grown_mm, 0), box_high + max(part.grown_mm, 0)
        if (box_low > high).any() or (box_high < low).any():
            continue
        near = points.within(box_low, box_high)
        inside = part.shape.distance(points.at(near)) < part.grown_mm
        tissue[near[inside]] = part.tissue
