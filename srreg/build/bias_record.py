"""The MR's bias field, as a sidecar keeps it: a few knots, so that a report can show the MR as it was before."""

from collections.abc import Mapping

import numpy as np

from srreg.errors import DataError
from srreg.geometry import resample
from srreg.subject import Subject
from srreg.volume import Grid, Volume

_KNOT_MM = 16.0  # N4's own finest knots lie farther apart
_LEAST = 1e-3  # nor is the MR divided by less


def record_bias(subject: Subject) -> dict[str, object] | None:
    """The field at knots over the data set's grid, as JSON holds it; None where there is no field.

    Args:
        subject: with everything on the data set's grid, but for `bias`, which lies where N4 found it.
    """
    if subject.bias is None:
        return None
    knots = resample(subject.bias, _knots(subject.mr.grid), subject.to_reference, background=None)
    slabs = [
        " ".join(f"{max(value, _LEAST):.4g}" for value in slab.reshape(-1)) for slab in knots.data
    ]  # a line each: JSON would give a number one
    return {"KnotMm": _KNOT_MM, "Shape": list(knots.data.shape), "Slabs": slabs}


def bias_from_record(record: object, grid: Grid) -> Volume:
    """The field on the data set's grid, linear between the knots.

    Raises:
        DataError: it is not what `record_bias` gives for this grid.
    """
    knots = _knots(grid)
    try:
        assert isinstance(record, Mapping)
        values = np.array([slab.split() for slab in record["Slabs"]], np.float32).reshape(record["Shape"])
    except (AssertionError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError("expected the knots of a bias field") from error
    if values.shape != knots.shape or not (np.isfinite(values).all() and values.min() > 0):
        raise DataError(f"expected {knots.shape} finite knots above 0 of a bias field, got {values.shape}")
    return resample(Volume(values, knots.affine), grid, background=None)


def _knots(grid: Grid) -> Grid:
    """Knots from the first voxel of each axis on, the last at or behind its last voxel."""
    spacing_mm = np.array(grid.spacing_mm)
    counts = np.ceil((np.array(grid.shape) - 1) * spacing_mm / _KNOT_MM).astype(int) + 1
    affine = grid.affine @ np.diag([*(_KNOT_MM / spacing_mm), 1.0])
    return Grid((int(counts[0]), int(counts[1]), int(counts[2])), affine)
