"""Dice, surface distances, folding: arrays in, numbers out.

Dice and HD95 take two label maps on one grid, what was moved and what it should match. Folding takes a
displacement [D, H, W, 3] in voxels of its grid, component k along array axis k.
"""

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from srreg.errors import DataError, UsageError

Definition = Literal["pooled", "max"]

_Box = tuple[slice, slice, slice]
_CROSS = ndimage.generate_binary_structure(3, 1)  # a voxel and its six neighbours


def dice(moved_labels: NDArray[np.integer], fixed_labels: NDArray[np.integer], labels: Iterable[int]) -> dict[int, float]:
    """Overlap of each label: 2 |A and B| / (|A| + |B|).

    Args:
        moved_labels: [D, H, W], whole numbers from 0.
        fixed_labels: [D, H, W] on the same grid.
        labels: which to score.

    Returns:
        label -> value in [0, 1]; `nan` where it is absent from both maps.

    Raises:
        DataError: two shapes, or values that are not whole numbers from 0.
    """
    moved, fixed = _checked(moved_labels, fixed_labels)
    wanted = list(labels)
    size = max(wanted, default=0) + 1
    both = np.bincount(moved[moved == fixed], minlength=size)
    total = np.bincount(moved.reshape(-1), minlength=size)[:size] + np.bincount(fixed.reshape(-1), minlength=size)[:size]
    return {label: float(2 * both[label] / total[label]) if total[label] else float("nan") for label in wanted}


def hd95(
    moved_labels: NDArray[np.integer],
    fixed_labels: NDArray[np.integer],
    labels: Iterable[int],
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0),
    definition: Definition = "pooled",
) -> dict[int, float]:
    """Robust Hausdorff distance of each label: the 95th percentile of the distances between two surfaces.

    A surface is the voxels of a label that have one of their six neighbours outside it; what is outside the
    volume counts as outside the label. Percentiles are interpolated linearly.

    Args:
        moved_labels: [D, H, W], whole numbers from 0.
        fixed_labels: [D, H, W] on the same grid.
        labels: which to score.
        spacing_mm: edge lengths of a voxel along the array axes.
        definition: `pooled`, one percentile of both directed sets together (the paper's script, MedPy), or `max`,
            the larger of the two directed percentiles (MONAI).

    Returns:
        label -> mm; `nan` where it is absent from both maps, the volume's diagonal where it is absent from one.

    Raises:
        DataError: two shapes, or values that are not whole numbers from 0.
        UsageError: another definition.
    """
    if definition not in ("pooled", "max"):
        raise UsageError(f"HD95 is defined as 'pooled' or 'max', not as {definition!r}")
    moved, fixed = _checked(moved_labels, fixed_labels)
    moved_boxes, fixed_boxes = _boxes(moved), _boxes(fixed)
    diagonal_mm = float(np.linalg.norm(np.array(moved.shape) * spacing_mm))
    found: dict[int, float] = {}
    for label in labels:
        boxes = [b for b in (moved_boxes.get(label), fixed_boxes.get(label)) if b is not None]
        if len(boxes) == 2:
            box = _joint(*boxes)
            found[label] = _robust_distance(moved[box] == label, fixed[box] == label, spacing_mm, definition)
        else:
            found[label] = diagonal_mm if boxes else float("nan")
    return found


def _checked(moved_labels: NDArray[Any], fixed_labels: NDArray[Any]) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    if moved_labels.shape != fixed_labels.shape or moved_labels.ndim != 3:
        raise DataError(f"expected two label maps [D, H, W] on one grid, got {moved_labels.shape} and {fixed_labels.shape}")
    return _whole(moved_labels), _whole(fixed_labels)


def _whole(labels: NDArray[Any]) -> NDArray[np.integer]:
    whole: NDArray[np.integer] = labels.astype(np.uint8) if labels.dtype == np.bool_ else labels
    if not np.issubdtype(whole.dtype, np.integer) or (whole.size and whole.min() < 0):
        raise DataError(f"expected labels that are whole numbers from 0, got {labels.dtype} from {labels.min()}")
    return whole


