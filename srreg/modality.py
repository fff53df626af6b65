"""Which modality an image is, as far as its numbers tell."""

import numpy as np

from srreg.errors import DataError
from srreg.subject import Modality
from srreg.volume import Volume

_AIR_HU = -500.0  # air has -1000; nothing of a head that is not air or lung-like lies under this
_LEAST_AIR = 0.01  # of all voxels: every head has air around it, in its sinuses and ears


def guess(image: Volume) -> Modality:
    """CT where at least a hundredth of the voxels is air in Hounsfield units; else MR, whose numbers do not go so low."""
    return "ct" if _share_of_air(image) >= _LEAST_AIR else "mr"


def check_hounsfield(ct: Volume, name: str) -> None:
    """Refuse a CT that is not in Hounsfield units.

    Args:
        ct: a whole head.
        name: of the image, for the message.

    Raises:
        DataError: no air near -1000, as in a CT that was shifted, scaled or blanked with 0.
    """
    if _share_of_air(ct) < _LEAST_AIR:
        raise DataError(
            f"{name}: expected a CT in Hounsfield units with air near -1000 around the head, got values from "
            f"{ct.data.min():g} to {ct.data.max():g}. Convert it, or say that it is an MR."
        )


def _share_of_air(image: Volume) -> float:
    return float(np.mean(image.data < _AIR_HU))
