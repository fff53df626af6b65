"""The checks of the whole head, from what the build measured before it masked the images.

All say `n/a` where it did not: of an imported release only the masked brain is there.
"""

from math import isnan

from srreg.qc.case import Case
from srreg.qc.finding import INFINITY, check

_UNKNOWN = float("nan"), "the whole head was not measured"


@check("Brain cut off", "cm²", 1, good=(0, 5), tolerated=(0, 15))
def brain_cut_off(case: Case) -> tuple[float, str]:
    """Area of the brain's surface where the images end within 3 mm: not scanned further, or blanked with the face.

    Skull and scalp lie around a brain, so a sound one has none but where the stem leaves the skull, 2 to 4 cm² in a short
    scan. A plane that takes 1, 2 or 3 mm off the crown leaves about 4, 9 or 13 cm².
    """
    if case.head is None:
        return _UNKNOWN
    sides = sorted(case.head.cut_cm2.items(), key=lambda item: -item[1])
    return sum(case.head.cut_cm2.values()), ", ".join(f"{side} {area:.1f}" for side, area in sides if area >= 0.1)


@check("Brain without image", "ml", 1, good=(0, 1), tolerated=(0, 5))
def brain_without_image(case: Case) -> tuple[float, str]:
    """Volume of the brain where the MR is 0 or the CT is air, in blocks of three voxels or more.

    Blanked with the face, outside one image's field of view, or, in the CT, air that an operation left.
    """
    if case.head is None:
        return _UNKNOWN
    mr, ct = case.head.mr_blank_ml, case.head.ct_blank_ml
    return mr + ct, f"MR {mr:.1f}, CT {ct:.1f}" if mr + ct > 0 else ""


@check("Beside the head", "ml", 0, good=(0, 5), tolerated=(0, INFINITY))
def beside_the_head(case: Case) -> tuple[float, str]:
    """What is solid in the CT more than 30 mm from the brain, behind and above its middle: couch, head holder, frame.

    Never fails: none of it comes into the data set, whose CT is masked with the MR's brain.
    """
    return _UNKNOWN if case.head is None else (case.head.beside_ml, "")


@check("Labels in steps", "%", 0, good=(0, 40), tolerated=(0, 75))
def labels_in_steps(case: Case) -> tuple[float, str]:
    """How far the labels' borders come in steps: 100 for labels of a coarser grid that were brought to this one.

    Sound maps have 7 to 16; steps of 1.2 voxels give 32, of 1.5 voxels 58, of 2 and more 96 to 100, of 3 in a head that
    was turned by 5° against them 60.
    """
    return _UNKNOWN if case.head is None else (case.head.label_stairs, "")


@check("MR in steps", "%", 0, good=(0, 30), tolerated=(0, 100))
def mr_in_steps(case: Case) -> tuple[float, str]:
    """How far the MR comes in equal neighbours or in straight pieces between slices.

    Slices as thick as the voxels give 9 to 16, 1.2 voxels 16, 1.5 voxels 28, 3 and more 55 to 100 (35 in a head turned by
    10°). Never fails: it is a coarse image, not a wrong one.
    """
    if case.head is None:
        return _UNKNOWN
    equal, straight = case.head.mr_stairs, case.head.mr_bends
    if isnan(equal + straight):
        return float("nan"), "the brain is too small to tell"
    return max(equal, straight), "equal neighbours" if equal > straight else "straight between slices"


@check("CT in steps", "%", 0, good=(0, 70), tolerated=(0, 100))
def ct_in_steps(case: Case) -> tuple[float, str]:
    """How far the CT comes in equal neighbours: 100 for nearest neighbour from thicker slices. Never fails.

    Slices of 2 to 3 mm brought to 1 mm linearly are usual for planning CTs; they give up to 51 and pass.
    """
    return _UNKNOWN if case.head is None else (case.head.ct_stairs, "")
