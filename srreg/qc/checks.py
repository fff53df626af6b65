"""The checks of a built subject: each a function that gives a number and a note, with its limits above it.

To add one, write the function and name it in `CHECKS`; table, page and verdict follow. What a check
gives or where its limits lie changed? Raise `VERSION`, and reports measure every subject again.

A number that cannot be measured (a region that is missing, no brain at all) is nan: the check says
`n/a`, and the check that looks for what is missing fails.
"""

import numpy as np
from scipy import ndimage

from srreg.labels import INDICES, LABELS
from srreg.qc.case import Case
from srreg.qc.finding import INFINITY, Check, Finding, check, percent
from srreg.qc.grey_checks import ct_clipped, ct_contrast, ct_level, ct_noise, mr_clipped, mr_contrast, mr_evenness
from srreg.qc.head_checks import beside_the_head, brain_cut_off, brain_without_image, ct_in_steps, labels_in_steps, mr_in_steps
from srreg.qc.pose import probe_pose
from srreg.qc.turn import mirror_margin, probe_turn

VERSION = 5
_NAMES = {label.index: label.name for label in LABELS}

# Share of the labelled brain without CSF, in percent. Each range is that of the 12 adults whose label maps
# SynthSeg was trained on (Billot et al. 2023, Med Image Anal 86:102789), halved below and doubled above;
# the ventricles, which grow tenfold with age, reach further down.
PLAUSIBLE_PERCENT: dict[int, tuple[float, float]] = {
    2: (18, 60), 3: (18, 65), 4: (0.2, 15), 5: (0.005, 1.5), 7: (1.1, 6), 8: (4, 21), 10: (0.5, 2.8), 11: (0.2, 1.6),
    12: (0.35, 2.2), 13: (0.09, 0.65), 14: (0.02, 0.7), 15: (0.03, 0.6), 16: (0.8, 5), 17: (0.19, 1.7), 18: (0.07, 0.7),
    26: (0.03, 0.27), 28: (0.3, 1.7),
}  # fmt: skip
_SLACK_VOXELS = 12
_PAIRED = (2, 3, 4, 7, 8, 10, 11, 12, 13, 17, 18, 26, 28)  # structures with a left and a right side


@check("Brain volume", "ml", 0, good=(1100, 1800), tolerated=(900, 1950))
def brain_volume(case: Case) -> tuple[float, str]:
    """Volume of the brain mask before alignment.

    A mask ends between brain tissue (women 1143 ± 105, men 1302 ± 112 ml) and the skull's inside (1289 ± 111,
    1469 ± 102 ml; Matsumae et al. 1996, J Neurosurg 84:982): children and shrunken brains lie below, a mask
    with eyes or neck above.
    """
    return (float("nan"), "not recorded") if case.native_brain_ml is None else (case.native_brain_ml, "")


@check("One piece", "%", 1, good=(99.5, 100), tolerated=(97, 100))
def brain_in_one_piece(case: Case) -> tuple[float, str]:
    """Share of the brain mask in its largest connected piece. A brain is one; crumbs are eyes, neck or noise."""
    pieces = case.pieces
    if pieces.size == 0:
        return 0.0, "the mask is empty"
    note = "" if pieces.size == 1 else f"{pieces.size} pieces"
    return 100 * float(pieces[0] / pieces.sum()), note


@check("Mask at the edge", "cm²", 1, good=(0, 0), tolerated=(0, 10))
def edge_contact(case: Case) -> tuple[float, str]:
    """Area of the brain mask on the outermost voxels of the frame. The frame has room around a brain: contact cuts it."""
    mask = case.brain_map.data > 0
    face_mm2 = np.prod(case.spacing_mm) / np.array(case.spacing_mm)
    touched = [np.count_nonzero(mask.take((0, -1), axis)) * face_mm2[axis] for axis in range(3)]
    return float(sum(touched)) / 100, ""


@check("Off centre", "mm", 1, good=(0, 20), tolerated=(0, 35))
def centre_offset(case: Case) -> tuple[float, str]:
    """From the brain's centre of mass to the middle of the frame.

    Aligned brains lie within 10 mm or so of each other; further off, the alignment went wrong.
    """
    grid = case.brain_map.grid
    middle = grid.affine[:3, :3] @ ((np.array(grid.shape) - 1) / 2) + grid.affine[:3, 3]
    return float(np.linalg.norm(case.brain_centre_mm - middle)), ""


