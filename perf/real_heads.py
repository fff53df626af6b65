"""What each back end that runs here finds in real heads: seconds, volumes against normal ones, masks against each other.

python perf/real_heads.py REAL_DATA --out found     (run it again to go on; REAL_DATA: as SRREG_REAL_DATA)

The tools get the heads as they are, one thread each. A mask is compared with every other, with the labels' outline (all
labels but the fluid around the brain, holes filled) and, where it came with the head, with `brain.nii.gz`.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from srreg import io
from srreg.backends.protocol import Resources
from srreg.backends.registry import OF_YOUR_OWN, SEGMENTERS, SKULL_STRIPPERS, make
from srreg.errors import SrregError
from srreg.files import write_json
from srreg.geometry import reorient_to_ras
from srreg.labels import LABELS
from srreg.qc.checks import PLAUSIBLE_PERCENT
from srreg.registry import Registry
from srreg.subject import Subject
from srreg.volume import LabelMap

_HEADS = {  # its name here -> the MR
    "1BA001": "Task1/brain/1BA001/mr.nii.gz",
    "1BB001": "Task1/brain/1BB001/mr.nii.gz",
    "1BB001, original grid": "seg3d/mr.nii.gz",
    "studyforrest 02, defaced": "heads/studyforrest_sub02_t1_1mm.nii.gz",
}
_GIVEN = "brain.nii.gz"
_FLUID = 24  # around the brain
_NAMES = {label.index: label.name for label in LABELS}


def main() -> None:
    """Run what is missing, two heads at a time, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("real_data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    heads = {name: options.real_data / place for name, place in _HEADS.items() if (options.real_data / place).is_file()}
    if not heads:
        parser.error(f"{options.real_data} has none of the heads")
    with ThreadPoolExecutor(2) as cores:
        list(cores.map(lambda item: _find(*item, options.out), heads.items()))
    print("\n".join(_masks(heads, options.out)), end="\n\n")
    print("\n".join(_regions(heads, options.out)))


def _find(name: str, mr: Path, out: Path) -> None:
    """Every back end's mask or labels, each written when it is there; a failure is written, too."""
    image = reorient_to_ras(io.read_volume(mr))
    for registry in (SKULL_STRIPPERS, SEGMENTERS):
        for tool in _ready(registry):
            record = out / name / f"{tool}.json"
            if record.is_file():
                continue
            started = time.perf_counter()
            try:
                found = make(registry, tool, Resources(threads=1))(Subject(mr.stem.split(".")[0], mr=image, ct=image))
                failure = ""
                io.write_labels(out / name / f"{tool}.nii.gz", found)
            except SrregError as error:
                failure = str(error)
            write_json(record, {"seconds": time.perf_counter() - started, "failure": failure})
            print(f"{name}: {tool} {failure}", file=sys.stderr, flush=True)


def _ready(registry: Registry[type]) -> list[str]:
    """The tools that need nothing more here."""
    return [tool for tool in registry if tool not in OF_YOUR_OWN and not registry.load(tool)(Resources()).check()]


def _masks(heads: Mapping[str, Path], out: Path) -> Iterator[str]:
    yield "| head | back end | seconds | brain (ml) | mask Dice with |\n| --- | --- | ---: | ---: | --- |"
    for name, mr in heads.items():
        masks = {tool: _outline(labels) for tool, labels in _found(name, out).items()}
        volumes = {
            tool: float(mask.sum()) * _voxel_ml(reorient_to_ras(io.read_volume(mr)).affine) for tool, mask in masks.items()
        }
        drawn = mr.with_name("brain.nii.gz")
        if drawn.is_file():
            masks[_GIVEN] = reorient_to_ras(io.read_labels(drawn)).data > 0
        dice = {frozenset(two): _dice(masks[two[0]], masks[two[1]]) for two in combinations(masks, 2)}
        for tool in volumes:
            record = json.loads((out / name / f"{tool}.json").read_text())
            others = ", ".join(f"{other} {dice[frozenset((tool, other))]:.3f}" for other in masks if other != tool)
            yield f"| {name} | {tool} | {record['seconds']:.0f} | {volumes[tool]:.0f} | {others} |"
        for record in sorted((out / name).glob("*.json")):
            if failure := json.loads(record.read_text())["failure"]:
                yield f"| {name} | {record.stem} | failed: {failure} | | |"


def _regions(heads: Mapping[str, Path], out: Path) -> Iterator[str]:
    """Shares of the labelled brain without fluid, of each segmenter's labels; outside the plausible range in bold."""
    columns = [(name, tool, labels) for name in heads for tool, labels in _found(name, out).items() if tool in SEGMENTERS]
    if not columns:
        return
    yield f"| region | plausible (%) | {' | '.join(f'{name}, {tool} (%)' for name, tool, _ in columns)} |"
    yield f"| --- | ---: | {' | '.join('---:' for _ in columns)} |"
    for index, (low, high) in PLAUSIBLE_PERCENT.items():
        shares = [_share(labels.data, index) for _, _, labels in columns]
        cells = [f"{share:.2f}" if low <= share <= high else f"**{share:.2f}**" for share in shares]
        yield f"| {_NAMES[index]} | {low:g} to {high:g} | {' | '.join(cells)} |"


def _found(name: str, out: Path) -> dict[str, LabelMap]:
    tools = [*SKULL_STRIPPERS, *SEGMENTERS]
    return {tool: io.read_labels(path) for tool in tools if (path := out / name / f"{tool}.nii.gz").is_file()}


def _outline(found: LabelMap) -> NDArray[np.bool_]:
    outline: NDArray[np.bool_] = ndimage.binary_fill_holes((found.data > 0) & (found.data != _FLUID))
    return outline


def _share(labels: NDArray[np.generic], index: int) -> float:
    return 100 * float((labels == index).sum()) / float(np.isin(labels, list(PLAUSIBLE_PERCENT)).sum())


def _voxel_ml(affine: NDArray[np.float64]) -> float:
    return float(abs(np.linalg.det(affine[:3, :3]))) / 1000


def _dice(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


if __name__ == "__main__":
    main()
