"""Dice, surface distances, folding: arrays in, numbers out.

Overlap takes two label maps on one grid, what was moved and what it should match. Regularity takes a
displacement [D, H, W, 3] in voxels of its grid, component k along array axis k. The loops are compiled by numba: a
second or two each when they first run on a machine, and from the disk from then on.
"""

from srreg.measure.jacobian import (
    Region,
    Regularity,
    folding_percent,
    folding_percent_published,
    log_jacobian_std,
    nondiffeomorphic_volume_percent,
    regularity,
)
from srreg.measure.structures import Definition, Overlap, dice, hd95, overlap

__all__ = [
    "Definition",
    "Overlap",
    "Region",
    "Regularity",
    "dice",
    "folding_percent",
    "folding_percent_published",
    "hd95",
    "log_jacobian_std",
    "nondiffeomorphic_volume_percent",
    "overlap",
    "regularity",
]
