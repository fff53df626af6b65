"""Trainings on painted heads with the project's own loop and the recipe of the profile `reduced`."""

from collections.abc import Callable
from pathlib import Path

import torch

import models
from benchmark.training.draw import TrainingPairs
from benchmark.training.profiles import PROFILES
from models.training import TrainingResult, fit
from models.training_settings import Progress, TrainingSettings
from models.variants import configure
from perf.gpu.heads import Heads
from srreg.labels import SCORED

RECIPE = PROFILES["reduced"]
_MOST_VALIDATED = 4  # pairs


def drawn(heads: Heads, seed: int, known: int) -> TrainingPairs[int]:
    """Training subjects as the recipe draws them; so many batches come first in which the field is known."""
    return TrainingPairs(
        heads,
        heads.of("train"),
        seed,
        both_ways=RECIPE.both_ways,
        bend_voxels=RECIPE.bend_voxels,
        grey_variation=RECIPE.grey_variation,
        known_fields=known,
    )


def settings(epochs: int, steps_per_epoch: int, seed: int = 0) -> TrainingSettings:
    """Of every row alike."""
    return TrainingSettings(
        labels=SCORED,
        epochs=epochs,
        steps_per_epoch=steps_per_epoch,
        learning_rate=RECIPE.learning_rate,
        second_moment_decay=RECIPE.second_moment_decay,
        schedule=RECIPE.schedule,
        contrastive_weight=RECIPE.contrastive_weight,
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
    batches = drawn(heads, how.seed, known)
    result = fit(network, batches, how, folder, config=configure(name), validation=validation, device=device, progress=progress)
    return network.eval(), result
