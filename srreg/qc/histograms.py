"""How often each brightness occurs in grey matter, white matter and fluid: one curve a tissue."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from srreg.qc.case import Case

WIDTH, HEIGHT = 256, 80  # of a plot, in the units of its paths
_BINS = 64
Image = Literal["mr", "ct", "uncorrected"]
_TISSUES = {"fluid": (4, 5, 14, 15), "grey matter": (3,), "white matter": (2,)}


@dataclass(frozen=True)
class Curve:
    """One tissue in one image: an SVG path over [0, 1]; empty where the tissue is missing."""

    image: Image
    tissue: str
    path: str


def curves_of(case: Case) -> tuple[Curve, ...]:
    """The curves of both images, and of the MR as it was before its intensity was corrected, where that is known."""
    images: dict[Image, NDArray[np.float32]] = {"mr": case.mr, "ct": case.ct}
    if case.uncorrected is not None:
        images["uncorrected"] = case.uncorrected[case.box]
    return tuple(
        Curve(name, tissue, _path(case.within(image, *labels)))
        for name, image in images.items()
        for tissue, labels in _TISSUES.items()
    )


def _path(values: NDArray[np.float32]) -> str:
    """Each tissue's curve reaches the top, however small it is."""
    if values.size == 0:
        return ""
    counts, _ = np.histogram(values, bins=_BINS, range=(0, 1))
    smooth = np.convolve(counts, (0.25, 0.5, 0.25), mode="same")
    heights = HEIGHT * (1 - smooth / max(float(smooth.max()), 1e-9))
    places = (np.arange(_BINS) + 0.5) * WIDTH / _BINS
    return "M" + "L".join(f"{x:.0f} {y:.0f}" for x, y in zip(places, heights, strict=True))
