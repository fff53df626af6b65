"""The label table of SR-Reg: 19 values, 16 of them scored, each structure's two sides merged.

Values are FreeSurfer's; names too. Source: the SR-Reg release as its users describe it
(19 values 0..28, SynthSeg's set with every right-hand label merged into the left one).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from srreg.errors import DataError
from srreg.volume import LabelMap


@dataclass(frozen=True)
class Label:
    """One row of the table."""

    index: int
    name: str
    is_scored: bool
    colour: str  # "#rrggbb", FreeSurfer's colour table (left side)


LABELS: tuple[Label, ...] = (
    Label(0, "Background", False, "#000000"),
    Label(2, "Cerebral white matter", True, "#f5f5f5"),
    Label(3, "Cerebral cortex", True, "#cd3e4e"),
    Label(4, "Lateral ventricle", True, "#781286"),
    Label(5, "Inferior lateral ventricle", False, "#c43afa"),
    Label(7, "Cerebellum white matter", True, "#dcf8a4"),
    Label(8, "Cerebellum cortex", True, "#e69422"),
    Label(10, "Thalamus", True, "#00760e"),
    Label(11, "Caudate", True, "#7abadc"),
    Label(12, "Putamen", True, "#ec0db0"),
    Label(13, "Pallidum", True, "#0c30ff"),
    Label(14, "3rd ventricle", True, "#ccb68e"),
    Label(15, "4th ventricle", True, "#2acca4"),
    Label(16, "Brain-stem", True, "#779fb0"),
    Label(17, "Hippocampus", True, "#dcd814"),
    Label(18, "Amygdala", True, "#67ffff"),
    Label(24, "CSF", False, "#3c3c3c"),
    Label(26, "Accumbens area", True, "#ffa500"),
    Label(28, "Ventral DC", True, "#a52a2a"),
)
SCORED: tuple[int, ...] = tuple(label.index for label in LABELS if label.is_scored)
INDICES: tuple[int, ...] = tuple(label.index for label in LABELS)

RIGHT_TO_LEFT: Mapping[int, int] = {
    41: 2, 42: 3, 43: 4, 44: 5, 46: 7, 47: 8, 49: 10, 50: 11, 51: 12, 52: 13, 53: 17, 54: 18, 58: 26, 60: 28,
}  # fmt: skip


def remap(labels: LabelMap, table: Mapping[int, int]) -> LabelMap:
    """Replace values; a value the table does not name stays."""
    lookup = np.arange(max(labels.values) + 1, dtype=np.int16)
    for old, new in table.items():
        if old < lookup.size:
            lookup[old] = new
    return LabelMap(lookup[labels.data], labels.affine)


def merge_sides(labels: LabelMap) -> LabelMap:
    """Right-hand FreeSurfer labels become left-hand ones."""
    return remap(labels, RIGHT_TO_LEFT)


def check_known(labels: LabelMap, known: Iterable[int] = INDICES) -> None:
    """Refuse a map with values outside a list.

    Raises:
        DataError: with the unknown values.
    """
    unknown = sorted(set(labels.values) - set(known))
    if unknown:
        raise DataError(f"unknown labels {unknown}; the SR-Reg table has {list(known)}")
