"""The checks of grey values in the brain: what is cut off, contrast, level, noise and what is left of the bias."""

import numpy as np
from numpy.typing import NDArray

from srreg.qc.case import Case
from srreg.qc.finding import INFINITY, check, percent

_FEWEST_IN_OCTANT = 60


@check("MR clipped", "%", 1, good=(0, 2), tolerated=(0, 8))
def mr_clipped(case: Case) -> tuple[float, str]:
    """Share of the brain where the MR is at its lowest or highest value: a field of view that was cut, or a range."""
    return _clipped_percent(case.mr[case.brain])


@check("CT clipped", "%", 1, good=(0, 20), tolerated=(0, 40))
def ct_clipped(case: Case) -> tuple[float, str]:
    """Share of the brain where the CT lies at an end of its window.

    Noise takes some of the CSF (about 5 HU) below the brain window's 0 HU; more is bone, air or a wrong HU scale.
    """
    return _clipped_percent(case.ct[case.brain])


@check("MR contrast", "SD", 2, good=(1, INFINITY), tolerated=(0.4, INFINITY))
def mr_contrast(case: Case) -> tuple[float, str]:
    """White matter above cortex in the MR, in their common standard deviation (Cohen's d).

    T1-weighted images have 1.5 to 3; labels that do not fit the MR, or another kind of MR, have less.
    """
    return _contrast(case, case.mr, bright=2, dark=3)


@check("CT contrast", "SD", 2, good=(0, INFINITY), tolerated=(-0.5, INFINITY))
def ct_contrast(case: Case) -> tuple[float, str]:
    """Cortex above white matter in the CT, in their common standard deviation (Cohen's d).

    Grey matter lies 5 to 10 HU above white, in noise of about that size; CSF in the sulci takes some of it away.
    """
    return _contrast(case, case.ct, bright=3, dark=2)


@check("CT level", "HU", 0, good=(28, 44), tolerated=(22, 50))
def ct_level(case: Case) -> tuple[float, str]:
    """Median of grey and white matter in the CT, where the data set's window of 0 to 80 HU is known to be ours.

    White matter has about 28, grey about 37 HU; elsewhere the scale is wrong.
    """
    values = case.within(case.ct, 2, 3)
    if not case.is_in_frame or values.size == 0:
        return float("nan"), "the window is not known" if not case.is_in_frame else "nothing is labelled"
    return 80 * float(np.median(values)), ""


@check("CT noise", "HU", 1, good=(0, 18), tolerated=(0, 25))
def ct_noise(case: Case) -> tuple[float, str]:
    """Largest standard deviation of white matter in the CT among the octants of the brain: metal and streaks raise it."""
    if not case.is_in_frame:
        return float("nan"), "the window is not known"
    return 80 * max((float(values.std()) for values in _octants(case, case.ct)), default=float("nan")), ""


@check("MR evenness", "%", 0, good=(0, 32), tolerated=(0, 45))
def mr_evenness(case: Case) -> tuple[float, str]:
    """White matter's median in the brightest octant of the brain above that in the darkest, over their mean: bias left over."""
    return unevenness(case, case.mr), ""


def unevenness(case: Case, image: NDArray[np.float32]) -> float:
    """What `mr_evenness` says, in percent, of any image of the box; nan where no octant has enough white matter."""
    medians = [float(np.median(values)) for values in _octants(case, image)]
    return 100 * (max(medians) - min(medians)) / max(float(np.mean(medians)), 1e-6) if medians else float("nan")


def _octants(case: Case, image: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """White matter's values in each octant of the brain that has enough of it."""
    white = np.argwhere((case.labels == 2) & case.brain)
    if len(white) == 0:
        return []
    octant = ((white > white.mean(axis=0)) * [1, 2, 4]).sum(axis=1)
    values = image[tuple(white.T)]
    parts = [values[octant == number] for number in range(8)]
    return [part for part in parts if part.size >= _FEWEST_IN_OCTANT]


def _clipped_percent(inside: NDArray[np.float32]) -> tuple[float, str]:
    low, high = percent(inside <= 0), percent(inside >= 1)
    return low + high, "" if np.isnan(low) else f"{low:.1f} % at 0, {high:.1f} % at 1"


def _contrast(case: Case, image: NDArray[np.float32], bright: int, dark: int) -> tuple[float, str]:
    above, below = case.within(image, bright), case.within(image, dark)
    if min(above.size, below.size) < 2:
        return float("nan"), "grey or white matter is missing"
    spread = float(np.sqrt((above.var(dtype=np.float64) + below.var(dtype=np.float64)) / 2))
    return float(above.mean(dtype=np.float64) - below.mean(dtype=np.float64)) / max(spread, 1e-6), ""
