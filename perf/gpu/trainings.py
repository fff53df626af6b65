"""Trainings on painted heads with the project's own loop and the recipe of the profile `reduced`, on whole images."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import models
from benchmark.augmentation import bent, grey_varied, joined, with_known_fields
from benchmark.profiles import PROFILES
from models.training import TrainingResult, fit
from models.training_settings import Batch, Progress, TrainingSettings
from models.variants import configure
from perf.gpu.heads import Heads
from srreg.labels import SCORED

RECIPE = PROFILES["reduced"]
_MOST_VALIDATED = 4  # pairs


@dataclass(frozen=True)
class Drawn:
    """The batch of a number: two training subjects, both ways.

    Args:
        heads: whom to draw from.
        seed: the same seed and number give the same batch on one device.
        known: so many batches come first in which the field is known.
    """

    heads: Heads
    seed: int
    known: int

    def __call__(self, number: int) -> Batch:
        """A batch of two pairs."""
        rng = np.random.default_rng([self.seed, number])
        people = self.heads.of("train")
        first, second = (people[k] for k in rng.integers(len(people), size=2))
        is_known = number < self.known
        others = (first, second) if is_known else (second, first)
        batch = joined(self.heads.batch(first, others[0]), self.heads.batch(second, others[1]))
        generator = torch.Generator(self.heads.labels.device).manual_seed(int(rng.integers(2**31)))
        batch = (with_known_fields if is_known else bent)(batch, RECIPE.bend_voxels, generator)
        return grey_varied(batch, RECIPE.grey_variation, generator)


def settings(epochs: int, steps_per_epoch: int, seed: int = 0) -> TrainingSettings:
    """Of every row alike."""
    return TrainingSettings(
        labels=SCORED,
        epochs=epochs,
        steps_per_epoch=steps_per_epoch,
        learning_rate=RECIPE.learning_rate,
        second_moment_decay=RECIPE.second_moment_decay,
        schedule=RECIPE.schedule,
        gradient_norm_limit=RECIPE.gradient_norm_limit,
        precision="bf16",
        seed=seed,
    )


def train(
    name: str, heads: Heads, how: TrainingSettings, folder: Path, progress: Callable[[Progress], None] | None = None
) -> tuple[torch.nn.Module, TrainingResult]:
    """Train a row, or go on with it; the network ends with the weights that validated best."""
    torch.manual_seed(how.seed)
    network = models.create(name)
    known = round(RECIPE.known_field_part * how.epochs * how.steps_per_epoch)
    validation = [heads.batch(*pair) for pair in heads.pairs("val")[:_MOST_VALIDATED]]
    device = str(heads.labels.device)
    batches = Drawn(heads, how.seed, known)
    result = fit(network, batches, how, folder, config=configure(name), validation=validation, device=device, progress=progress)
    return network.eval(), result
