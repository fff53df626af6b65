"""What lies around the brain of the analytic head: dura, skull with diploe, scalp, face, sinuses, eyes, neck."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from srreg.simulate.brain import Brain
from srreg.simulate.deform import Lattice
from srreg.simulate.shapes import Ellipsoid, Floats, Part, Points, Tube, blend, paint
from srreg.simulate.tissues import Tissue

_DURA_MM = 0.8
_TABLE_MM = 1.7  # each of the two sheets of compact bone
_SKIN_MM = 1.9

_FACE = Ellipsoid((0, 36, -50), (58, 48, 56))
_NECK = Tube(((0, -34, -55, 50), (0, -40, -170, 54)))
_NOSE = Tube(((0, 80, -20, 5), (0, 92, -42, 9)))
_EAR = Ellipsoid((77, -24, -28), (5, 17, 27), yaw=25)
_CANAL = Tube(((0, -36, -50, 9.5), (0, -44, -64, 9.5), (0, -50, -90, 9), (0, -52, -170, 9)))
_CORD = Tube(((0, -43, -61, 6), (0, -49, -90, 5.5), (0, -51, -170, 5.5)))
_SINUS_CENTRE_MM = 1.2  # the sagittal sinus, outside the cerebrum's midline
_SINUS_RADIUS_MM = 2.6


@dataclass(frozen=True)
class Head:
    """One person's whole head, in the template's frame.

    Args:
        brain: what lies inside the skull.
        thickness: [2, n, n, n], unit variance: of the skull, of the scalp.
        cells: [1, n, n, n], unit variance: which of a sinus' cells hold air.
        skull_mm: usual thickness of the skull.
        scalp_mm: usual thickness of what covers it.
    """

    brain: Brain
    thickness: Lattice
    cells: Lattice
    skull_mm: float
    scalp_mm: float

    def tissue(self, points: Points) -> NDArray[np.uint8]:
        """What lies at places of the template (mm)."""
        folded = points.folded()
        cavity = self.brain.cavity(folded)
        varied = self.thickness(points)
        skull = np.float32(self.skull_mm) * (1 + np.float32(0.14) * varied[0])
        scalp = np.float32(self.scalp_mm) * (1 + np.float32(0.12) * varied[1])
        tissue = np.zeros(points.x.shape, np.uint8)
        outline = _outline(folded, cavity - skull - scalp)
        inside = np.flatnonzero(outline < 0)
        if inside.size:
            drawn = _soft_tissue(outline[inside], cavity[inside], scalp[inside])
            self._paint_bone(drawn, points.at(inside), cavity[inside], skull[inside])
            self._paint_cavity(drawn, points.at(inside), cavity[inside])
            tissue[inside] = drawn
        return tissue

    def _paint_bone(self, tissue: NDArray[np.uint8], points: Points, cavity: Floats, skull: Floats) -> None:
        folded = points.folded()
        paint(tissue, folded, _FACE_BONES)
        bone = (cavity >= 0) & (cavity < skull)
        tissue[bone] = Tissue.CORTICAL_BONE
        tissue[bone & (cavity > _TABLE_MM) & (cavity < skull - _TABLE_MM)] = Tissue.MARROW
        paint(tissue, folded, _ORBITS_AND_AIRWAYS)
        mastoid = points.within(np.array([-90, -60, -70]), np.array([90, 0, -10]))
        air = np.abs(self.cells(points.at(mastoid))[0]) > 0.7
        is_cells = air & (_MASTOID_CELLS.distance(folded.at(mastoid)) < 0) & (cavity[mastoid] > 2)
        tissue[mastoid[is_cells]] = Tissue.AIR
        self._paint_nose(tissue, points)
        paint(tissue, folded, (Part(Tissue.FLUID, _CANAL), Part(Tissue.NERVE, _CORD)))

    def _paint_nose(self, tissue: NDArray[np.uint8], points: Points) -> None:
        """Sinuses and the nose: air lined and divided by mucosa."""
        folded = points.folded()
        for cave in _CAVES:
            low, high = cave.box
            near = folded.within(low, high)
            distance = cave.distance(folded.at(near))
            inside = distance < 0
            tissue[near[inside]] = Tissue.AIR
            tissue[near[inside & (distance > -1.2)]] = Tissue.MUCOSA
        low, high = _NASAL_CAVITY.box
        near = folded.within(low, high)
        inside = _NASAL_CAVITY.distance(folded.at(near)) < 0
        turbinates = np.abs(self.cells(points.at(near))[0]) < 0.55
        tissue[near[inside]] = Tissue.AIR
        tissue[near[inside & (turbinates | (folded.x[near] < 1.5))]] = Tissue.MUCOSA

    def _paint_cavity(self, tissue: NDArray[np.uint8], points: Points, cavity: Floats) -> None:
        """Dura, brain and the veins between them."""
        within = np.flatnonzero(cavity < 0)
        if not within.size:
            return
        inside, depth = points.at(within), -cavity[within]
        drawn = self.brain.tissue(inside)
        is_border = (depth < _DURA_MM) & (drawn == Tissue.CSF)
        # Where the canal leaves the skull there is no dura across it.
        is_border &= _CANAL.distance(inside) > 0
        drawn[is_border] = Tissue.DURA
        sinus = np.hypot(inside.x, depth - np.float32(_SINUS_CENTRE_MM)) < _SINUS_RADIUS_MM
        drawn[sinus & (inside.z > -5)] = Tissue.BLOOD
        paint(drawn, inside.folded(), _VEINS)
        tissue[within] = drawn


def _outline(folded: Points, scalp: Floats) -> Floats:
    """Distance to the skin's surface in mm, negative inside."""
    outline = blend(blend(scalp, _FACE.distance(folded), 10), _NECK.distance(folded), 14)
    outline = blend(outline, _NOSE.distance(folded), 4)
    return blend(outline, _EAR.distance(folded), 2)


