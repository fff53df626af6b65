"""What `bench register` leaves in its folder: images first, the record last."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmark import record
from benchmark.clock import Cost
from benchmark.own_pair.own_images import OwnImages, OwnPair
from srreg import io
from srreg.build.one_image import InFrame
from srreg.displacement import Displacement
from srreg.errors import UsageError
from srreg.files import sha256, write_json
from srreg.frames import moved
from srreg.subject import Modality
from srreg.volume import Grid

MOVED, DISPLACEMENT, LABELS, RECORD = "moved.nii.gz", "displacement.nii.gz", "moved_labels.nii.gz", "registration.json"
_FILES = (RECORD, MOVED, DISPLACEMENT, LABELS)  # the record goes first: while it is there, the others are whole


@dataclass(frozen=True, eq=False)
class Outcome:
    """A registration, and how it was made.

    Args:
        method: as in `METHODS`.
        weights: its file; None for a method that learns nothing.
        device: what it is called by its maker.
        preprocess: `auto` or `none`.
        moving: as the method saw it.
        fixed: as the method saw it.
        field: on the fixed image's own grid.
        cost: of the method's part.
    """

    method: str
    weights: Path | None
    device: str
    preprocess: str
    moving: InFrame
    fixed: InFrame
    field: Displacement
    cost: Cost


def check_inputs_are_safe(pair: OwnPair, out: Path) -> None:
    """Refuse a folder in which an output would take an input's place.

    Raises:
        UsageError: naming it.
    """
    outputs = {(out / name).resolve() for name in _FILES}
    for path in pair.paths:
        if path.resolve() in outputs:
            raise UsageError(f"{path} would be overwritten by the result; choose another --out")


def write(out: Path, pair: OwnPair, images: OwnImages, outcome: Outcome) -> list[Path]:
    """Write the moved image, the displacement, moved labels where there are some, and the record; gives their paths."""
    check_is_ours(out)
    _clear(out)
    write_json(out / RECORD, {"outputs": {}})  # so that what a killed registration leaves is known for ours
    background = float(images.moving.data.min())
    io.write_volume(out / MOVED, moved(images.moving, outcome.field, background))
    io.write_displacement(out / DISPLACEMENT, outcome.field)
    if images.labels is not None:
        io.write_labels(out / LABELS, moved(images.labels, outcome.field))
    written = [out / name for name in (MOVED, DISPLACEMENT, LABELS) if (out / name).is_file()]
    write_json(out / RECORD, _described(pair, images, outcome, background) | {"outputs": _digests(written)})
    return [*written, out / RECORD]


def check_is_ours(out: Path) -> None:
    """Refuse a folder with files of our names that no registration wrote.

    Raises:
        UsageError: naming the first.
    """
    foreign = [name for name in _FILES if (out / name).exists()]
    if foreign and not (out / RECORD).is_file():
        raise UsageError(f"{out} holds a {foreign[0]} that bench register did not write; give another --out")


def _clear(out: Path) -> None:
    """What an earlier registration left, and what one that was killed left half-written."""
    for name in _FILES:
        for path in (out / name, *out.glob(f".{name}.*.part")):
            path.unlink(missing_ok=True)


def _described(pair: OwnPair, images: OwnImages, outcome: Outcome, background: float) -> dict[str, object]:
    weights = outcome.weights
    return {
        "method": outcome.method,
        "weights": None if weights is None else {"file": weights.name, "sha256": sha256(weights)},
        "moving": _image(pair.moving, images.moving.grid, images.moving_modality, outcome.moving),
        "fixed": _image(pair.fixed, images.fixed.grid, images.fixed_modality, outcome.fixed),
        "labels": None if pair.labels is None else _digests([pair.labels]),
        "preprocess": outcome.preprocess,
        "value_outside_moving": background,
        "displacement": "one vector a voxel of the fixed image, mm, LPS: where its match lies in the moving image",
        "seconds": round(outcome.cost.seconds, 3),
        "device": outcome.device,
        "versions": record.versions(),
        "commit": record.commit(),
    }


def _image(path: Path, grid: Grid, modality: Modality | None, framed: InFrame) -> dict[str, object]:
    return {
        "file": path.name,  # its folder may hold a person's name
        "sha256": sha256(path),
        "grid": str(grid),
        "modality": modality,
        "frame_grid": str(framed.image.grid),
        "to_frame": framed.to_frame.tolist(),
        "steps": framed.steps,
    }


def _digests(paths: list[Path]) -> Mapping[str, str]:
    return {path.name: sha256(path) for path in paths}
