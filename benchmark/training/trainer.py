"""Feeds the training split to `models.training.fit` and keeps the record of what came of it."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import get_args

import torch

from benchmark.clock import device_name
from benchmark.hold import is_first_process, training_held
from benchmark.method import CannotTrain
from benchmark.network_input import MULTIPLE
from benchmark.room import room_for
from benchmark.training.draw import TrainingPairs
from benchmark.training.pairs import SubjectArrays, ValidationPairs
from benchmark.training.profiles import Profile, profile_named
from benchmark.training.record import RECORD, MadeFrom, beginning, is_finished, outcome
from models import checkpoint
from models.training import WEIGHTS, TrainingResult, fit
from models.training_settings import Precision, Progress, TrainingSettings
from models.training_settings import check as check_settings
from models.variants import NetworkConfig, build, configure, resolve
from srreg.dataset import Dataset, Split
from srreg.errors import DataError, SrregError, UsageError
from srreg.files import write_json
from srreg.labels import SCORED

log = logging.getLogger(__name__)

# What a recipe says of the pairs; the rest of it is in the settings.
_OF_PAIRS = ("both_ways", "bend_voxels", "grey_variation", "known_field_part")


@dataclass(frozen=True)
class _Asked:
    """What a training is told beside its profile; None leaves it to the profile."""

    seed: int
    device: str
    precision: str | None
    epochs: int | None
    gradient_surgery: bool


@dataclass(frozen=True)
class Job:
    """A training that may begin.

    Args:
        method: a network's name.
        config: the network's.
        recipe: the profile that was asked for.
        settings: what the recipe is for this method, device and seed.
        device: torch's name for it.
    """

    method: str
    config: NetworkConfig
    recipe: Profile
    settings: TrainingSettings
    device: str

    def made_from(self, dataset: Dataset) -> MadeFrom:
        """What tells this training from any other."""
        flat = checkpoint.flatten(self.recipe)
        recipe = {name: flat[name] for name in _OF_PAIRS}
        return {
            "config": checkpoint.flatten(self.config),
            "settings": checkpoint.flatten(self.settings) | recipe,
            "dataset": {"digest": dataset.digest},
        }


def job(
    method: str,
    profile: str,
    *,
    seed: int,
    device: str,
    precision: str | None,
    epochs: int | None,
    gradient_surgery: bool = False,
) -> Job:
    """What `train` would do with the same arguments; refuses what cannot be before anything runs.

    Raises:
        UnknownName: no such profile.
        UsageError: a method that learns nothing, or settings that cannot be.
    """
    config, recipe = _config(method), profile_named(profile)
    device_name(device)  # refuses one that is not here
    settings = _settings(recipe, _Asked(seed, device, precision, epochs, gradient_surgery))
    try:  # whether there are pairs to validate on is the data's matter
        check_settings(replace(settings, selection="training-loss"), (), device)
    except ValueError as error:
        raise UsageError(str(error)) from error
    return Job(resolve(method), config, recipe, settings, device)


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
    gradient_surgery: bool = False,
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
        gradient_surgery: take from the contrastive loss's gradient what works against registration.
        progress: called after each step.

    Returns:
        The weights file.

    Raises:
        UnknownName: no such profile.
        UsageError: a method that learns nothing, settings that cannot be, or a folder that holds another training.
        CannotTrain: no training or no validation split.
        DataError: files of an earlier training that are damaged, or splits that share a person or name one that is not built.
        FolderBusy: another process is at this training.
        NoRoom: the disk or the memory is full.
        SrregError: the training broke off since its gradients were not finite.
    """
    this = job(
        method,
        profile,
        seed=seed,
        device=device,
        precision=precision,
        epochs=epochs,
        gradient_surgery=gradient_surgery,
    )
    _check_splits(dataset, this)
    _check_precision(dataset, this)
    weights = weights_file(out, this.method, seed)
    if is_finished(weights, this.made_from(dataset)):  # which takes no right to write there
        log.info("%s: trained already, weights in %s", this.method, weights)
        return weights
    with training_held(weights.parent), room_for(f"the training of {this.method}"):
        return _train(this, dataset, weights, progress)


