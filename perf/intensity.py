"""N4 at several voxel sizes and from two libraries: what is left of the bias in white matter, and what it costs.

python perf/intensity.py HEAD.nii.gz LABELS.nii.gz [HEAD LABELS ...] [--working-mm 6 4 2]

LABELS: a segmentation of the head on its own grid, 2 (and 41) being cerebral white matter; the brain is where a label stands.
Spread is the distance between the quartiles over the median; unevenness that of the medians of the brain's octants, over
their mean (the check `mr-evenness` of the report). One core a tool.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from numpy.typing import NDArray

from srreg import io
from srreg.build.steps.correct_intensity import CorrectIntensity
from srreg.geometry import reorient_to_ras, resample, to_ants
from srreg.subject import Subject
from srreg.volume import LabelMap, Volume

Evened = Callable[[Volume, LabelMap], Volume]

_WHITE = (2, 41)
_FEWEST = 60  # voxels of an octant


def ours(working_mm: float) -> Evened:
    """The build's step: SimpleITK's N4 on a coarse grid, the field brought back linearly."""

    def even(mr: Volume, brain: LabelMap) -> Volume:
        bias = CorrectIntensity(working_mm=working_mm)(Subject("head", mr=mr, ct=mr, brain=brain)).bias
        assert bias is not None
        return Volume(mr.data / resample(bias, mr.grid, background=None).data, mr.affine)

    return even


def ants_n4(mr: Volume, brain: LabelMap) -> Volume:
    """ANTs' N4 with its defaults in antspyx: shrink factor 4, its own spline distance."""
    import ants

    mask = to_ants(Volume(brain.data.astype(np.float32), brain.affine))
    return Volume(ants.n4_bias_field_correction(to_ants(mr), mask=mask, shrink_factor=4).numpy(), mr.affine)


def _rows(mr: Volume, labels: LabelMap, sizes: list[float]) -> Iterator[str]:
    if not labels.grid.matches(mr.grid):
        raise SystemExit(f"labels must lie on the head's grid, got {labels.grid} and {mr.grid}")
    brain, white = LabelMap(labels.data > 0, mr.affine), np.isin(labels.data, _WHITE)  # rounded grids trouble antspyx
    yield _row("as it is", mr.data, white, 0.0)
    tools: dict[str, Evened] = {f"SimpleITK, {size:g} mm": ours(size) for size in sizes} | {"antspyx, shrink factor 4": ants_n4}
    for name, tool in tools.items():
        started = perf_counter()
        yield _row(name, tool(mr, brain).data, white, perf_counter() - started)


def _row(name: str, image: NDArray[np.float32], white: NDArray[np.bool_], seconds: float) -> str:
    places, values = np.argwhere(white), image[white]
    low, middle, high = np.percentile(values, (25, 50, 75))
    octants = ((places > places.mean(axis=0)) * [1, 2, 4]).sum(axis=1)
    medians = [float(np.median(values[octants == k])) for k in range(8) if (octants == k).sum() >= _FEWEST]
    unevenness = (max(medians) - min(medians)) / np.mean(medians)
    return f"| {name} | {100 * (high - low) / middle:.1f} | {100 * unevenness:.1f} | {seconds:.1f} |"


def main() -> None:
    """Print a table a head."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--working-mm", type=float, nargs="+", default=[6.0, 4.0, 2.0])
    options = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1"}  # ITK is not loaded yet
    for head, labels in zip(options.files[::2], options.files[1::2], strict=True):
        print(f"\n{head.name}\n\n| N4 | spread of white matter (%) | unevenness (%) | seconds |\n| --- | ---: | ---: | ---: |")
        for row in _rows(reorient_to_ras(io.read_volume(head)), reorient_to_ras(io.read_labels(labels)), options.working_mm):
            print(row, flush=True)


if __name__ == "__main__":
    main()
