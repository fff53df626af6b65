"""How many faults the QC checks find, and how many sound subjects they object to.

python -m perf.quality TREE [TREE ...] [--subjects 10] [--size quarter] [--jobs 2]

TREE is what `srreg simulate` wrote: whole heads with the true brain and labels. Every head is measured, centred and conformed
as in the build, once as it is and once with each fault put into the whole head, where faults arise: a CT that was moved is
masked afterwards with the MR's brain, so that its skull enters the mask as it would in a build. In the place of the affine,
which takes most of a build's time, each head is turned and scaled by an amount of its own: were voxels laid on voxels, labels
would all be rounded one way. N4 is left out: it changes neither how MR and CT lie on each other nor the labels.

A subject is flagged where any check warns or fails. A Markdown table goes to stdout.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from perf.quality.faults import FAULTS
from perf.quality.spoiling import centre
from srreg import io
from srreg.build.head_measures import measure_head
from srreg.build.steps.align import Align
from srreg.build.steps.conform import Conform
from srreg.geometry import apply_affine, reorient_to_ras
from srreg.qc.case import Case
from srreg.qc.checks import examine
from srreg.sources.synthrad import find_cases, read_case
from srreg.subject import Subject


def head_of(tree: Path, number: int) -> Subject:
    """A simulated head, whole, with its true brain and labels, in RAS."""
    case = find_cases(tree)[number]
    subject = read_case(case)
    regions = {part: reorient_to_ras(io.read_labels(case.file(part))) for part in ("brain", "labels")}
    return replace(subject, **regions)


def objections(tree: Path, number: int, next_number: int, size: str) -> dict[str, list[str]]:
    """Fault ("" is none) -> the checks that object, of one head."""
    head, other = head_of(tree, number), head_of(tree, next_number)
    clean = _objections(head, size, number)
    spoilt = {fault.name: _objections(fault.spoil(head, other, number), size, number) for fault in FAULTS}
    return {"": clean} | {name: _but_for(clean, found) for name, found in spoilt.items()}


def _but_for(clean: list[str], found: list[str]) -> list[str]:
    """Without the checks that object to the sound head: they found no fault."""
    known = {_check_of(objection) for objection in clean}
    return [objection for objection in found if _check_of(objection) not in known]


def _check_of(objection: str) -> str:
    return objection.rpartition(" ")[0]


def _objections(head: Subject, size: str, number: int) -> list[str]:
    assert head.brain is not None
    built = Conform(size)(_aligned(head, number))  # type: ignore[arg-type]
    found = examine(Case(built, head.brain.volume_ml(), is_in_frame=True, head=measure_head(head)))
    return [f"{f.check} {f.value:.2f}" for f in found if f.verdict in ("warn", "fail")]


def _aligned(head: Subject, number: int) -> Subject:
    """Brain on the template's brain, turned by 2 to 5 degrees about each axis and scaled by up to 5 %."""
    centred, rng = Align("center")(head), np.random.default_rng(number)
    angles = rng.choice([-1, 1], 3) * rng.uniform(2, 5, 3)
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() * rng.uniform(0.95, 1.05, 3)
    middle = np.eye(4)
    middle[:3, 3] = apply_affine(centred.to_reference, centre(head)[None])[0]
    return replace(centred, to_reference=middle @ turn @ np.linalg.inv(middle) @ centred.to_reference)


def _row(name: str, seen: Sequence[Sequence[str]], is_gross: bool) -> str:
    flagged = [objections for objections in seen if objections]
    by = Counter(_check_of(objection) for objections in seen for objection in objections)
    told = ", ".join(f"{check} {count}" for check, count in by.most_common(4))
    return f"| {name} | {'yes' if is_gross else ''} | {len(flagged)} of {len(seen)} | {told} |"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trees", type=Path, nargs="+")
    parser.add_argument("--subjects", type=int, default=10, help="of each tree")
    parser.add_argument("--size", choices=("full", "half", "quarter"), default="quarter")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--verbose", action="store_true", help="each clean subject that is flagged, and each fault that is not")
    given = parser.parse_args()
    counts = {tree: min(len(find_cases(tree)), given.subjects) for tree in given.trees}
    jobs = [(tree, n, (n + 1) % count, given.size) for tree, count in counts.items() for n in range(count)]
    with ProcessPoolExecutor(given.jobs) as pool:
        found = [*pool.map(objections, *zip(*jobs, strict=True))]
    print("| put in | gross | flagged | by |\n| --- | --- | ---: | --- |")
    print(_row("nothing", [seen[""] for seen in found], False))
    for fault in FAULTS:
        print(_row(fault.name, [seen[fault.name] for seen in found], fault.is_gross))
    if given.verbose:
        for (tree, number, *_), seen in zip(jobs, found, strict=True):
            missed = [fault.name for fault in FAULTS if not seen[fault.name]]
            print(f"{tree.name} {number}: clean {seen['']}; missed {missed}", file=sys.stderr)


if __name__ == "__main__":
    main()
