"""Which pair is trained on at a step, and what is done to it; knows no file, so that heads painted on a GPU serve, too."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
import torch

from benchmark.training.augmentation import bent, grey_varied, joined, with_known_fields
from models.training_settings import Batch

K = TypeVar("K", contravariant=True)  # what a subject is called


class Batcher(Protocol[K]):
    """Has subjects' images."""

    def batch(self, moving: K, fixed: K) -> Batch:
        """The MR of one subject to the CT of another."""


@dataclass(frozen=True)
class TrainingPairs(Generic[K]):
    """The batch of a number: two subjects drawn independently, so that one may meet itself, as in the authors' code.

    Args:
        arrays: of the subjects.
        subjects: whom to draw from.
        seed: the same seed and number give the same batch.
        both_ways: the second subject's MR to the first one's CT, too: a batch of two.
        bend_voxels: amplitude of the random fields that bend every image; 0: none, as published.
        grey_variation: of every image's grey values; 0: none, as published.
        known_fields: so many batches come first in which two people meet themselves, CTs bent by fields that are known.
    """

    arrays: Batcher[K]
    subjects: Sequence[K]
    seed: int
    both_ways: bool = False
    bend_voxels: float = 0.0
    grey_variation: float = 0.0
    known_fields: int = 0

    def __call__(self, number: int) -> Batch:
        """A batch of one pair, or of two."""
        rng = np.random.default_rng([self.seed, number])
        first, second = (self.subjects[k] for k in rng.integers(len(self.subjects), size=2))
        is_known = number < self.known_fields
        batch = self.arrays.batch(first, first if is_known else second)
        if self.both_ways:
            batch = joined(batch, self.arrays.batch(second, second if is_known else first))
        if self.bend_voxels > 0:
            generator = torch.Generator(batch.moving.device).manual_seed(int(rng.integers(2**31)))
            batch = (with_known_fields if is_known else bent)(batch, self.bend_voxels, generator)
            batch = grey_varied(batch, self.grey_variation, generator) if self.grey_variation > 0 else batch
        return batch
