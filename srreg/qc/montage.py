"""A figure for a paper: some subjects below each other, MR, CT and labels in three planes."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from srreg.dataset import Dataset
from srreg.errors import DataError
from srreg.files import write_whole
from srreg.labels import LABELS
from srreg.qc.case import Case
from srreg.qc.figures import grey
from srreg.qc.planes import Cut, cuts_of
from srreg.qc.report import check_place

_MOST_SHOWN = 4  # where nobody is named
_TILE_PIXELS = 220
_OPACITY = 0.55


def write_montage(dataset: Dataset, out: Path, subjects: Sequence[str] = ()) -> None:
    """Write a PNG: a row a subject; in each plane MR, CT, and the labels on the MR, through the middle of the brain.

    Args:
        dataset: built.
        out: the picture.
        subjects: who is shown; the first few where nobody is named.

    Raises:
        UnknownName: no such subject is built.
        UsageError: a place that cannot be written to.
        DataError: nothing is built.
    """
    check_place(out)
    shown = subjects or dataset.subjects[:_MOST_SHOWN]
    if not shown:
        raise DataError(f"{dataset.root} holds no built subject; see: srreg status {dataset.root}")
    rows = [np.hstack(_tiles(Case(dataset.read(subject)))) for subject in shown]
    write_whole(out, _png(np.vstack(rows)))


def _tiles(case: Case) -> list[NDArray[np.uint8]]:
    grey_of = {name: np.repeat(grey(case, name)[..., None], 3, axis=-1) for name in ("mr", "ct")}
    pictures = [grey_of["mr"], grey_of["ct"], _labelled(grey_of["mr"], case.label_map.data)]
    return [_tile(picture, cut, case.spacing_mm) for cut in cuts_of(case) for picture in pictures]


def _labelled(picture: NDArray[np.uint8], labels: NDArray[np.int16]) -> NDArray[np.uint8]:
    """Label colours [D, H, W, 3] over a grey picture; background stays."""
    colours = np.zeros((max(int(labels.max()), max(label.index for label in LABELS)) + 1, 3))
    for label in LABELS:
        colours[label.index] = list(bytes.fromhex(label.colour[1:]))
    blended = _OPACITY * colours[labels] + (1 - _OPACITY) * picture
    return np.where(labels[..., None] > 0, blended, picture).astype(np.uint8)


def _tile(picture: NDArray[np.uint8], cut: Cut, spacing_mm: tuple[float, float, float]) -> NDArray[np.uint8]:
    """The middle slice on a black square, all slices at one scale."""
    from PIL import Image

    plane, middle = cut.plane, len(cut.indices) // 2
    flat = np.stack([cut.tiles(picture[..., channel])[middle] for channel in range(3)], axis=-1)
    longest_mm = max(len(range(*s.indices(10**6))) * mm for s, mm in zip(cut.frame, spacing_mm, strict=True))
    scale = _TILE_PIXELS / longest_mm
    size = round(flat.shape[1] * spacing_mm[plane.across] * scale), round(flat.shape[0] * spacing_mm[plane.down] * scale)
    square = Image.new("RGB", (_TILE_PIXELS, _TILE_PIXELS))
    slice_ = Image.fromarray(np.ascontiguousarray(flat, dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    square.paste(slice_, ((_TILE_PIXELS - size[0]) // 2, (_TILE_PIXELS - size[1]) // 2))
    return np.asarray(square)


def _png(pixels: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG", optimize=True)
    return content.getvalue()
