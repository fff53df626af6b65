"""What the paper prints in its tables 1 and 2, as it prints it.

Source: MambaMorph, arXiv:2401.13934 v1. Mean ± standard deviation over its 10 test pairs. Memory is in "Gb", which the
authors' code takes from what CUDA has reserved, in units of 10^9 bytes; times are of an RTX 4090.
"""

from collections.abc import Mapping
from dataclasses import dataclass

SOURCE = "MambaMorph, arXiv:2401.13934v1, Tab. 1 and 2"
PAIRS = 10

# The paper's "% |J| <= 0" is what `folding_published` measures: docs/decisions/0011-metrics.md.
_TABLE_1 = """
method               dice        hd95       folding_published  seconds  memory  parameters
initial              62.42±3.29  3.73±0.41  -                  -        -       -
voxelmorph           70.88±2.99  3.15±0.37  0.17±0.01          0.05     2.58    0.09
transmorph           75.08±2.20  2.76±0.35  0.36±0.04          0.16     6.15    14.29
mambamorph-original  77.84±1.91  2.54±0.35  0.73±0.03          0.15     5.32    7.31
mambamorph           82.71±1.45  2.00±0.22  0.34±0.02          0.27     7.60    7.59
"""
_TABLE_2 = """
method               dice        seconds  memory  parameters
voxelmorph           70.88±2.99  0.05     2.58    0.09
voxelmorph-features  76.94±1.67  0.15     4.33    0.16
transmorph           75.08±2.20  0.16     6.15    14.29
transmorph-features  80.60±1.44  0.27     8.34    14.57
mambamorph-plain     78.98±2.02  0.16     5.41    7.31
mambamorph           82.71±1.45  0.27     7.60    7.59
"""


@dataclass(frozen=True)
class Printed:
    """A printed number, and the standard deviation beside it if there is one."""

    mean: float
    spread: float | None


def _rows(text: str) -> dict[str, dict[str, Printed]]:
    header, *lines = (line.split() for line in text.strip().splitlines())
    return {
        method: {metric: _number(cell) for metric, cell in zip(header[1:], cells, strict=True) if cell != "-"}
        for method, *cells in lines
    }


def _number(cell: str) -> Printed:
    mean, _, spread = cell.partition("±")
    return Printed(float(mean), float(spread) if spread else None)


# Method -> metric -> number. What both tables print is the same in both.
PRINTED: Mapping[str, Mapping[str, Printed]] = _rows(_TABLE_2) | _rows(_TABLE_1)