@check("Labels present", "of 19", 0, good=(19, 19), tolerated=(17, 19))
def labels_present(case: Case) -> tuple[float, str]:
    """How many of the 19 label values occur, background included. Small regions may vanish at 4 mm."""
    missing = [index for index in INDICES if not (case.label_map.data == index).any()]
    return float(len(INDICES) - len(missing)), _listed("missing", missing)


@check("Odd regions", "", 0, good=(0, 0), tolerated=(0, 3))
def odd_region_count(case: Case) -> tuple[float, str]:
    """How many regions are there but far smaller or larger, as a share of the brain, than in any adult we know of.

    Ranges: half the smallest to twice the largest of 12 adults (Billot et al. 2023); ventricles wider.
    """
    odd = odd_regions(case)
    return float(len(odd)), _listed("look at", odd)


def odd_regions(case: Case) -> list[int]:
    """Labels that are there with a volume outside `PLAUSIBLE_PERCENT`.

    A region counts as odd only if some voxels more or less would not help: a slit like the third
    ventricle comes and goes between the voxels of a 4 mm grid.
    """
    whole = max(sum(case.label_ml[index] for index in PLAUSIBLE_PERCENT), 1e-9)
    slack = 100 * _SLACK_VOXELS * case.voxel_ml / whole
    return [
        index
        for index, (low, high) in PLAUSIBLE_PERCENT.items()
        if case.label_ml[index] > 0 and not low - slack <= 100 * case.label_ml[index] / whole <= high + slack
    ]


@check("Labels inside brain", "%", 1, good=(99, 100), tolerated=(95, 100))
def labels_inside_brain(case: Case) -> tuple[float, str]:
    """Share of the labelled voxels that lie in the brain mask. Labels outside it have no image under them."""
    labelled = case.labels > 0
    count = np.count_nonzero(labelled)
    return (float("nan"), "nothing is labelled") if count == 0 else (percent(case.brain[labelled]), "")


@check("Brain labelled", "%", 1, good=(85, 100), tolerated=(70, 100))
def brain_labelled(case: Case) -> tuple[float, str]:
    """Share of the brain mask that has a label. Less means that mask and labels disagree on where the brain is.

    A tenth of a head's inside is CSF (Matsumae et al. 1996), which some segmenters leave unlabelled.
    """
    return percent(case.labels[case.brain] > 0), ""


@check("Asymmetry", "%", 1, good=(0, 10), tolerated=(0, 20))
def asymmetry(case: Case) -> tuple[float, str]:
    """Difference between the sides, over their sum, of the regions that come in pairs.

    The sides are cut at the brain's centre of mass. Both halves of a healthy brain are equal within a few percent;
    surgery, a large lesion or a half that was not segmented is not.
    """
    places = np.nonzero(np.isin(case.labels, _PAIRED))
    if places[0].size == 0 or not case.brain.any():
        return float("nan"), ""
    middle = np.nonzero(case.brain)[0].mean()
    values, size = case.labels[places], max(INDICES) + 1
    lower, upper = (np.bincount(values[side], minlength=size) for side in (places[0] < middle, places[0] > middle))
    return 100 * float(np.abs(lower - upper).sum() / max((lower + upper).sum(), 1)), ""


@check("MR-CT shift", "mm", 1, good=(0, 1.5), tolerated=(0, 3))
def misalignment(case: Case) -> tuple[float, str]:
    """How far the CT would have to be shifted to share most information with the MR.

    Normalised mutual information inside the brain, against copies shifted by 2 and 4 mm (1 and 2 voxels where
    these are larger) along each axis. Rigid MR-CT registration is good to 1 to 2 mm (West et al. 1997, J Comput
    Assist Tomogr 21:554).
    """
    probe = probe_pose(case.mr, case.ct, case.brain, case.spacing_mm)
    if probe is None:
        return float("nan"), "the brain is too small to tell"
    right, front, up = probe.optimum_mm
    further = ", perhaps further" if probe.is_beyond else ""
    return probe.distance_mm, f"best at {right:+.1f}, {front:+.1f}, {up:+.1f} mm (x, y, z){further}; NMI {probe.at_rest:.3f}"


