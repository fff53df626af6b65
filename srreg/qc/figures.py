"""Draw a subject: each layer (MR, CT, labels, lines) once at its own resolution; the page lays them over each other.

Pictures are data URIs, lines are SVG paths, all places are in millimetres: voxels of 1, 2 and 4 mm
are shown at one size.
"""

import base64
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from srreg.build.reference import template
from srreg.geometry import resample
from srreg.labels import LABELS
from srreg.qc.case import Case
from srreg.qc.planes import Cut, cuts_of
from srreg.volume import Grid, Volume

_JPEG_FROM_PIXELS = 200_000  # below, lossless is small enough
_JPEG_QUALITY = 86
_SMOOTHING_VOXELS = 0.6  # of a mask before its outline is drawn: takes the stairs away, moves no edge
_UNITS_PER_MM = 10  # of a path's whole numbers
_VENTRICLES = (4, 5, 14, 15)
_WHITE = (2,)
_TISSUE = (2, 3)
_UNKNOWN_COLOUR = "#ff0000"
_THUMBNAIL_PIXELS = 72


@dataclass(frozen=True)
class Strip:
    """The layers of one plane's slices, side by side.

    Args:
        plane: its name.
        letters: at the left, right, top and bottom of each slice.
        tile_mm, height_mm: size of one slice on the page.
        places_mm: where each slice lies in the world, along the axis it is cut across.
        images: layer -> data URI.
        lines: layer -> path data, in tenths of a millimetre.
    """

    plane: str
    letters: tuple[str, str, str, str]
    tile_mm: float
    height_mm: float
    places_mm: tuple[float, ...]
    images: dict[str, str]
    lines: dict[str, str]


@dataclass(frozen=True)
class Drawing:
    """All pictures of a subject: a strip a plane, and a small MR and CT side by side (a data URI)."""

    strips: tuple[Strip, ...]
    thumbnail: str


def draw(case: Case) -> Drawing:
    """Draw a subject."""
    shown = ("mr", "ct") if case.uncorrected is None else ("mr", "ct", "uncorrected")
    greys = {name: grey(case, name) for name in shown}
    outlined = _fields(case)
    cuts = cuts_of(case)
    return Drawing(tuple(_strip(case, cut, greys, outlined) for cut in cuts), _thumbnail(case, cuts[0], greys))


def _thumbnail(case: Case, axial: Cut, grey: dict[str, NDArray[np.uint8]]) -> str:
    from PIL import Image

    middle = len(axial.indices) // 2
    pair = np.hstack([axial.tiles(grey[name])[middle] for name in ("mr", "ct")])
    across, down = (case.spacing_mm[a] for a in (axial.plane.across, axial.plane.down))
    width = round(_THUMBNAIL_PIXELS * pair.shape[1] * across / (pair.shape[0] * down))
    small = Image.fromarray(pair).resize((width, _THUMBNAIL_PIXELS), Image.Resampling.LANCZOS)
    return _data_uri(small, "JPEG", quality=80)


def _strip(case: Case, cut: Cut, grey: dict[str, NDArray[np.uint8]], outlined: dict[str, NDArray[np.float32]]) -> Strip:
    plane = cut.plane
    pixel_mm = case.spacing_mm[plane.across], case.spacing_mm[plane.down]
    rows, columns = cut.tiles(case.brain_map.data)[0].shape
    start, along = case.brain_map.affine[plane.axis, 3], case.brain_map.affine[plane.axis, plane.axis]
    return Strip(
        plane=plane.name,
        letters=plane.letters,
        tile_mm=columns * pixel_mm[0],
        height_mm=rows * pixel_mm[1],
        places_mm=tuple(float(start + along * index) for index in cut.indices),
        images={name: _picture(cut.strip(image)) for name, image in grey.items()}
        | {"labels": _coloured(cut.strip(case.label_map.data))},
        lines={name: _outline(cut.tiles(field), pixel_mm) for name, field in outlined.items()},
    )


def grey(case: Case, name: str) -> NDArray[np.uint8]:
    """`mr`, `ct` or `uncorrected` on the whole grid, 0 .. 255, in a window set by its brain; black outside."""
    image = case.uncorrected if name == "uncorrected" else getattr(case.subject, name).data
    assert image is not None
    inside = case.brain_map.data > 0
    values = image[inside] if inside.any() else image.reshape(-1)
    low, high = _ct_window(values) if name == "ct" else np.percentile(values, (0, 99.5))
    scaled = (image - low) / max(float(high - low), 1e-6) * 255
    levels: NDArray[np.uint8] = np.where(inside, scaled.clip(0, 255), 0).astype(np.uint8)
    return levels


