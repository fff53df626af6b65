"""Images as the networks take them: in [0, 1], every axis a multiple of 16."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

MULTIPLE = 16  # the networks halve the grid four times


def min_max(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """The image brought to [0, 1] by its own extremes; a constant image becomes 0."""
    low, high = image.min(), image.max()
    if low == high:
        return np.zeros_like(image)
    scaled: NDArray[np.float32] = (image - low) / (high - low)
    return scaled


def padded(image: NDArray[Any]) -> NDArray[Any]:
    """A copy with zeros at the end of each axis up to the next multiple of 16, so that every voxel keeps its index."""
    return np.pad(image, [(0, -size % MULTIPLE) for size in image.shape])
