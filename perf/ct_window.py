"""What the build's CT window keeps of a real CT: Hounsfield units by tissue, and how much of each lies outside.

python perf/ct_window.py CT.nii.gz LABELS.nii.gz

LABELS: a segmentation, of any grid in the CT's world; the CT is resampled to it linearly. Voxels below -50 HU are left out, as
what lies around a brain that was cut out.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from numpy.typing import NDArray

from srreg import io
from srreg.build.steps.conform import Conform
from srreg.geometry import reorient_to_ras, resample
from srreg.labels import LABELS, merge_sides

_NOT_TISSUE_HU = -50.0
_LOW_HU, _HIGH_HU = Conform("full").ct_window_hu


def main() -> None:
    """Print a table, a row a region."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ct", type=Path)
    parser.add_argument("labels", type=Path)
    options = parser.parse_args()
    labels = merge_sides(reorient_to_ras(io.read_labels(options.labels)))
    ct = resample(reorient_to_ras(io.read_volume(options.ct)), labels.grid).data
    regions = {label.name: labels.data == label.index for label in LABELS if label.index} | {"all": labels.data > 0}
    print("| region | 5 % (HU) | median (HU) | 95 % (HU) | below the window (%) | above (%) |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, region in regions.items():
        print(_row(name, ct[region & (ct > _NOT_TISSUE_HU)]))


def _row(name: str, values: NDArray[np.float32]) -> str:
    if not values.size:
        return f"| {name} | | | | | |"
    low, middle, high = np.percentile(values, (5, 50, 95))
    below, above = (100 * float(outside.mean()) for outside in (values < _LOW_HU, values > _HIGH_HU))
    return f"| {name} | {low:.1f} | {middle:.1f} | {high:.1f} | {below:.2f} | {above:.2f} |"


if __name__ == "__main__":
    main()
