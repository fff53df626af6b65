"""`bench plan`: parameters, memory and time of each method on this machine, before anything runs.

A small piece of the work is done and measured: one registration and one training step. On a GPU at the data's own size; on
a CPU at about quarter size, from where time and memory are scaled by the number of voxels, in which every method is linear.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmark.clock import Cost, device_name, timed
from benchmark.method import METHODS, TRAINABLE, MethodContext
from benchmark.network_input import MULTIPLE
from benchmark.planning.plan import test_pairs
from benchmark.room import room_for
from benchmark.run_settings import RunSettings
from benchmark.training.profiles import profile_named
from srreg.dataset import Dataset
from srreg.errors import NoRoom
from srreg.volume import Grid, Volume

if TYPE_CHECKING:
    from benchmark.training.trainer import Job
    from models import RegistrationNetwork
    from models.training_settings import Batch

Shape = tuple[int, int, int]

_PAPER_SHAPE, _PAPER_PAIRS = (176, 208, 192), 10
_PROBE_VOXELS = 48 * 64 * 48  # a CPU takes some seconds for these
_SHORTEST = 48  # of a probe's axes; shorter ones are no images
_REPEATS = 3
_STATES_A_PARAMETER = 4 * 4 / 1024**3  # GiB: weight, gradient and Adam's two moments in float32


@dataclass(frozen=True)
class Task:
    """What a run would have to do.

    Args:
        shape: [D, H, W] of the images.
        pairs: to register, for each training.
        out: where trained weights may lie already.
        settings: of the run.
        about: in words, for the reader.
    """

    shape: Shape
    pairs: int
    out: Path
    settings: RunSettings
    about: str


@dataclass(frozen=True)
class Forecast:
    """What one method would take; None where it does not apply or cannot be told.

    Args:
        method: as in `METHODS`.
        parameters: of the network.
        trainings: that are still to be done.
        training_seconds: of all of them.
        training_gib: peak of one, without what Python and its libraries take.
        registration_seconds: of all pairs.
        registration_gib: peak of one.
        remark: why it cannot run, or what the numbers do not hold.
    """

    method: str
    parameters: int | None = None
    trainings: int | None = None
    training_seconds: float | None = None
    training_gib: float | None = None
    registration_seconds: float | None = None
    registration_gib: float | None = None
    remark: str = ""


def task(data: Path | None, out: Path, settings: RunSettings, default: Path) -> Task:
    """What `bench run` would do with a data set.

    Args:
        data: that was named; it must be there.
        out: where trained weights may lie already.
        settings: of the run.
        default: the data set if none was named; where it is not there, the paper's is forecast.

    Raises:
        UnknownName: no such profile.
        UsageError: no such device here.
        DataError: a data set that is not there, is damaged or has no test pairs.
    """
    profile_named(settings.profile)
    device_name(settings.device)  # refuses one that is not here
    if data is None and not default.exists():
        return Task(_PAPER_SHAPE, _PAPER_PAIRS, out, settings, "no data set yet: the paper's size and 10 pairs")
    data = data or default
    dataset = Dataset.open(data)
    _, pairs = test_pairs(dataset, settings.protocol)
    shape = dataset.labels(pairs[0].fixed.subject).grid.shape
    return Task(shape, len(pairs), out, settings, f"{data}: {len(pairs)} test pairs")


def forecasts(task: Task, progress: Callable[[int, int, str], None]) -> list[Forecast]:
    """One for each method.

    Args:
        task: what is planned.
        progress: called before each method with how many are done, how many there are, and its name.

    Raises:
        UsageError: settings that cannot be.
    """
    names = task.settings.methods
    found = []
    for done, name in enumerate(names):
        progress(done, len(names), name)
        found.append(_forecast(name, task))
    return found


def _forecast(name: str, task: Task) -> Forecast:
    try:
        with room_for(name):
            return _of_network(name, task) if name in TRAINABLE else _of_method(name, task)
    except NoRoom as error:
        return Forecast(name, remark=str(error))


def probe_shape(shape: Shape, device: str) -> Shape:
    """The grid that is measured on: multiples of 16, as large as the device does in seconds."""
    padded = [size + -size % MULTIPLE for size in shape]
    if device == "cpu":
        while np.prod(padded) > _PROBE_VOXELS:
            longest = int(np.argmax(padded))
            padded[longest] = max(_SHORTEST, padded[longest] // 2 // MULTIPLE * MULTIPLE)
    d, h, w = padded
    return d, h, w


def _of_method(name: str, task: Task) -> Forecast:
    """A method that learns nothing."""
    method = METHODS.load(name)(MethodContext())
    if missing := method.check():
        return Forecast(name, remark="; ".join(missing))
    shape = probe_shape(task.shape, "cpu")
    images = _volumes(shape)
    method.prepare(task.settings.device)
    cost = _cost(lambda: method.register(*images), task.settings.device)
    scale = float(np.prod(task.shape) / np.prod(shape))
    return Forecast(
        name,
        trainings=0,
        registration_seconds=task.pairs * cost.seconds * scale,
        registration_gib=cost.peak_gib * scale,
        remark="" if name == "initial" else "depends on the images; measured on noise",
    )


def _of_network(name: str, task: Task) -> Forecast:
    import models
    from benchmark.training import trainer

    settings = task.settings
    job = trainer.job(
        name,
        settings.profile,
        seed=0,
        device=settings.device,
        precision=settings.precision,
        epochs=settings.epochs,
        gradient_surgery=settings.gradient_surgery,
    )
    shape = probe_shape(task.shape, settings.device)
    scale = _scale(task.shape, shape)
    network = models.create(name)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    left = _trainings_left(name, task)
    forecast = Forecast(name, parameters, trainings=left)
    registration = _registration_cost(network, shape, settings.device)
    step = _step_cost(network, job, shape)
    states = parameters * _STATES_A_PARAMETER
    return replace(
        forecast,
        training_seconds=left * job.settings.epochs * job.settings.steps_per_epoch * step.seconds * scale,
        training_gib=states + max(step.peak_gib - states, 0) * scale,
        registration_seconds=len(_seeds(task)) * task.pairs * registration.seconds * scale,
        registration_gib=registration.peak_gib * scale,
        remark="" if scale == 1 else f"scaled from {shape[0]} x {shape[1]} x {shape[2]}",
    )


def _scale(shape: Shape, probe: Shape) -> float:
    """How many times as many voxels, padded, as were measured on."""
    return float(np.prod([size + -size % MULTIPLE for size in shape]) / np.prod(probe))


def _trainings_left(name: str, task: Task) -> int:
    """How many seeds have no finished training yet."""
    from benchmark.training.trainer import weights_file
    from benchmark.weights import is_finished

    return sum(not is_finished(weights_file(task.out, name, seed)) for seed in _seeds(task))


def _seeds(task: Task) -> tuple[int, ...]:
    return tuple(dict.fromkeys(task.settings.seeds))


def _registration_cost(network: "RegistrationNetwork", shape: Shape, device: str) -> Cost:
    """As `bench run` registers, with random weights."""
    import torch

    from benchmark.methods.learned import inference, ready

    ready(network, device)
    moving, fixed = torch.rand(2, 1, 1, *shape, device=device)
    with inference(device):
        return _cost(lambda: network(moving, fixed), device)


def _step_cost(network: "RegistrationNetwork", job: "Job", shape: Shape) -> Cost:
    """One step of the profile's, with as many pairs as its batches have."""
    from models.training_step import Stepper

    stepper = Stepper(network, job.settings, job.device)
    batch = _batch(shape, 2 if job.recipe.both_ways else 1)
    return _cost(lambda: stepper.step(0, batch, done=0.0), job.device)


def _cost(call: Callable[[], object], device: str) -> Cost:
    """Memory of the first call, for later ones find theirs in what that left; seconds of the fastest of some more."""
    _, first = timed(call, device)
    return Cost(min(timed(call, device)[1].seconds for _ in range(_REPEATS)), first.peak_gib)


def _batch(shape: Shape, pairs: int) -> "Batch":
    import torch

    from models.training_settings import Batch
    from srreg.labels import SCORED

    generator = torch.Generator().manual_seed(0)
    images = torch.rand(2, pairs, 1, *shape, generator=generator)
    labels = torch.tensor(SCORED)[torch.randint(len(SCORED), (2, pairs, *shape), generator=generator)]
    return Batch(*images, *labels)


def _volumes(shape: Shape) -> tuple[Volume, Volume]:
    """Two smooth images, for a method that looks for likeness."""
    rng = np.random.default_rng(0)
    grid = Grid(shape, np.eye(4))
    ramps = np.indices(shape).sum(axis=0) / sum(shape)
    first, second = (Volume((ramps + 0.1 * rng.random(shape)).astype(np.float32), grid.affine) for _ in range(2))
    return first, second
