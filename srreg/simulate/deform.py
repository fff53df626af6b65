"""A smooth random diffeomorphism, and where a head lies: together from a person's world to the template's."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from srreg.geometry import apply_affine
from srreg.simulate.shapes import Floats, Points
from srreg.volume import Affine

_SQUARINGS = 7
_HALF_EDGE_MM = 144.0  # half the edge of the box a head lies in
_LATTICE_MM = 6.0


@dataclass(frozen=True)
class Lattice:
    """Numbers on a regular lattice, read linearly between its points; beyond the border the last value goes on.

    Args:
        values: [C, n, n, n] float32.
        spacing_mm: edge of a cell; the lattice is centred on the origin.
    """

    values: Floats
    spacing_mm: float

    def __call__(self, points: Points) -> Floats:
        """[C, N]: the numbers at places in mm."""
        half = (np.array(self.values.shape[1:]) - 1) / 2
        places = np.stack([p / np.float32(self.spacing_mm) + np.float32(h) for p, h in zip(points, half, strict=True)])
        return np.stack([ndimage.map_coordinates(v, places, order=1, mode="nearest", output=np.float32) for v in self.values])


def smooth_noise(rng: np.random.Generator, channels: int, scale_mm: float, half_edge_mm: float, spacing_mm: float) -> Lattice:
    """Gaussian noise of unit variance, smoothed with a Gaussian of `scale_mm`, on a cube around the origin."""
    edge = int(np.ceil(2 * half_edge_mm / spacing_mm)) + 1
    white = rng.standard_normal((channels, edge, edge, edge), dtype=np.float32)
    sigma = scale_mm / spacing_mm
    smooth = np.stack([ndimage.gaussian_filter(w, sigma, mode="wrap") for w in white])
    # The standard deviation that white noise keeps: sqrt(sum of squared weights), per axis 1 / sqrt(2 sqrt(pi) sigma).
    return Lattice(smooth * np.float32((2 * np.sqrt(np.pi) * sigma) ** 1.5), spacing_mm)


@dataclass(frozen=True)
class Amount:
    """How much one person differs from the template: rms of the velocity in mm at each scale (mm)."""

    rms_mm: tuple[float, ...]
    scales_mm: tuple[float, ...]


def random_diffeomorphism(rng: np.random.Generator, amount: Amount) -> Lattice:
    """A displacement in mm [3, n, n, n]: a stationary velocity field, scaled and squared, so that nothing folds."""
    fields = [
        smooth_noise(rng, 3, scale, _HALF_EDGE_MM, _LATTICE_MM).values * np.float32(rms)
        for rms, scale in zip(amount.rms_mm, amount.scales_mm, strict=True)
    ]
    return exponential(Lattice(np.sum(fields, axis=0, dtype=np.float32), _LATTICE_MM))


def exponential(velocity: Lattice) -> Lattice:
    """The displacement that flowing along a stationary velocity field (mm) for unit time leads to."""
    displacement = velocity.values / np.float32(2**_SQUARINGS)
    places = np.indices(displacement.shape[1:], dtype=np.float32)
    for _ in range(_SQUARINGS):
        ahead = places + displacement / np.float32(velocity.spacing_mm)
        moved = [ndimage.map_coordinates(d, ahead, order=1, mode="nearest", output=np.float32) for d in displacement]
        displacement = displacement + np.stack(moved)
    return Lattice(displacement, velocity.spacing_mm)


@dataclass(frozen=True)
class Placement:
    """From a person's world to the template's: undo pose and size, then bend.

    Args:
        to_world: [4, 4], template to the person's world (RAS+, mm) but for the bending.
        bending: displacement in mm on the template's side.
    """

    to_world: Affine
    bending: Lattice

    @cached_property
    def _to_template(self) -> Affine:
        return np.linalg.inv(self.to_world).astype(np.float64)

    def to_template(self, world: Points) -> Points:
        """Places of the template that are seen at places of the world."""
        matrix = self._to_template.astype(np.float32)
        # Written out: a matrix product of many points would start BLAS threads.
        straight = Points(*(m[0] * world.x + m[1] * world.y + m[2] * world.z + m[3] for m in matrix[:3]))
        return Points(*(p + u for p, u in zip(straight, self.bending(straight), strict=True)))

    def centre(self) -> NDArray[np.float64]:
        """Where the template's origin lies in the world, the bending left out."""
        return apply_affine(self.to_world, np.zeros(3))


@dataclass(frozen=True)
class PoseRange:
    """How much people differ in size, in how the head lies, and in where the scanner has its origin."""

    size_sd: float  # of the common factor
    axis_sd: float  # of each axis's own factor
    turn_deg: float  # sd about each axis
    shift_mm: tuple[float, float, float]  # sd


def random_pose(rng: np.random.Generator, spread: PoseRange) -> Affine:
    """[4, 4], template to world: size, then rotation, then shift."""
    size = (1 + spread.size_sd * _bounded(rng, 1)) * (1 + spread.axis_sd * _bounded(rng, 3))
    pose = np.eye(4)
    pose[:3, :3] = _rotation(np.radians(spread.turn_deg) * _bounded(rng, 3)) * size
    pose[:3, 3] = np.array(spread.shift_mm) * _bounded(rng, 3)
    return pose


def _bounded(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Normal numbers, none beyond two standard deviations."""
    return np.clip(rng.standard_normal(count), -2, 2)


def _rotation(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """[3, 3]: turn about x, then y, then z (radians)."""
    matrix = np.eye(3)
    for axis, angle in enumerate(angles):
        turn = np.eye(3)
        i, j = (axis + 1) % 3, (axis + 2) % 3
        turn[[i, j], [i, j]] = np.cos(angle)
        turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
        matrix = turn @ matrix
    return matrix