def _ct_window(values: NDArray[np.float32]) -> tuple[float, float]:
    """From fluid to a little above grey matter: narrower than the data set's own window, and blind to bone in the mask."""
    fluid, tissue, above = np.percentile(values, (3, 50, 75))
    return float(fluid), float(tissue + 3.5 * (above - tissue))  # 3.5 quarters are 2.4 standard deviations


def _fields(case: Case) -> dict[str, NDArray[np.float32]]:
    """What is outlined where it passes 0.5, each on the whole grid."""
    labels, brain = case.label_map.data, case.brain_map.data > 0
    reference = {"reference": _reference(case.subject.mr.grid)} if case.is_in_frame else {}
    return reference | {
        "brain": brain.astype(np.float32),
        "white": np.isin(labels, _WHITE).astype(np.float32),
        "ventricles": np.isin(labels, _VENTRICLES).astype(np.float32),
        "fluid": _fluid(case),
    }


def _reference(grid: Grid) -> NDArray[np.float32]:
    """The brain of the common frame on the data set's grid."""
    brain = template()
    field: NDArray[np.float32] = resample(Volume((brain.data > 0).astype(np.float32), brain.affine), grid).data
    return field


def _fluid(case: Case) -> NDArray[np.float32]:
    """1 for MR as dark as fluid, 0 for MR as bright as tissue, 0 outside the brain: drawn from the MR alone."""
    tissue, fluid = (case.within(case.mr, *which) for which in (_TISSUE, _VENTRICLES))
    if min(tissue.size, fluid.size) == 0:
        return np.zeros(case.subject.mr.data.shape, dtype=np.float32)
    bright, dark = float(np.median(tissue)), float(np.median(fluid))
    darkness = (bright - case.subject.mr.data) / (bright - dark if bright > dark else 1.0)
    field: NDArray[np.float32] = np.where(case.brain_map.data > 0, darkness.clip(0, 1), 0).astype(np.float32)
    return field


def _picture(grey: NDArray[np.generic]) -> str:
    from PIL import Image

    image = Image.fromarray(grey)
    if grey.size < _JPEG_FROM_PIXELS:
        return _data_uri(image, "PNG", optimize=True)
    return _data_uri(image, "JPEG", quality=_JPEG_QUALITY, optimize=True)


def _coloured(labels: NDArray[np.generic]) -> str:
    """Labels in their colours, background transparent; values outside the table are bright red."""
    from PIL import Image

    rank = {label.index: number for number, label in enumerate(LABELS)}
    lookup = np.full(int(labels.max(initial=0)) + 1, len(LABELS), dtype=np.uint8)
    for index, number in rank.items():
        lookup[index : index + 1] = number
    image = Image.fromarray(lookup[labels], mode="P")
    image.putpalette(
        [part for colour in (*(label.colour for label in LABELS), "#ff0000") for part in bytes.fromhex(colour[1:])]
    )
    return _data_uri(image, "PNG", optimize=True, transparency=rank[0])


def _data_uri(image: object, kind: str, **options: object) -> str:
    content = io.BytesIO()
    image.save(content, kind, **options)  # type: ignore[attr-defined]
    return f"data:image/{kind.lower()};base64,{base64.b64encode(content.getvalue()).decode()}"


def _outline(tiles: list[NDArray[np.generic]], pixel_mm: tuple[float, float]) -> str:
    """Path data of the lines where each tile's field passes 0.5, in the strip's coordinates."""
    columns = tiles[0].shape[1]
    return "".join(
        _path((line + np.array([number * columns + 0.5, 0.5])) * pixel_mm)  # a voxel's value stands at its middle
        for number, tile in enumerate(tiles)
        for line in _contours(tile)
    )


def _contours(field: NDArray[np.generic]) -> list[NDArray[np.float64]]:
    """Closed lines [N, 2] (column, row) at 0.5 of a picture whose rim counts as 0."""
    from contourpy import LineType, contour_generator

    smooth = ndimage.gaussian_filter(np.pad(field.astype(np.float32), 1), _SMOOTHING_VOXELS)
    lines = contour_generator(z=smooth, line_type=LineType.Separate).lines(0.5)
    return [np.asarray(line) - 1 for line in lines]


def _path(points_mm: NDArray[np.float64]) -> str:
    """A closed path in whole tenths of a millimetre, each point relative to the one before."""
    whole = np.round(points_mm * _UNITS_PER_MM).astype(int)
    steps = np.diff(whole, axis=0, prepend=[[0, 0]])
    steps = steps[np.r_[True, (steps[1:] != 0).any(axis=1)]]
    first, *others = steps.tolist()
    if not others:
        return ""
    return f"M{first[0]} {first[1]}l{' '.join(f'{x} {y}' for x, y in others)}z".replace(" -", "-")