def _train(job: Job, dataset: Dataset, weights: Path, progress: Callable[[Progress], None] | None) -> Path:
    made_from = job.made_from(dataset)
    if is_finished(weights, made_from):  # by another process, just now
        return weights
    log.info("%s, seed %d: training in %s", job.method, job.settings.seed, weights.parent)
    begun = beginning(job.method, job.recipe.name, job.device, made_from)
    if is_first_process():
        write_json(weights.parent / RECORD, begun)
    result = _fit(job, dataset, weights.parent, progress)
    if result.is_main_process:
        write_json(weights.parent / RECORD, begun | outcome(result))
    for note in result.notes:
        log.info("%s: %s", job.method, note)
    if result.alarm:
        log.warning("%s: %s", job.method, result.alarm)
    return weights


def _fit(job: Job, dataset: Dataset, folder: Path, progress: Callable[[Progress], None] | None) -> TrainingResult:
    seed, recipe, arrays = job.settings.seed, job.recipe, SubjectArrays(dataset)
    validation = ValidationPairs.of(arrays, dataset)
    pairs = TrainingPairs(
        arrays,
        dataset.split("train"),
        seed,
        both_ways=recipe.both_ways,
        bend_voxels=recipe.bend_voxels,
        grey_variation=recipe.grey_variation,
        known_fields=round(recipe.known_field_part * job.settings.epochs * job.settings.steps_per_epoch),
    )
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


def _config(method: str) -> NetworkConfig:
    try:
        return configure(method)
    except ValueError as error:
        raise UsageError(f"{method} cannot be trained: {error}") from error


def _settings(profile: Profile, asked: _Asked) -> TrainingSettings:
    chosen = asked.precision or profile.precision_on(asked.device)
    if chosen not in get_args(Precision):
        raise UsageError(f"expected precision {', '.join(get_args(Precision))}, got {chosen!r}")
    try:
        return TrainingSettings(
            labels=SCORED,
            epochs=profile.epochs if asked.epochs is None else asked.epochs,
            steps_per_epoch=profile.steps_per_epoch,
            learning_rate=profile.learning_rate,
            precision=chosen,  # type: ignore[arg-type]
            selection=profile.selection,
            second_moment_decay=profile.second_moment_decay,
            schedule=profile.schedule,
            contrastive_weight=profile.contrastive_weight,
            gradient_norm_limit=profile.gradient_norm_limit,
            gradient_surgery=asked.gradient_surgery,
            seed=asked.seed,
        )
    except ValueError as error:
        raise UsageError(str(error)) from error


def _check_precision(dataset: Dataset, job: Job) -> None:
    """On a CPU torch 2.13 gives wrong gradients of bf16 convolutions over an image two voxels deep."""
    depth = dataset.labels(dataset.split("train")[0]).grid.shape[0]
    if job.device == "cpu" and job.settings.precision == "bf16" and -(-depth // MULTIPLE) in (1, 2):
        raise UsageError(
            f"{dataset.root}: images {depth} voxels deep cannot be trained on in bf16 on a CPU; use --precision fp32"
        )


def _check_splits(dataset: Dataset, job: Job) -> None:
    """Somebody to train on, nobody of them to test on, and pairs to validate on where these decide which weights are kept."""
    _check_people(dataset)
    people = len({p.person for p in dataset.participants if p.status == "built"})
    why = ""
    if not dataset.split("train"):
        why = f"the training split is empty: {people} people are built, and with fewer than 6 all are test"
    elif job.settings.selection == "validation-dice" and not dataset.pairs("val", "all"):
        why = "the validation split has no pairs, and the weights that are kept are those that validate best"
    if why:
        raise CannotTrain(f"{dataset.root}: {why}. Build more subjects, or give trained weights: --weights NAME=FILE")


def _check_people(dataset: Dataset) -> None:
    people = {p.id: p.person for p in dataset.participants if p.status == "built"}
    splits: dict[str, Sequence[str]] = {name: dataset.split(name) for name in get_args(Split)}
    if missing := sorted(i for ids in splits.values() for i in ids if i not in people):
        raise DataError(f"{dataset.root}/splits: not built, and in a split all the same: {', '.join(missing)}")
    for one, other in combinations(splits, 2):
        if both := {people[i] for i in splits[one]} & {people[i] for i in splits[other]}:
            raise DataError(f"{dataset.root}/splits: both in {one} and in {other}: {', '.join(sorted(both))}")
