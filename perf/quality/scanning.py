"""Faults of the scan and of what was done to it before it was released, put into a whole head."""

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from perf.quality.spoiling import centre
from srreg.geometry import Mode, apply_affine, bounding_box, crop, resample
from srreg.subject import Subject
from srreg.volume import Affine, Grid, LabelMap, Volume

_PARTS = ("mr", "ct", "brain", "labels")
_NOTHING = {"ct": -1000.0}  # what an image holds where nothing was scanned; 0 but for the CT


def _blanked(subject: Subject, gone: np.ndarray, *parts: str) -> Subject:
    images = {part: getattr(subject, part) for part in parts}
    emptied = {p: np.where(gone, _NOTHING.get(p, 0), i.data).astype(i.data.dtype) for p, i in images.items()}
    return replace(subject, **{part: type(images[part])(data, subject.mr.affine) for part, data in emptied.items()})


def _beyond(subject: Subject, way: np.ndarray, mm: float) -> np.ndarray:
    """What lies further along a direction than the brain does less some millimetres; [D, H, W]."""
    assert subject.brain is not None
    along = apply_affine(subject.mr.affine, np.moveaxis(np.indices(subject.mr.data.shape), 0, -1)) @ (way / np.linalg.norm(way))
    return along > along[subject.brain.data > 0].max() - mm


def _side(number: int) -> np.ndarray:
    """Above, below, to the left, to the right."""
    return np.array([[0, 0, 1], [0, 0, -1], [-1, 0, 0], [1, 0, 0]])[number % 4]


def short_mr(subject: Subject, other: Subject, number: int, mm: float) -> Subject:
    """The MR, and what tools found on it, end inside the brain."""
    return _blanked(subject, _beyond(subject, _side(number), mm), "mr", "brain", "labels")


def short_ct(subject: Subject, other: Subject, number: int, mm: float) -> Subject:
    """The CT ends inside the brain."""
    return _blanked(subject, _beyond(subject, _side(number), mm), "ct")


def cropped(subject: Subject, other: Subject, number: int, mm: float) -> Subject:
    """The grid of both images ends inside the brain."""
    box = bounding_box(~_beyond(subject, _side(number), mm))
    return replace(subject, **{part: crop(getattr(subject, part), box) for part in _PARTS})


def blanked_mr(subject: Subject, other: Subject, number: int) -> Subject:
    """Defacing that went too far, above or below the eyes; every second skull stripper stops at it, the others do not."""
    parts = ("mr",) if number % 2 else ("mr", "brain", "labels")
    return _blanked(subject, _before_the_brow(subject, number), *parts)


def blanked_ct(subject: Subject, other: Subject, number: int) -> Subject:
    """Defacing of the CT that went too far."""
    return _blanked(subject, _before_the_brow(subject, number), "ct")


def _before_the_brow(subject: Subject, number: int) -> np.ndarray:
    return _beyond(subject, np.array([0, 1, (-1, -0.5, 0)[number % 3]]), 15)


def with_couch(subject: Subject, other: Subject, number: int) -> Subject:
    """A plate of 12 mm that the back of the head lies on; the grid goes on for 30 mm to hold it."""
    margin_mm = 30
    back = round(margin_mm / subject.mr.spacing_mm[1])
    affine = subject.mr.affine.copy()
    affine[:3, 3] -= back * affine[:3, 1]
    parts = {
        p: np.pad(getattr(subject, p).data, ((0, 0), (back, 0), (0, 0)), constant_values=_NOTHING.get(p, 0)) for p in _PARTS
    }
    solid = np.flatnonzero((parts["ct"] > -300).sum(axis=(0, 2)) > 20)
    thickness = max(round(12 / subject.mr.spacing_mm[1]), 1)
    parts["ct"][:, max(solid[0] - thickness, 0) : solid[0]] = (80, -100)[number % 2]
    images = {p: (Volume if p in ("mr", "ct") else LabelMap)(data, affine) for p, data in parts.items()}
    return replace(subject, **images)


def _coarse(image: Volume | LabelMap, times: int, way: Affine, mode: Mode) -> Volume | LabelMap:
    """Once into slices (blocks, for labels) so many times as thick, and back."""
    shape, affine = np.array(image.data.shape), np.linalg.inv(way) @ image.affine
    step = np.array([1, 1, times]) if isinstance(image, Volume) else np.full(3, times)
    d, h, w = (int(n) for n in -(-shape // step))
    thick = Grid((d, h, w), affine @ np.diag([*step, 1.0]))
    return resample(resample(image, thick), image.grid, mode=mode, background=None)


def coarse_mr(subject: Subject, other: Subject, number: int, degrees: float, mode: Mode = "linear") -> Subject:
    """Slices that are three times as thick, of a scanner turned against the CT's."""
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("xy"[number % 2], degrees, degrees=True).as_matrix()
    middle = np.eye(4)
    middle[:3, 3] = centre(subject)
    return replace(subject, mr=_coarse(subject.mr, 3, middle @ turn @ np.linalg.inv(middle), mode))


def coarse_ct(subject: Subject, other: Subject, number: int) -> Subject:
    """Slices that are three times as thick, each repeated."""
    return replace(subject, ct=_coarse(subject.ct, 3, np.eye(4), "nearest"))


def coarse_labels(subject: Subject, other: Subject, number: int, times: int) -> Subject:
    """Labels made on a coarser grid."""
    assert subject.labels is not None
    return replace(subject, labels=_coarse(subject.labels, times, np.eye(4), "nearest"))
