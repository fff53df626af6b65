"""One simulated subject: whose head, where it lies, on which grid, and what lies in each voxel."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from srreg.simulate import label_maps, phantom
from srreg.simulate.deform import Placement, random_diffeomorphism, random_pose
from srreg.simulate.shapes import Points
from srreg.simulate.tissues import Tissue
from srreg.volume import Affine

Size = Literal["full", "half", "quarter"]
VOXEL_MM: dict[Size, float] = {"full": 1.0, "half": 2.0, "quarter": 4.0}

_COARSEST_MM = 4  # grids of all sizes cover the same field of view
_SCOUT_MM = 8.0
_SCOUT_REACH_MM = 152.0
_MARGIN_MM = (10.0, 10.0, 4.0)  # around the head; SynthRAD crops to 10 to 20 mm left-right and front-back
_HEIGHT_MM = (200.0, 220.0)  # shortest and longest scan, from the crown down
_FEWEST = 4  # samples of a coarse plane that must hit the head, or a speck would widen the box
_BLOCK = 32  # samples along each edge of what is drawn at once: small enough for the processor's cache


class Anatomy(Protocol):
    """A head in the template's frame."""

    def tissue(self, points: Points) -> NDArray[np.uint8]:
        """What lies at places (mm), as numbers of `Tissue`."""
        ...


@dataclass(frozen=True)
class Person:
    """Somebody's head, where it lies in the scanner, and how far down it was scanned at most (mm)."""

    anatomy: Anatomy
    placement: Placement
    height_mm: float

    def tissue(self, world: Points) -> NDArray[np.uint8]:
        """What lies at places of the world (mm)."""
        return self.anatomy.tissue(self.placement.to_template(world))


@dataclass(frozen=True)
class FieldOfView:
    """A box in the world: its middle [3] and its edges [3] in mm, multiples of the coarsest voxel."""

    middle: NDArray[np.float64]
    edges: NDArray[np.intp]


@dataclass(frozen=True)
class Drawing:
    """Tissue at sample points, several to a voxel.

    Args:
        tissue: [D * n, H * n, W * n] uint8, axes left, posterior, superior.
        per_voxel: n, samples along a voxel's edge.
        affine: [4, 4] of the voxels, to world (RAS+, mm).
        voxel_mm: edge of a voxel.
    """

    tissue: NDArray[np.uint8]
    per_voxel: int
    affine: Affine
    voxel_mm: float


def draw_person(seed: np.random.SeedSequence, label_map: Path | None) -> Person:
    """The person of a seed: an analytic head, or the slightly varied one of a label map."""
    own, bending, pose = (np.random.default_rng(s) for s in seed.spawn(3))
    source = phantom if label_map is None else label_maps
    anatomy = phantom.draw_head(own) if label_map is None else label_maps.read_map(label_map)
    placement = Placement(random_pose(pose, source.POSE), random_diffeomorphism(bending, source.AMOUNT))
    return Person(anatomy, placement, pose.uniform(*_HEIGHT_MM))


def field_of_view(person: Person) -> FieldOfView:
    """The box of the head with some air around it; from a coarse look at it."""
    offsets = np.arange(-_SCOUT_REACH_MM, _SCOUT_REACH_MM + 1, _SCOUT_MM)
    axes = [offsets + c for c in person.placement.centre()]
    head = person.tissue(_mesh(axes)).reshape([len(a) for a in axes]) != Tissue.AIR
    occupied = [a[head.sum(axis=tuple(k for k in range(3) if k != axis)) >= _FEWEST] for axis, a in enumerate(axes)]
    low = np.array([o[0] for o in occupied]) - _MARGIN_MM
    high = np.array([o[-1] for o in occupied]) + _MARGIN_MM
    low[2] = max(low[2], high[2] - person.height_mm)
    edges = (np.ceil((high - low) / _COARSEST_MM) * _COARSEST_MM).astype(np.intp)
    return FieldOfView((low + high) / 2, edges)


def draw(person: Person, view: FieldOfView, size: Size) -> Drawing:
    """Sample a head: at 1 mm for voxels of 1 and 2 mm, at 2 mm for voxels of 4 mm."""
    voxel = VOXEL_MM[size]
    per_voxel = 1 if size == "full" else 2
    step = voxel / per_voxel
    counts = (view.edges / step).astype(int)
    first = view.middle + np.array([1, 1, -1]) * (view.edges - step) / 2
    # Left and posterior: the world's first two axes run the other way.
    axes = [start + sign * step * np.arange(n) for start, sign, n in zip(first, (-1, -1, 1), counts, strict=True)]
    affine = np.diag([-voxel, -voxel, voxel, 1.0])
    affine[:3, 3] = np.round(view.middle + np.array([1, 1, -1]) * (view.edges - voxel) / 2, 3)
    return Drawing(_sampled(person, axes), per_voxel, affine, voxel)


def _sampled(person: Person, axes: list[NDArray[np.float64]]) -> NDArray[np.uint8]:
    tissue = np.zeros([len(a) for a in axes], np.uint8)
    for block in np.ndindex(*(-(-len(a) // _BLOCK) for a in axes)):
        box = tuple(slice(b * _BLOCK, (b + 1) * _BLOCK) for b in block)
        part = [a[s] for a, s in zip(axes, box, strict=True)]
        tissue[box] = person.tissue(_mesh(part)).reshape([len(a) for a in part])
    return tissue


def _mesh(axes: list[NDArray[np.float64]]) -> Points:
    """Every place of a grid, the last axis running fastest."""
    return Points(*(m.ravel().astype(np.float32) for m in np.meshgrid(*axes, indexing="ij")))
