"""Pairs to train and to validate on: the MR of one subject moves, the CT of another stays."""

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import overload

import numpy as np
import torch
from numpy.typing import NDArray

from benchmark.augmentation import bent, joined
from benchmark.network_input import min_max, padded
from models.training_settings import Batch
from srreg.dataset import Dataset
from srreg.subject import ImageRef, Pair

_HELD_BYTES = 8 * 1024**3  # 150 subjects at full size take 6.3


@dataclass(frozen=True, eq=False)
class _Arrays:
    """What a subject gives: images [D, H, W] in [0, 1] as float16, labels [D, H, W]; padded."""

    mr: NDArray[np.float16]
    ct: NDArray[np.float16]
    labels: NDArray[np.int16]

    @property
    def size(self) -> int:
        return self.mr.nbytes + self.ct.nbytes + self.labels.nbytes


class SubjectArrays:
    """Reads each subject once and holds it, as long as all together stay under a limit; then reads anew.

    Args:
        dataset: where the subjects lie.
        held_bytes: the limit.
    """

    def __init__(self, dataset: Dataset, held_bytes: int = _HELD_BYTES) -> None:
        self._dataset, self._limit = dataset, held_bytes
        self._held: dict[str, _Arrays] = {}
        self._lock = Lock()

    def batch(self, moving: str, fixed: str) -> Batch:
        """One pair, MR to CT."""
        first, second = self._arrays(moving), self._arrays(fixed)
        return Batch(
            torch.from_numpy(first.mr)[None, None],
            torch.from_numpy(second.ct)[None, None],
            torch.from_numpy(first.labels)[None],
            torch.from_numpy(second.labels)[None],
        )

    def _arrays(self, subject_id: str) -> _Arrays:
        with self._lock:
            if subject_id in self._held:
                return self._held[subject_id]
            arrays = self._read(subject_id)
            if sum(held.size for held in self._held.values()) + arrays.size <= self._limit:
                self._held[subject_id] = arrays
            return arrays

    def _read(self, subject_id: str) -> _Arrays:
        mr, ct = (padded(min_max(self._dataset.image(ImageRef(subject_id, m)).data)) for m in ("mr", "ct"))
        labels = padded(self._dataset.labels(subject_id).data)
        return _Arrays(mr.astype(np.float16), ct.astype(np.float16), labels)


@dataclass(frozen=True)
class TrainingPairs:
    """The batch of a number: two subjects drawn independently, so that one may meet itself, as in the authors' code.

    Args:
        arrays: of the subjects.
        subjects: whom to draw from.
        seed: the same seed and number give the same batch.
        both_ways: the second subject's MR to the first one's CT, too: a batch of two.
        bend_voxels: amplitude of the random fields that bend every image; 0: none, as published.
    """

    arrays: SubjectArrays
    subjects: tuple[str, ...]
    seed: int
    both_ways: bool = False
    bend_voxels: float = 0.0

    def __call__(self, number: int) -> Batch:
        """A batch of one pair, or of two."""
        rng = np.random.default_rng([self.seed, number])
        first, second = (self.subjects[k] for k in rng.integers(len(self.subjects), size=2))
        batch = self.arrays.batch(first, second)
        if self.both_ways:
            batch = joined(batch, self.arrays.batch(second, first))
        if self.bend_voxels > 0:
            batch = bent(batch, self.bend_voxels, torch.Generator().manual_seed(int(rng.integers(2**31))))
        return batch


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
