"""What a simulated head is made of: each tissue's label and how it looks on MR and CT."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, unique

import numpy as np
from numpy.typing import NDArray


@unique
class Tissue(IntEnum):
    """Tissues of a whole head. The numbers are internal; no file holds them."""

    AIR = 0
    SKIN = 1
    FAT = 2
    MUSCLE = 3
    CORTICAL_BONE = 4
    MARROW = 5
    DURA = 6
    BLOOD = 7
    MUCOSA = 8
    EYE = 9
    LENS = 10
    NERVE = 11
    CARTILAGE = 12
    TOOTH = 13
    PITUITARY = 14
    FLUID = 15  # CSF outside the brain: spinal canal, sheaths of the optic nerves
    CSF = 16
    FALX = 17
    WHITE_MATTER = 18
    WHITE_MATTER_LESION = 19
    CORTEX = 20
    LATERAL_VENTRICLE = 21
    INFERIOR_LATERAL_VENTRICLE = 22
    THIRD_VENTRICLE = 23
    FOURTH_VENTRICLE = 24
    CHOROID_PLEXUS = 25
    INFERIOR_CHOROID_PLEXUS = 26
    THALAMUS = 27
    CAUDATE = 28
    PUTAMEN = 29
    PALLIDUM = 30
    HIPPOCAMPUS = 31
    AMYGDALA = 32
    ACCUMBENS = 33
    VENTRAL_DC = 34
    BRAIN_STEM = 35
    CEREBELLUM_WHITE_MATTER = 36
    CEREBELLUM_CORTEX = 37
    BRAIN_VESSEL = 38
    OPTIC_CHIASM = 39
    ARTERY = 40


@dataclass(frozen=True)
class Look:
    """How a tissue is labelled and painted.

    Args:
        label: its value in `srreg.labels`; 0 outside the brain.
        t1: signal of a T1-weighted MR, white matter 1.
        t1_contrast: the same after gadolinium.
        hu: Hounsfield units.
        t1_texture: standard deviation of the smooth variation within the tissue, as a share of its signal.
        hu_texture: the same on CT, in HU.
    """

    label: int
    t1: float
    t1_contrast: float
    hu: float
    t1_texture: float = 0.03
    hu_texture: float = 1.5


# T1 ratios: about those of an MPRAGE at 1.5 to 3 T. HU: usual values of unenhanced head CT. What takes up
# gadolinium (blood, dura, mucosa, pituitary, choroid plexus) is what lies outside the blood-brain barrier.
LOOKS: Mapping[Tissue, Look] = {
    Tissue.AIR: Look(0, 0.0, 0.0, -1000, 0, 0),
    Tissue.SKIN: Look(0, 0.75, 0.85, 35, 0.06, 8),
    Tissue.FAT: Look(0, 1.35, 1.35, -90, 0.08, 8),
    Tissue.MUSCLE: Look(0, 0.55, 0.62, 50, 0.08, 6),
    Tissue.CORTICAL_BONE: Look(0, 0.08, 0.08, 1250, 0.2, 120),
    Tissue.MARROW: Look(0, 0.60, 0.65, 550, 0.2, 90),
    Tissue.DURA: Look(0, 0.40, 1.15, 55, 0.05, 3),
    Tissue.BLOOD: Look(0, 0.35, 1.50, 48, 0.05, 2),
    Tissue.MUCOSA: Look(0, 0.60, 1.25, 30, 0.10, 8),
    Tissue.EYE: Look(0, 0.18, 0.18, 10, 0.03, 2),
    Tissue.LENS: Look(0, 0.50, 0.50, 70, 0.03, 3),
    Tissue.NERVE: Look(0, 0.85, 0.85, 32, 0.03, 2),
    Tissue.CARTILAGE: Look(0, 0.50, 0.55, 90, 0.05, 10),
    Tissue.TOOTH: Look(0, 0.04, 0.04, 2200, 0.1, 150),
    Tissue.PITUITARY: Look(0, 0.75, 1.45, 42, 0.03, 2),
    Tissue.FLUID: Look(0, 0.22, 0.22, 10, 0.02, 1.5),
    Tissue.CSF: Look(24, 0.22, 0.22, 8, 0.02, 1.5),
    Tissue.FALX: Look(24, 0.45, 1.05, 50, 0.05, 3),
    Tissue.WHITE_MATTER: Look(2, 1.00, 1.00, 28.5),
    # Low on T1, as FreeSurfer's label of them says; a little low on CT.
    Tissue.WHITE_MATTER_LESION: Look(2, 0.80, 0.80, 23),
    Tissue.CORTEX: Look(3, 0.70, 0.72, 38),
    Tissue.LATERAL_VENTRICLE: Look(4, 0.20, 0.20, 6, 0.02, 1),
    Tissue.INFERIOR_LATERAL_VENTRICLE: Look(5, 0.20, 0.20, 6, 0.02, 1),
    Tissue.THIRD_VENTRICLE: Look(14, 0.20, 0.20, 7, 0.02, 1),
    Tissue.FOURTH_VENTRICLE: Look(15, 0.20, 0.20, 7, 0.02, 1),
    Tissue.CHOROID_PLEXUS: Look(4, 0.50, 1.25, 45, 0.05, 5),
    Tissue.INFERIOR_CHOROID_PLEXUS: Look(5, 0.50, 1.25, 40, 0.05, 4),
    Tissue.THALAMUS: Look(10, 0.82, 0.82, 38.5),
    Tissue.CAUDATE: Look(11, 0.73, 0.74, 39.5),
    Tissue.PUTAMEN: Look(12, 0.76, 0.77, 40),
    Tissue.PALLIDUM: Look(13, 0.89, 0.89, 43),
    Tissue.HIPPOCAMPUS: Look(17, 0.70, 0.71, 37),
    Tissue.AMYGDALA: Look(18, 0.68, 0.69, 37.5),
    Tissue.ACCUMBENS: Look(26, 0.71, 0.72, 39),
    Tissue.VENTRAL_DC: Look(28, 0.88, 0.88, 35),
    Tissue.BRAIN_STEM: Look(16, 0.92, 0.92, 31.5),
    Tissue.CEREBELLUM_WHITE_MATTER: Look(7, 0.97, 0.97, 30),
    Tissue.CEREBELLUM_CORTEX: Look(8, 0.68, 0.70, 39),
    Tissue.BRAIN_VESSEL: Look(2, 0.40, 1.40, 45, 0.05, 2),
    # SR-Reg has no label for it; it crosses the cistern, which is CSF.
    Tissue.OPTIC_CHIASM: Look(24, 0.85, 0.85, 32),
    Tissue.ARTERY: Look(24, 0.35, 1.50, 48, 0.05, 2),
}


def _table(field: str) -> NDArray[np.float32]:
    """One property of every tissue, to be indexed by its number."""
    return np.array([getattr(LOOKS[tissue], field) for tissue in Tissue], np.float32)


LABEL_OF: NDArray[np.uint8] = _table("label").astype(np.uint8)
T1: NDArray[np.float32] = _table("t1")
T1_CONTRAST: NDArray[np.float32] = _table("t1_contrast")
T1_TEXTURE: NDArray[np.float32] = _table("t1_texture")
HU: NDArray[np.float32] = _table("hu")
HU_TEXTURE: NDArray[np.float32] = _table("hu_texture")
