"""A data set's subjects as batches, and its pairs to validate on: the MR of one moves, the CT of another stays."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmark.training.array_cache import LEVELS, ArrayCache
from benchmark.training.recycling import Recycler
from models.training_settings import Batch
from srreg.dataset import Dataset
from srreg.subject import Pair


class SubjectArrays:
    """Makes batches of the subjects of a data set.

    Args:
        dataset: where the subjects lie.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._cache, self._memory = ArrayCache(dataset), Recycler()

    def batch(self, moving: str, fixed: str) -> Batch:
        """One pair, MR to CT: images float32, labels uint8."""
        first, second = self._cache.of(moving), self._cache.of(fixed)
        images = self._image(first.mr), self._image(second.ct)
        return Batch(*images, self._labels(first.labels), self._labels(second.labels), f"{moving}-mr_{fixed}-ct")

    def _image(self, levels: NDArray[np.int16]) -> Tensor:
        """[1, 1, D, H, W] in [0, 1]; by numpy, on one core, since the others are at work on the last batch."""
        image = self._memory.empty(levels.shape, np.float32)
        for plane, stored in zip(image, levels, strict=True):  # a plane stays in the processor's cache between the two
            plane[...] = stored
            plane /= LEVELS
        return torch.from_numpy(image)[None, None]

    def _labels(self, labels: NDArray[np.uint8]) -> Tensor:
        """[1, D, H, W], a copy: a batch may be changed, the cache may not."""
        copy = self._memory.empty(labels.shape, np.uint8)
        copy[...] = labels
        return torch.from_numpy(copy)[None]


@dataclass(frozen=True)
class ValidationPairs(Sequence[Batch]):
    """At most ten of the validation pairs, spread over the list; the authors draw ten at random each epoch.

    Args:
        arrays: of the subjects.
        pairs: in the order of `pairs/val.csv`.
    """

    arrays: SubjectArrays
    pairs: tuple[Pair, ...]

    @classmethod
    def of(cls, arrays: SubjectArrays, dataset: Dataset) -> "ValidationPairs":
        """Those of a data set."""
        everyone = dataset.pairs("val", "all")
        return cls(arrays, everyone[:: -(-len(everyone) // 10) or 1])

    def __len__(self) -> int:
        return len(self.pairs)

    @overload
    def __getitem__(self, index: int) -> Batch: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Batch]: ...
    def __getitem__(self, index: int | slice) -> Batch | Sequence[Batch]:
        """The batch of one pair, read when asked for."""
        if isinstance(index, slice):
            return ValidationPairs(self.arrays, self.pairs[index])
        pair = self.pairs[index]
        return self.arrays.batch(pair.moving.subject, pair.fixed.subject)
