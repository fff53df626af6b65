"""`bench register`: one pair of a person's own images, each on a grid of its own."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from benchmark import weights
from benchmark.clock import device_name, timed
from benchmark.hold import held
from benchmark.method import METHODS, TRAINABLE, Factory, Method, MethodContext
from benchmark.own_pair import registered
from benchmark.own_pair.own_images import OwnImages, OwnPair
from benchmark.own_pair.registered import Outcome
from benchmark.room import room_for
from srreg.backends.protocol import Backend
from srreg.build.one_image import InFrame, bring_into_frame, to_ras
from srreg.build.reference import Size
from srreg.build.steps.align import Alignment
from srreg.errors import BackendUnavailable, GeometryError, UsageError
from srreg.frames import carried
from srreg.geometry import apply_affine, resample
from srreg.registry import Registry

log = logging.getLogger(__name__)

Preprocess = Literal["auto", "none"]
Tell = Callable[[int, int, str], None]
_STAGES = 4


@dataclass(frozen=True)
class Registering:
    """How to register.

    Args:
        method: a name of `METHODS`.
        weights: of a method that learns; None: the newest in `runs`.
        runs: a folder of `bench run` or `bench train`.
        device: torch's name for it.
        preprocess: `auto`: whole heads, taken through the build's steps; `none`: images as the data set holds them.
        skull_stripper: for `auto`.
        size: of the frame's grid, for `auto`; None: that of the data set the weights were trained on, else `full`.
        alignment: to the common frame, for `auto`.
    """

    method: str
    weights: Path | None = None
    runs: Path = Path("runs")
    device: str = "cpu"
    preprocess: Preprocess = "auto"
    skull_stripper: Backend | None = None
    size: Size | None = None
    alignment: Alignment = "affine"


def register(
    pair: OwnPair, out: Path, settings: Registering, tell: Tell | None = None, methods: Registry[Factory] = METHODS
) -> list[Path]:
    """Register one pair and write what came of it.

    Args:
        pair: what moves and what stays.
        out: gets the moved image, the displacement, moved labels and the record.
        settings: how.
        tell: called with the stages done, how many there are, and what was done.
        methods: the table of methods.

    Returns:
        The files that were written, the record last.

    Raises:
        UnknownName: no such method.
        UsageError: settings that cannot be, or an output that would overwrite an input.
        DataError: an image or weights that cannot be used.
        GeometryError: images that lie beside one another, and are to be taken as they are.
        BackendUnavailable: the method lacks a package or weights, each with the line to type.
        StepFailed: an image could not be brought into the common frame.
        FolderBusy: another process holds the folder.
        NoRoom: the disk or the memory is full.
    """
    told = tell or (lambda done, total, text: None)
    device_name(settings.device)  # refuses one that is not here
    registered.check_inputs_are_safe(pair, out)
    registered.check_is_ours(out)
    name, given = methods.resolve(settings.method), _weights(settings, methods)
    method = _ready(methods.load(name)(MethodContext(given)))
    images = pair.read(are_whole_heads=settings.preprocess == "auto")
    _warn_of_direction(name, images)
    with held(out), room_for("this registration"):
        told(0, _STAGES, "preparing the method")
        log.info("registering %s to %s by %s", pair.moving.name, pair.fixed.name, name)
        method.prepare(settings.device)  # first: weights that cannot be used cost no minutes
        told(1, _STAGES, "preparing the images")
        moving, fixed = _framed(images, settings, given)
        told(2, _STAGES, "registering")
        found, cost = timed(lambda: method.register(moving.image, fixed.image), settings.device)
        told(3, _STAGES, "writing")
        field = carried(found, images.fixed.grid, fixed.to_frame, moving.to_frame)
        outcome = Outcome(name, given, device_name(settings.device), settings.preprocess, moving, fixed, field, cost)
        written = registered.write(out, pair, images, outcome)
        told(_STAGES, _STAGES, "done")
    return written


def _weights(settings: Registering, methods: Registry[Factory]) -> Path | None:
    name = methods.resolve(settings.method)
    if name in TRAINABLE:
        return settings.weights or weights.newest(settings.runs, name)
    if settings.weights is not None:
        raise UsageError(f"{name} learns nothing and takes no weights; leave out --weights")
    return None


def _ready(method: Method) -> Method:
    missing = method.check()
    if missing:
        raise BackendUnavailable("; ".join(missing))
    return method


def _warn_of_direction(name: str, images: OwnImages) -> None:
    if name in TRAINABLE and (images.moving_modality, images.fixed_modality) not in (("mr", "ct"), (None, None)):
        log.warning("%s is trained to bring an MR onto a CT; other pairs may come out badly", name)


def _framed(images: OwnImages, settings: Registering, given: Path | None) -> tuple[InFrame, InFrame]:
    if settings.preprocess == "none":
        return _as_they_are(images)
    if settings.skull_stripper is None:
        raise UsageError("--preprocess auto needs a skull stripper")
    size = settings.size or (given and weights.size_trained_on(given)) or "full"
    assert images.moving_modality is not None
    assert images.fixed_modality is not None
    stripper, alignment = settings.skull_stripper, settings.alignment
    return (
        bring_into_frame("moving", images.moving, images.moving_modality, stripper, size, alignment),
        bring_into_frame("fixed", images.fixed, images.fixed_modality, stripper, size, alignment),
    )


def _as_they_are(images: OwnImages) -> tuple[InFrame, InFrame]:
    """Both on the fixed image's grid, turned to RAS; the method pads it to what its network needs, and crops the field."""
    _check_overlap(images)
    fixed, way = to_ras(images.fixed)
    moving = resample(images.moving, fixed.grid, way)
    return InFrame(moving, way, {}), InFrame(fixed, way, {})


def _check_overlap(images: OwnImages) -> None:
    """Refuse a pair of which no fixed voxel lies in the moving image: the result would be empty."""
    moving, fixed = images.moving.grid, images.fixed.grid
    for plane in range(fixed.shape[0]):
        voxels = np.stack(np.meshgrid([plane], *map(np.arange, fixed.shape[1:]), indexing="ij"), axis=-1)
        positions = apply_affine(np.linalg.inv(moving.affine) @ fixed.affine, voxels.astype(np.float64))
        if ((positions > -1) & (positions < moving.shape)).all(axis=-1).any():
            return
    raise GeometryError(
        f"the two images do not overlap: moving {moving}, fixed {fixed}. "
        "Images of whole heads are brought together by --preprocess auto; others must be by another tool first."
    )