@check("MR-CT turn", "°", 1, good=(0, 1.5), tolerated=(0, 4))
def turn(case: Case) -> tuple[float, str]:
    """How far the CT would have to be turned about the brain's middle to share most information with the MR.

    Simulated heads that lie right have up to 1.1 at 4 mm and 0.4 at 2 and 1 mm; turned by 3° they have at least 1.0 and 2.0.
    """
    found = probe_turn(case.mr, case.ct, case.brain, case.spacing_mm)
    if found is None:
        return float("nan"), "the brain is too small to tell"
    return float(np.linalg.norm(found)), f"best at {found[0]:+.1f}, {found[1]:+.1f}, {found[2]:+.1f}° about x, y, z"


@check("Mirror margin", "%", 0, good=(15, INFINITY), tolerated=(0, INFINITY))
def mirror(case: Case) -> tuple[float, str]:
    """How much more the MR shares with the CT than with the CT's mirror image.

    Brains are nearly symmetrical, so a mirrored CT looks right at first; below 0 the mirror image fits better.
    """
    return mirror_margin(case.mr, case.ct, case.brain), ""


@check("MR-label shift", "mm", 1, good=(0, 1), tolerated=(0, 3))
def label_shift(case: Case) -> tuple[float, str]:
    """How far the labels would have to be shifted to share most information with the MR, as for the CT.

    Simulated heads with true labels have up to 0.2 at 4 mm and 0.15 at 2 mm; real heads as SAMSEG labels them, up to 0.1.
    """
    means = np.zeros(max(INDICES) + 1, dtype=np.float32)
    for index in INDICES:
        values = case.within(case.mr, index)
        means[index] = values.mean() if values.size else 0
    probe = probe_pose(case.mr, means[case.labels.clip(0, max(INDICES))], case.brain, case.spacing_mm)
    if probe is None:
        return float("nan"), "the brain is too small to tell"
    right, front, up = probe.optimum_mm
    return probe.distance_mm, f"best at {right:+.1f}, {front:+.1f}, {up:+.1f} mm (x, y, z)"


@check("Far from labels", "mm", 1, good=(0, 9), tolerated=(0, 14))
def far_from_labels(case: Case) -> tuple[float, str]:
    """Of the brain mask, how far the farthest voxel lies from any label. An eye, a neck or air has none near."""
    if not (case.labels > 0).any() or not case.brain.any():
        return float("nan"), "no labels or no brain"
    distance = ndimage.distance_transform_edt(case.labels == 0, sampling=case.spacing_mm)
    return float(distance[case.brain].max()), ""


@check("Holes", "ml", 1, good=(0, 2), tolerated=(0, 5))
def holes(case: Case) -> tuple[float, str]:
    """Volume of the largest hole that the brain mask encloses. Single voxels between folds are none to worry about."""
    pieces, count = ndimage.label(ndimage.binary_fill_holes(case.brain) & ~case.brain)
    largest = int(np.bincount(pieces.reshape(-1))[1:].max()) if count else 0
    return largest * case.voxel_ml, ""


def _listed(what: str, indices: list[int]) -> str:
    return f"{what}: {', '.join(_NAMES[index] for index in indices)}" if indices else ""


CHECKS: tuple[Check, ...] = (
    misalignment,
    turn,
    mirror,
    label_shift,
    brain_volume,
    brain_in_one_piece,
    holes,
    far_from_labels,
    brain_cut_off,
    brain_without_image,
    beside_the_head,
    edge_contact,
    centre_offset,
    labels_present,
    odd_region_count,
    labels_inside_brain,
    brain_labelled,
    asymmetry,
    labels_in_steps,
    mr_in_steps,
    ct_in_steps,
    mr_clipped,
    ct_clipped,
    ct_level,
    ct_noise,
    mr_evenness,
    mr_contrast,
    ct_contrast,
)  # in the order of the report


def examine(case: Case) -> list[Finding]:
    """Every check's finding on one subject, in the order of `CHECKS`."""
    return [run(case) for run in CHECKS]
