"""What lies inside the skull of the analytic head: a folded cortex around deep structures, cerebellum, brain-stem.

Everything is in millimetres, RAS+, the origin near the anterior commissure. Centres and sizes of the structures are
about those of textbooks and population averages, scaled to a brain of 1.4 l; the numbers were then set so that
volumes are usual ones. Shapes are given for the right side, the left one is its mirror image: people get their own
asymmetry from the bending. Only the cortex' folds are drawn for each side.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from srreg.simulate.deform import Lattice
from srreg.simulate.shapes import Ellipsoid, Floats, Part, Points, Tube, blend, paint
from srreg.simulate.tissues import Tissue

_CEREBRUM = Ellipsoid((0, -17, 11), (65, 83, 60))
_CEREBRUM_FLOOR_Z = -14.0
_TEMPORAL_LOBE = Ellipsoid((43, -15, -17), (23, 43, 22), pitch=-12)
# Around it the halves of the brain are joined: no fissure.
_JUNCTION = Ellipsoid((0, -6, 5), (34, 36, 23))
_FOSSA = (
    Ellipsoid((0, -60, -36), (54, 37, 27)),
    Tube(((0, -24, -12, 19), (0, -27, -34, 18), (0, -38, -54, 12))),
)
_CEREBELLUM = (Ellipsoid((25, -64, -36), (27, 27, 19)), Ellipsoid((0, -62, -33), (15, 25, 21)))
# Lines through it are what folds follow, from the surface inwards.
_FOLD_CENTRE = (26.0, -17.0, 6.0)
_FOLD_RADII = (42.0, 84.0, 62.0)

# No fold reaches into it: nuclei, capsules and the white matter around them.
_CORE = Ellipsoid((0, -8, 8), (36, 50, 25))

_CORTEX_MM = 2.6
_INSULA_X = 34.0  # how far in the Sylvian fissure goes
_GAP_MM = 2.2  # cerebrum to skull


@dataclass(frozen=True)
class Folds:
    """One person's cortex.

    Args:
        sulci: [1, n, n, n], about the distance in mm to the nearest sulcus where it opens to the surface.
        depth: [1, n, n, n], unit variance; how much deeper or shallower than usual sulci are.
        folia: [1, n, n, n], unit variance; the cerebellum's finer folds.
    """

    sulci: Lattice
    depth: Lattice
    folia: Lattice


@dataclass(frozen=True)
class Brain:
    """The inside of one person's skull, still in the template's frame."""

    folds: Folds
    ventricles_grown_mm: float
    atrophy_mm: float

    def cavity(self, points: Points) -> Floats:
        """Distance to the inner surface of the skull in mm, negative inside; both sides folded onto one."""
        cavity = _cerebrum(points)[0] - np.float32(_GAP_MM)
        for fossa in _FOSSA:
            cavity = blend(cavity, fossa.distance(points), 5)
        return cavity

    def tissue(self, points: Points) -> NDArray[np.uint8]:
        """What lies at places inside the skull."""
        folded = points.folded()
        tissue = np.full(points.x.shape, Tissue.CSF, np.uint8)
        paint(tissue, folded, _VESSELS)
        self._paint_cerebellum(tissue, points)
        self._paint_cerebrum(tissue, points)
        grown = [Part(p.tissue, p.shape, self.ventricles_grown_mm * (p.tissue in _VENTRICLES)) for p in _DEEP]
        paint(tissue, folded, grown)
        return tissue

    def _paint_cerebrum(self, tissue: NDArray[np.uint8], points: Points) -> None:
        """White matter, cortex along every surface, CSF in every gap."""
        folded = points.folded()
        surface, sylvian = _cerebrum(folded)
        near = np.flatnonzero(surface < 0)
        inside, folded, depth = points.at(near), folded.at(near), -surface[near]
        outside_junction = _JUNCTION.distance(folded)
        fissure = np.hypot(folded.x, np.maximum(-outside_junction, 0))
        sylvian = np.hypot(sylvian[near], np.maximum(np.float32(_INSULA_X) - folded.x, 0))
        depth = np.minimum(depth, fissure)
        opening = np.float32(0.45 + self.atrophy_mm) + np.float32(0.5) * np.clip(1 - depth / 6, 0, 1)
        gap = np.minimum(np.minimum(self._to_sulcus(inside, depth), sylvian) - opening, fissure - np.float32(1.1))
        drawn = np.full(near.shape, Tissue.WHITE_MATTER, np.uint8)
        drawn[np.minimum(gap, depth - np.float32(self.atrophy_mm)) < _CORTEX_MM] = Tissue.CORTEX
        drawn[(gap < 0) | (depth < self.atrophy_mm)] = Tissue.CSF
        drawn[(folded.x < 0.7) & (outside_junction > 7)] = Tissue.FALX
        tissue[near] = drawn

    def _to_sulcus(self, points: Points, depth: Floats) -> Floats:
        """Distance to the nearest sulcus in mm: a sheet that runs inwards to a depth and ends there."""
        side = np.sign(points.x)
        centre = Points(side * np.float32(_FOLD_CENTRE[0]), *(np.full_like(side, c) for c in _FOLD_CENTRE[1:]))
        arm = [p - c for p, c in zip(points, centre, strict=True)]
        level = np.sqrt(np.sum([np.square(a / np.float32(r)) for a, r in zip(arm, _FOLD_RADII, strict=True)], axis=0))
        # Not quite straight inwards (a power under 1), or folds would be cones.
        stretch = np.minimum(1 / np.maximum(level, np.float32(0.03)), 4) ** np.float32(0.85)
        outside = Points(*(c + a * stretch for a, c in zip(arm, centre, strict=True)))
        beside = np.abs(self.folds.sulci(outside)[0]) / stretch
        reach = np.float32(19) + np.float32(5) * self.folds.depth(points)[0]
        beyond = np.maximum(depth - reach, -_CORE.distance(points))
        return np.hypot(beside, np.maximum(beyond, 0)).astype(np.float32)

    def _paint_cerebellum(self, tissue: NDArray[np.uint8], points: Points) -> None:
        folded = points.folded()
        surface = blend(_CEREBELLUM[0].distance(folded), _CEREBELLUM[1].distance(folded), 5)
        near = np.flatnonzero(surface < 0)
        depth = -surface[near]
        folia = self.folds.folia(points.at(near))[0]
        drawn = np.full(near.shape, Tissue.CEREBELLUM_CORTEX, np.uint8)
        drawn[depth > 9 + 2.5 * folia] = Tissue.CEREBELLUM_WHITE_MATTER
        drawn[(np.abs(folia) < 0.12) & (depth < 4)] = Tissue.CSF
        tissue[near] = drawn


def _cerebrum(folded: Points) -> tuple[Floats, Floats]:
    """Distance to the cerebrum's outer surface (negative inside) and to the sheet below which the temporal lobe lies."""
    floor = np.float32(_CEREBRUM_FLOOR_Z) - folded.z
    body = -blend(-_CEREBRUM.distance(folded), -floor, 6)
    temporal = _TEMPORAL_LOBE.distance(folded)
    return blend(body, temporal, 3), np.abs(body - temporal) / 2


