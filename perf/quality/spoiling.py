"""Faults of masks, labels, grey values and of how MR and CT lie, put into a whole head."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from srreg.geometry import apply_affine, resample
from srreg.subject import Subject
from srreg.volume import LabelMap, Volume

Spoil = Callable[[Subject, Subject, int], Subject]  # a head, the next person's, a number that varies direction


def centre(subject: Subject) -> np.ndarray:
    """The brain's centre of mass in the world, [3]."""
    assert subject.brain is not None
    return apply_affine(subject.brain.affine, np.argwhere(subject.brain.data > 0).mean(axis=0))


def _moved_ct(subject: Subject, way: np.ndarray) -> Subject:
    """The CT seen through `way`, [4, 4]: world of the grid to world of the CT."""
    middle = np.eye(4)
    middle[:3, 3] = centre(subject)
    way = middle @ way @ np.linalg.inv(middle)
    return replace(subject, ct=resample(subject.ct, subject.mr.grid, np.linalg.inv(way), background=-1000.0))


def shifted_ct(subject: Subject, other: Subject, number: int, mm: float) -> Subject:
    """The CT along one axis."""
    way = np.eye(4)
    way[number % 3, 3] = mm * (-1) ** (number // 3)
    return _moved_ct(subject, way)


def turned_ct(subject: Subject, other: Subject, number: int, degrees: float) -> Subject:
    """The CT about one axis through the brain's centre."""
    way = np.eye(4)
    way[:3, :3] = Rotation.from_euler("xyz"[number % 3], degrees * (-1) ** (number // 3), degrees=True).as_matrix()
    return _moved_ct(subject, way)


def flipped_ct(subject: Subject, other: Subject, number: int) -> Subject:
    """The CT's mirror image."""
    return _moved_ct(subject, np.diag([-1.0, 1.0, 1.0, 1.0]))


def other_ct(subject: Subject, other: Subject, number: int) -> Subject:
    """The next person's CT, brain on brain."""
    way = np.eye(4)
    way[:3, 3] = centre(subject) - centre(other)
    return replace(subject, ct=resample(other.ct, subject.mr.grid, way, background=-1000.0))


def _ball(subject: Subject, middle: np.ndarray, radius_mm: float) -> np.ndarray:
    places = np.moveaxis(np.indices(subject.mr.data.shape), 0, -1)
    return np.linalg.norm(apply_affine(subject.mr.affine, places) - middle, axis=-1) < radius_mm


def _with_mask(subject: Subject, mask: np.ndarray) -> Subject:
    assert subject.brain is not None
    return replace(subject, brain=LabelMap(mask.astype(np.int16), subject.brain.affine))


def holed(subject: Subject, other: Subject, number: int) -> Subject:
    """A hole of 24 mm in the mask."""
    assert subject.brain is not None
    side = np.array([25.0 * (-1) ** number, 0, 15])
    return _with_mask(subject, (subject.brain.data > 0) & ~_ball(subject, centre(subject) + side, 12))


def with_eye(subject: Subject, other: Subject, number: int) -> Subject:
    """A ball of an eye's size, its back at the front of the brain."""
    assert subject.brain is not None
    world = apply_affine(subject.brain.affine, np.argwhere(subject.brain.data > 0))
    column = world[(np.abs(world[:, 0] - centre(subject)[0] - 30 * (-1) ** number) < 4)]
    front = column[column[:, 1].argmax()]
    return _with_mask(subject, (subject.brain.data > 0) | _ball(subject, front + np.array([0, 8, 0]), 12))


def shifted_labels(subject: Subject, other: Subject, number: int) -> Subject:
    """The labels by 3 mm along one axis."""
    assert subject.labels is not None
    way = np.eye(4)
    way[number % 3, 3] = 3.0 * (-1) ** (number // 3)
    return replace(subject, labels=resample(subject.labels, subject.mr.grid, way))


def other_hu(subject: Subject, other: Subject, number: int) -> Subject:
    """Another zero of the HU scale."""
    offset = (1024.0, -1024.0, 30.0, -30.0)[number % 4]
    return replace(subject, ct=Volume(subject.ct.data + np.float32(offset), subject.ct.affine))


def half(subject: Subject, other: Subject, number: int) -> Subject:
    """No image on one side (or above, or in front), and so no mask and no labels."""
    assert subject.brain is not None
    assert subject.labels is not None
    world = apply_affine(subject.mr.affine, np.moveaxis(np.indices(subject.mr.data.shape), 0, -1))
    axis = number % 3
    gone = (world[..., axis] - centre(subject)[axis]) * (-1) ** (number // 3) > 0
    images = {name: getattr(subject, name) for name in ("mr", "ct", "brain", "labels")}
    lowest = {"ct": -1000}
    return replace(
        subject,
        **{n: type(i)(np.where(gone, lowest.get(n, 0), i.data).astype(i.data.dtype), i.affine) for n, i in images.items()},
    )


def biased(subject: Subject, other: Subject, number: int) -> Subject:
    """Brightness that falls to a third across the brain."""
    world = apply_affine(subject.mr.affine, np.moveaxis(np.indices(subject.mr.data.shape), 0, -1)) - centre(subject)
    fall = np.exp(np.log(3) * world[..., number % 3] * (-1) ** (number // 3) / 140)
    return replace(subject, mr=Volume((subject.mr.data * fall).astype(np.float32), subject.mr.affine))


def metal(subject: Subject, other: Subject, number: int) -> Subject:
    """A clip of 8 mm on the brain with streaks that fall off over 40 mm."""
    middle = centre(subject) + np.array([50.0 * (-1) ** number, 10, 20])
    from_clip = apply_affine(subject.ct.affine, np.moveaxis(np.indices(subject.ct.data.shape), 0, -1)) - middle
    distance = np.linalg.norm(from_clip, axis=-1)
    streaks = 150 * np.sin(12 * np.arctan2(from_clip[..., 1], from_clip[..., 0])) * np.exp(-distance / 40)
    ct = np.where(distance < 4, 3000, subject.ct.data + streaks * (np.abs(from_clip[..., 2]) < 25))
    return replace(subject, ct=Volume(ct.astype(np.float32), subject.ct.affine))
