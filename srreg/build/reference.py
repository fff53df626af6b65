"""The common frame: the ICBM 152 2009a T1 (its brain), and the grids of the data set in it.

The template ships inside the nilearn wheel, so nothing is downloaded. Source: Fonov et al. 2009,
doi:10.1016/S1053-8119(09)70884-5.
"""

import importlib.util
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np

from srreg import io
from srreg.errors import BackendUnavailable
from srreg.volume import Grid, Volume

Size = Literal["full", "half", "quarter"]

_TEMPLATE = "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"
# The middle of the template's brain box, mm: x -72..72, y -107..73, z -72..82.
_CENTRE_MM = np.array([0.0, -17.0, 5.0])
# Shapes are multiples of 16, as the networks need them; `full` is the paper's, in array order.
_GRIDS: dict[Size, tuple[tuple[int, int, int], float]] = {
    "full": ((176, 208, 192), 1.0),
    "half": ((96, 112, 96), 2.0),
    "quarter": ((48, 64, 48), 4.0),
}


def grid_of(size: Size) -> Grid:
    """The grid every subject of a data set ends on (RAS, centred on the template's brain)."""
    shape, spacing_mm = _GRIDS[size]
    affine = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    affine[:3, 3] = _CENTRE_MM - spacing_mm * (np.array(shape) - 1) / 2
    return Grid(shape, affine)


@cache
def template() -> Volume:
    """The T1 of the template's brain at 1 mm (RAS); 0 outside the brain.

    Raises:
        BackendUnavailable: nilearn is not installed.
    """
    spec = importlib.util.find_spec("nilearn")
    folders = [] if spec is None else list(spec.submodule_search_locations or [])
    for folder in folders:
        path = Path(folder) / "datasets" / "data" / _TEMPLATE
        if path.is_file():
            return io.read_volume(path)
    raise BackendUnavailable(f"the common frame ({_TEMPLATE}) comes with nilearn: pip install 'nilearn>=0.11'")
