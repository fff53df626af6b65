"""Feeds the training split to `models.training.fit` and keeps the record of what came of it."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import torch

from benchmark.clock import device_name
from benchmark.hold import held
from benchmark.method import CannotTrain
from benchmark.profiles import Profile, profile_named
from benchmark.room import room_for
from benchmark.training_pairs import SubjectArrays, TrainingPairs, ValidationPairs
from benchmark.training_record import RECORD, MadeFrom, beginning, is_finished, outcome
from models import checkpoint
from models.training import WEIGHTS, TrainingResult, fit
from models.training_settings import Precision, Progress, TrainingSettings
from models.training_settings import check as check_settings
from models.variants import NetworkConfig, build, configure, resolve
from srreg.dataset import Dataset
from srreg.errors import DataError, SrregError, UsageError
from srreg.files import write_json
from srreg.labels import SCORED

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Job:
    """A training that may begin."""

    method: str
    config: NetworkConfig
    recipe: Profile
    settings: TrainingSettings
    device: str

    def made_from(self, dataset: Dataset) -> MadeFrom:
        """What tells this training from any other."""
        recipe = {"both_ways": self.recipe.both_ways, "bend_voxels": self.recipe.bend_voxels}
        return {
            "config": checkpoint.flatten(self.config),
            "settings": checkpoint.flatten(self.settings) | recipe,
            "dataset": {"digest": dataset.digest},
        }


def check(method: str, profile: str, *, seed: int, device: str, precision: str | None, epochs: int | None) -> None:
    """Refuse what cannot be, before anything runs; the arguments are those of `train`.

    Raises:
        UnknownName: no such profile.
        UsageError: a method that learns nothing, or settings that cannot be.
    """
    _job(method, profile, seed, device, precision, epochs)


def weights_file(out: Path, method: str, seed: int) -> Path:
    """Where a training leaves its weights; its history and record lie beside them."""
    return out / "weights" / method / f"seed{seed}" / WEIGHTS


def train(
    method: str,
    dataset: Dataset,
    out: Path,
    profile: str,
    *,
    seed: int = 0,
    device: str = "cpu",
    precision: str | None = None,
    epochs: int | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Path:
    """Train a method on the training split, go on with an interrupted training, or take a finished one as it is.

    Args:
        method: a network's name.
        dataset: built, with a training and a validation split.
        out: the run folder; gets `weights/<method>/seed<k>/`.
        profile: name of the recipe.
        seed: of the first weights and of the pairs drawn.
        device: torch's name for one.
        precision: fp32, bf16 or fp16; None: the profile's.
        epochs: None: the profile's.
        progress: called after each step.

    Returns:
        The weights file.

    Raises:
        UnknownName: no such profile.
        UsageError: a method that learns nothing, settings that cannot be, or a folder that holds another training.
        CannotTrain: no training or no validation split.
        DataError: files of an earlier training that are damaged.
        FolderBusy: another run or training holds the folder.
        NoRoom: the disk or the memory is full.
        SrregError: the training broke off since its gradients were not finite.
    """
    job = _job(method, profile, seed, device, precision, epochs)
    _check_splits(dataset, job)
    with held(out), room_for(f"the training of {job.method}"):
        return _train(job, dataset, weights_file(out, job.method, seed), progress)


def _train(job: _Job, dataset: Dataset, weights: Path, progress: Callable[[Progress], None] | None) -> Path:
    made_from = job.made_from(dataset)
    if is_finished(weights, made_from):
        log.info("%s: trained already, weights in %s", job.method, weights)
        return weights
    begun = beginning(job.method, job.recipe.name, job.device, made_from)
    write_json(weights.parent / RECORD, begun)
    result = _fit(job, dataset, weights.parent, progress)
    if result.is_main_process:
        write_json(weights.parent / RECORD, begun | outcome(result))
    if result.alarm:
        log.warning("%s: %s", job.method, result.alarm)
    return weights


def _fit(job: _Job, dataset: Dataset, folder: Path, progress: Callable[[Progress], None] | None) -> TrainingResult:
    seed, recipe, arrays = job.settings.seed, job.recipe, SubjectArrays(dataset)
    validation = ValidationPairs.of(arrays, dataset)
    pairs = TrainingPairs(arrays, dataset.split("train"), seed, recipe.both_ways, recipe.bend_voxels)
    torch.manual_seed(seed)
    network = build(job.config)
    try:
        return fit(
            network,
            pairs,
            job.settings,
            folder,
            config=job.config,
            validation=validation,
            device=job.device,
            progress=progress,
        )
    except ValueError as error:
        raise DataError(str(error)) from error
    except FloatingPointError as error:
        raise SrregError(f"{job.method}: {error}") from error


def _job(method: str, profile: str, seed: int, device: str, precision: str | None, epochs: int | None) -> _Job:
    config, recipe = _config(method), profile_named(profile)
    device_name(device)  # refuses one that is not here
    settings = _settings(recipe, seed, device, precision, epochs)
    try:  # whether there are pairs to validate on is the data's matter
        check_settings(replace(settings, selection="training"), (), device)
    except ValueError as error:
        raise UsageError(str(error)) from error
    return _Job(resolve(method), config, recipe, settings, device)


def _config(method: str) -> NetworkConfig:
    try:
        return configure(method)
    except ValueError as error:
        raise UsageError(f"{method} cannot be trained: {error}") from error


def _settings(profile: Profile, seed: int, device: str, precision: str | None, epochs: int | None) -> TrainingSettings:
    chosen = precision or profile.precision_on(device)
    if chosen not in get_args(Precision):
        raise UsageError(f"expected precision {', '.join(get_args(Precision))}, got {chosen!r}")
    try:
        return TrainingSettings(
            labels=SCORED,
            epochs=profile.epochs if epochs is None else epochs,
            steps_per_epoch=profile.steps_per_epoch,
            learning_rate=profile.learning_rate,
            precision=chosen,  # type: ignore[arg-type]
            selection=profile.selection,
            second_moment_decay=profile.second_moment_decay,
            schedule=profile.schedule,
            seed=seed,
        )
    except ValueError as error:
        raise UsageError(str(error)) from error


def _check_splits(dataset: Dataset, job: _Job) -> None:
    """Somebody to train on, and pairs to validate on where these decide which weights are kept."""
    people = len({p.person for p in dataset.participants if p.status == "built"})
    why = ""
    if not dataset.split("train"):
        why = f"the training split is empty: {people} people are built, and with fewer than 6 all are test"
    elif job.settings.selection == "validation" and not dataset.pairs("val", "all"):
        why = "the validation split has no pairs, and the weights that are kept are those that validate best"
    if why:
        raise CannotTrain(f"{dataset.root}: {why}. Build more subjects, or give trained weights: --weights NAME=FILE")