_VENTRICLES = {Tissue.LATERAL_VENTRICLE, Tissue.INFERIOR_LATERAL_VENTRICLE, Tissue.THIRD_VENTRICLE}

_VESSELS = (
    Part(Tissue.ARTERY, Tube(((0, -10, -36, 1.8), (0, -8, -18, 1.8), (7, 0, -16, 1.6), (26, 4, -14, 1.4), (38, 2, -8, 1.3)))),
    Part(Tissue.ARTERY, Tube(((2, 4, -15, 1.3), (2, 22, -12, 1.3), (2, 36, 4, 1.2), (2, 30, 26, 1.1)))),
)

# In the order in which they are painted: what comes later covers what lies under it.
_DEEP = (
    Part(Tissue.WHITE_MATTER, Ellipsoid((0, -8, -11), (22, 22, 8))),
    Part(
        Tissue.LATERAL_VENTRICLE,
        Tube(
            (
                (6, 31, 3, 4.6),
                (8, 20, 11, 6),
                (9, 0, 19, 5.3),
                (14, -22, 19, 5.6),
                (22, -38, 13, 7.8),
                (26, -52, 6, 5.6),
                (24, -66, 5, 2.6),
            )
        ),
    ),
    Part(
        Tissue.INFERIOR_LATERAL_VENTRICLE,
        Tube(((28, -42, 3, 3.2), (34, -32, -8, 2.6), (35, -18, -16, 2.2), (31, -7, -20, 1.8))),
    ),
    Part(Tissue.CHOROID_PLEXUS, Tube(((21, -39, 12, 2), (15, -24, 17, 1.4)))),
    Part(Tissue.CAUDATE, Ellipsoid((13, 15, 6), (6, 11, 9.2), pitch=15, yaw=-15)),
    Part(Tissue.CAUDATE, Tube(((14.5, 8, 13, 4.6), (17, -8, 20, 3.2), (20, -22, 21, 2.2), (27, -34, 15, 1.5)))),
    Part(Tissue.THALAMUS, Ellipsoid((12, -19, 7.5), (9.6, 16.8, 10.7), yaw=-20)),
    Part(Tissue.PUTAMEN, Ellipsoid((26.5, 1, 1.5), (6.6, 17, 11), yaw=-12)),
    Part(Tissue.PALLIDUM, Ellipsoid((19.8, -4, -0.5), (5, 10.6, 8.6), yaw=-15)),
    Part(Tissue.ACCUMBENS, Ellipsoid((10, 11, -7), (4.9, 6.5, 5.2))),
    Part(Tissue.VENTRAL_DC, Ellipsoid((11.5, -13, -8.5), (9.6, 12, 9.4))),
    Part(
        Tissue.HIPPOCAMPUS,
        Tube(((26, -10, -20, 6.2), (30, -20, -17, 6.3), (29, -30, -10, 5.4), (24, -37, -2, 4), (18, -39, 5, 2))),
    ),
    Part(Tissue.AMYGDALA, Ellipsoid((25, 0, -19.5), (7.2, 7.8, 7.8))),
    Part(Tissue.THIRD_VENTRICLE, Ellipsoid((0, -12, 1), (2.6, 14, 11.5))),
    Part(
        Tissue.BRAIN_STEM,
        Tube(((0, -26, -8, 9), (0, -25, -22, 13), (0, -27, -32, 12.5), (0, -35, -47, 8.5), (0, -43, -61, 6.5))),
    ),
    Part(Tissue.FOURTH_VENTRICLE, Ellipsoid((0, -41.5, -31), (8, 5, 11), pitch=10)),
)


def fold_distance(noise: Lattice) -> Lattice:
    """Smooth noise made into a distance: about the mm to its nearest zero, which is where a sulcus lies.

    The value divided by its slope; where the slope vanishes the typical slope stands in, or distances would be endless.
    """
    values = noise.values[0]
    slope = np.stack(np.gradient(values, noise.spacing_mm))
    squared = (slope**2).sum(axis=0)
    return Lattice((values / np.sqrt(squared + squared.mean() / 12))[None].astype(np.float32), noise.spacing_mm)