def _soft_tissue(outline: Floats, cavity: Floats, scalp: Floats) -> NDArray[np.uint8]:
    """Skin, fat under it, muscle under that."""
    tissue = np.full(outline.shape, Tissue.MUSCLE, np.uint8)
    tissue[outline > -np.maximum(scalp, 5)] = Tissue.FAT
    tissue[outline > -_SKIN_MM] = Tissue.SKIN
    return tissue


_MASTOID_CELLS = Ellipsoid((54, -36, -40), (11, 12, 17))
_NASAL_CAVITY = Ellipsoid((0, 58, -46), (13, 26, 17))
_CAVES = (
    Ellipsoid((24, 54, -48), (12, 14, 15)),  # maxillary
    Ellipsoid((14, 70, -9), (11, 5, 8), pitch=10),  # frontal
    Ellipsoid((8, 47, -27), (6, 15, 8)),  # ethmoid
    Ellipsoid((7, 17, -31), (8, 11, 8)),  # sphenoid
)

_FACE_BONES = (
    Part(Tissue.CORTICAL_BONE, Ellipsoid((0, 56, -50), (40, 26, 24))),  # upper jaw
    Part(Tissue.MARROW, Ellipsoid((0, 56, -50), (38, 24, 22))),
    Part(Tissue.CORTICAL_BONE, Ellipsoid((0, 18, -29), (22, 20, 14))),  # sphenoid and clivus
    Part(Tissue.CORTICAL_BONE, Ellipsoid((46, -32, -36), (20, 16, 16))),  # petrous
    Part(Tissue.CORTICAL_BONE, Ellipsoid((54, -36, -42), (14, 14, 20))),  # mastoid
    Part(Tissue.CORTICAL_BONE, Tube(((60, 4, -36, 3.5), (58, 34, -37, 4), (42, 60, -38, 6)))),  # cheek
    Part(Tissue.CORTICAL_BONE, Tube(((46, 56, -36, 3), (48, 56, -20, 3), (40, 64, -8, 4)))),  # rim of the orbit
    Part(Tissue.CORTICAL_BONE, Tube(((50, 4, -42, 5), (47, 8, -78, 6), (26, 56, -93, 7), (0, 70, -95, 8)))),  # lower jaw
    Part(Tissue.MARROW, Tube(((47, 10, -80, 3.5), (26, 55, -93, 4.5), (0, 68, -95, 5)))),
    Part(Tissue.TOOTH, Tube(((27, 44, -77, 4), (20, 62, -77, 4), (0, 72, -77, 4)))),
    Part(Tissue.CORTICAL_BONE, Tube(((0, -28, -72, 9), (0, -32, -170, 11)))),  # vertebral bodies
    Part(Tissue.MARROW, Tube(((0, -28, -73, 7.5), (0, -32, -170, 9.5)))),
    Part(Tissue.CORTICAL_BONE, Tube(((12, -36, -72, 5), (20, -44, -72, 6), (12, -60, -73, 4), (0, -64, -73, 4)))),  # atlas
    Part(Tissue.CORTICAL_BONE, Tube(((12, -40, -96, 5), (14, -56, -98, 4), (0, -70, -100, 5)))),  # axis
)

_ORBITS_AND_AIRWAYS = (
    Part(Tissue.FAT, Tube(((33, 56, -29, 16), (26, 40, -28, 12), (14, 18, -24, 3)))),
    Part(Tissue.MUSCLE, Tube(((42, 54, -29, 2), (32, 40, -28, 2.2), (16, 22, -25, 2)))),
    Part(Tissue.MUSCLE, Tube(((24, 56, -29, 2), (20, 40, -28, 2.2), (13, 22, -25, 2)))),
    Part(Tissue.NERVE, Tube(((32, 46, -29, 2.3), (22, 30, -27, 2.3), (10, 12, -20, 2)))),
    Part(Tissue.EYE, Ellipsoid((33, 61, -29), (12, 12, 12))),
    Part(Tissue.LENS, Ellipsoid((33.5, 70, -29), (4.5, 2, 4.5))),
    Part(Tissue.PITUITARY, Ellipsoid((0, 5, -20), (6, 5, 4))),
    Part(Tissue.AIR, Tube(((0, 28, -50, 8), (0, 12, -62, 8), (0, 6, -90, 7), (0, 2, -170, 8)))),
    Part(Tissue.AIR, Tube(((58, -22, -32, 3), (80, -22, -32, 3)))),  # ear canal
)

_VEINS = (
    Part(Tissue.BLOOD, Tube(((0, -98, -11, 4), (34, -87, -15, 4), (56, -60, -18, 4), (52, -44, -34, 4)))),  # transverse sinus
    Part(Tissue.BLOOD, Tube(((9, 4, -21, 3), (10, -4, -24, 3)))),  # cavernous sinus
)
