"""The surface voxels of all labels of a map, found in one pass."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from srreg.measure.threads import in_pieces

NUMBERS = 256  # a surface is marked in bytes: labels are numbered 1 to 255


@dataclass(frozen=True)
class Box:
    """The part of a volume that holds the labels, with a margin to step into without leaving the array.

    Args:
        low: its first voxel.
        high: its last voxel, included.
        margin: voxels on either side.
    """

    low: NDArray[np.int64]
    high: NDArray[np.int64]
    margin: NDArray[np.int64]

    @property
    def inner_shape(self) -> NDArray[np.int64]:
        """Without the margin."""
        return self.high - self.low + 1

    @property
    def shape(self) -> tuple[int, int, int]:
        """With the margin."""
        d, h, w = self.inner_shape + 2 * self.margin
        return int(d), int(h), int(w)


@dataclass(frozen=True)
class Surface:
    """The surface voxels of all labels.

    Args:
        marked: [D, H, W], the box with its margin: a surface voxel has its label's number, every other 0.
        sizes: [256], surface voxels of each number.
        positions: of the surface voxels in `marked`, flat.
    """

    marked: NDArray[np.uint8]
    sizes: NDArray[np.int64]
    positions: NDArray[np.integer]

    @classmethod
    def of(cls, labels: NDArray[np.integer], numbers: NDArray[np.int32], box: Box) -> "Surface":
        """Find the surfaces of the labels that have a number.

        Args:
            labels: [D, H, W].
            numbers: label -> number, as the kernels take it.
            box: holds them all.
        """
        from srreg.measure import label_kernels

        marked = np.zeros(box.shape, np.uint8)
        sizes = np.empty(box.inner_shape[0], np.int64)  # of each plane
        in_pieces(lambda a, b: label_kernels.mark(labels, numbers, a, b, box.low, box.margin, marked, sizes), len(sizes))
        shift = int(box.margin[0])
        found = in_pieces(lambda a, b: _listed(marked, a + shift, b + shift, int(sizes[a:b].sum())), len(sizes))
        return cls(marked, np.sum([sizes for _, sizes in found], axis=0), np.concatenate([at for at, _ in found]))


def _listed(marked: NDArray[np.uint8], first: int, last: int, many: int) -> tuple[NDArray[np.integer], NDArray[np.int64]]:
    """Positions and sizes of the surfaces in the planes `first` to `last`, which have so many surface voxels."""
    from srreg.measure import label_kernels

    kind: type[np.integer] = np.int32 if marked.size < 2**31 else np.int64
    positions = np.empty(many + 1, kind)
    sizes, plane = np.zeros(NUMBERS, np.int64), marked[0].size
    label_kernels.list_marked(marked.reshape(-1), first * plane, last * plane, positions, sizes)
    return positions[:-1], sizes