def _boxes(labels: NDArray[np.integer]) -> dict[int, _Box]:
    """The smallest box around every label that occurs, background 0 too."""
    found = ndimage.find_objects(labels.astype(np.int32) + 1)  # + 1: it leaves 0 out
    return {label: box for label, box in enumerate(found) if box is not None}


def _joint(first: _Box, second: _Box) -> _Box:
    d, h, w = (slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(first, second, strict=True))
    return d, h, w


def _robust_distance(
    moved: NDArray[np.bool_], fixed: NDArray[np.bool_], spacing_mm: tuple[float, float, float], definition: Definition
) -> float:
    """HD95 of two masks in mm, neither of them empty.

    Cropped to their joint box, for nothing beyond it belongs to either.
    """
    moved_surface, fixed_surface = _surface(moved), _surface(fixed)
    there = ndimage.distance_transform_edt(~fixed_surface, sampling=spacing_mm)[moved_surface]
    back = ndimage.distance_transform_edt(~moved_surface, sampling=spacing_mm)[fixed_surface]
    if definition == "pooled":
        return float(np.percentile(np.concatenate([there, back]), 95))
    return float(max(np.percentile(there, 95), np.percentile(back, 95)))


def _surface(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    inner: NDArray[np.bool_] = ndimage.binary_erosion(mask, _CROSS, border_value=0)
    return mask ^ inner


def folding_percent(displacement: NDArray[np.floating]) -> float:
    """Share of voxels at which the mapping x -> x + u(x) folds: det(I + grad u) <= 0.

    Central differences, one-sided at the borders (`numpy.gradient`); every voxel of the grid counts.

    Args:
        displacement: [D, H, W, 3], voxels; component k along array axis k.

    Returns:
        Percent.

    Raises:
        DataError: another shape, an axis of one voxel, or vectors that are not finite.
    """
    u = _checked_field(displacement)
    rows = [list(np.gradient(u[..., k])) for k in range(3)]
    for k in range(3):
        rows[k][k] += 1
    return float(100 * np.mean(_determinant(rows) <= 0))


def folding_percent_published(displacement: NDArray[np.floating]) -> float:
    """The share that the authors' script reports: only for comparison with the paper's table 1.

    The script hands the array to `SimpleITK.DisplacementFieldJacobianDeterminant` without reversing the
    components, so component c is paired with array axis 2 - c; it is not the Jacobian of the field. It counts
    det < 0, with ITK's central differences, which repeat the last voxel beyond the border.

    Args:
        displacement: [D, H, W, 3], voxels; component k along array axis k.

    Returns:
        Percent.

    Raises:
        DataError: another shape, an axis of one voxel, or vectors that are not finite.
    """
    u = _checked_field(displacement)
    rows = [[_central_difference(u[..., c], axis) for axis in (2, 1, 0)] for c in range(3)]
    for c in range(3):
        rows[c][c] += 1
    return float(100 * np.mean(_determinant(rows) < 0))


def _checked_field(displacement: NDArray[np.floating]) -> NDArray[np.float64]:
    if displacement.ndim != 4 or displacement.shape[3] != 3 or min(displacement.shape[:3]) < 2:
        raise DataError(f"expected a displacement [D, H, W, 3] of two voxels or more an axis, got {displacement.shape}")
    if not np.isfinite(displacement).all():
        raise DataError(f"{np.count_nonzero(~np.isfinite(displacement))} components of the displacement are not finite")
    return displacement.astype(np.float64)


def _central_difference(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """(f[i + 1] - f[i - 1]) / 2, the last voxel repeated beyond the border."""
    lines = np.moveaxis(values, axis, 0)
    difference = np.empty_like(lines)
    difference[1:-1] = (lines[2:] - lines[:-2]) / 2
    difference[0] = (lines[1] - lines[0]) / 2
    difference[-1] = (lines[-1] - lines[-2]) / 2
    return np.moveaxis(difference, 0, axis)


def _determinant(rows: list[list[NDArray[np.float64]]]) -> NDArray[np.float64]:
    """Determinant of a 3 x 3 matrix at every voxel."""
    (a, b, c), (d, e, f), (g, h, i) = rows
    return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
