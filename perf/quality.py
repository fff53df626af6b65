"""How many faults the QC checks find, and how many sound subjects they object to.

python -m perf.quality TREE [TREE ...] [--subjects 10] [--size quarter] [--jobs 2]

TREE is what `srreg simulate` wrote: whole heads with the true brain and labels. Every head is taken through the build's
centring and conforming, once as it is and once with each fault put into the whole head, where faults arise: a CT that was
moved is masked afterwards with the MR's brain, so that its skull enters the mask as it would in a build. The affine step and
N4 are left out: they take most of a build's time, and change neither how MR and CT lie on each other nor the labels.

A subject is flagged where any check warns or fails. A Markdown table goes to stdout.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from scipy.spatial.transform import Rotation

from srreg import io
from srreg.build.steps.align import Align
from srreg.build.steps.conform import Conform
from srreg.geometry import apply_affine, reorient_to_ras, resample
from srreg.qc.case import Case
from srreg.qc.checks import examine
from srreg.sources.synthrad import find_cases, read_case
from srreg.subject import Subject
from srreg.volume import LabelMap, Volume

Spoil = Callable[[Subject, Subject, int], Subject]  # a head, the next person's, a number that varies direction


@dataclass(frozen=True)
class Fault:
    """What is put in. Faults that are not gross are at the limit of what one can see."""

    name: str
    spoil: Spoil
    is_gross: bool = True


def _centre(subject: Subject) -> np.ndarray:
    assert subject.brain is not None
    return apply_affine(subject.brain.affine, np.argwhere(subject.brain.data > 0).mean(axis=0))


def _moved_ct(subject: Subject, way: np.ndarray) -> Subject:
    """The CT seen through `way`, [4, 4]: world of the grid to world of the CT."""
    middle = np.eye(4)
    middle[:3, 3] = _centre(subject)
    way = middle @ way @ np.linalg.inv(middle)
    return replace(subject, ct=resample(subject.ct, subject.mr.grid, np.linalg.inv(way), background=-1000.0))


def _shifted_ct(subject: Subject, other: Subject, number: int, mm: float) -> Subject:
    way = np.eye(4)
    way[number % 3, 3] = mm * (-1) ** (number // 3)
    return _moved_ct(subject, way)


def _turned_ct(subject: Subject, other: Subject, number: int, degrees: float) -> Subject:
    way = np.eye(4)
    way[:3, :3] = Rotation.from_euler("xyz"[number % 3], degrees * (-1) ** (number // 3), degrees=True).as_matrix()
    return _moved_ct(subject, way)


def _flipped_ct(subject: Subject, other: Subject, number: int) -> Subject:
    return _moved_ct(subject, np.diag([-1.0, 1.0, 1.0, 1.0]))


def _other_ct(subject: Subject, other: Subject, number: int) -> Subject:
    way = np.eye(4)
    way[:3, 3] = _centre(subject) - _centre(other)
    return replace(subject, ct=resample(other.ct, subject.mr.grid, way, background=-1000.0))


def _ball(subject: Subject, middle: np.ndarray, radius_mm: float) -> np.ndarray:
    places = np.moveaxis(np.indices(subject.mr.data.shape), 0, -1)
    return np.linalg.norm(apply_affine(subject.mr.affine, places) - middle, axis=-1) < radius_mm


def _with_mask(subject: Subject, mask: np.ndarray) -> Subject:
    assert subject.brain is not None
    return replace(subject, brain=LabelMap(mask.astype(np.int16), subject.brain.affine))


def _holed(subject: Subject, other: Subject, number: int) -> Subject:
    assert subject.brain is not None
    side = np.array([25.0 * (-1) ** number, 0, 15])
    return _with_mask(subject, (subject.brain.data > 0) & ~_ball(subject, _centre(subject) + side, 12))


def _with_eye(subject: Subject, other: Subject, number: int) -> Subject:
    """A ball of an eye's size, its back at the front of the brain."""
    assert subject.brain is not None
    world = apply_affine(subject.brain.affine, np.argwhere(subject.brain.data > 0))
    column = world[(np.abs(world[:, 0] - _centre(subject)[0] - 30 * (-1) ** number) < 4)]
    front = column[column[:, 1].argmax()]
    return _with_mask(subject, (subject.brain.data > 0) | _ball(subject, front + np.array([0, 8, 0]), 12))


def _shifted_labels(subject: Subject, other: Subject, number: int) -> Subject:
    assert subject.labels is not None
    way = np.eye(4)
    way[number % 3, 3] = 3.0 * (-1) ** (number // 3)
    return replace(subject, labels=resample(subject.labels, subject.mr.grid, way))


def _other_hu(subject: Subject, other: Subject, number: int) -> Subject:
    offset = (1024.0, -1024.0, 30.0, -30.0)[number % 4]
    return replace(subject, ct=Volume(subject.ct.data + np.float32(offset), subject.ct.affine))


def _half(subject: Subject, other: Subject, number: int) -> Subject:
    """No image on one side (or above, or in front), and so no mask and no labels."""
    assert subject.brain is not None
    assert subject.labels is not None
    world = apply_affine(subject.mr.affine, np.moveaxis(np.indices(subject.mr.data.shape), 0, -1))
    axis = number % 3
    gone = (world[..., axis] - _centre(subject)[axis]) * (-1) ** (number // 3) > 0
    images = {name: getattr(subject, name) for name in ("mr", "ct", "brain", "labels")}
    lowest = {"ct": -1000}
    return replace(
        subject,
        **{n: type(i)(np.where(gone, lowest.get(n, 0), i.data).astype(i.data.dtype), i.affine) for n, i in images.items()},
    )


def _biased(subject: Subject, other: Subject, number: int) -> Subject:
    """Brightness that falls to a third across the brain."""
    world = apply_affine(subject.mr.affine, np.moveaxis(np.indices(subject.mr.data.shape), 0, -1)) - _centre(subject)
    fall = np.exp(np.log(3) * world[..., number % 3] * (-1) ** (number // 3) / 140)
    return replace(subject, mr=Volume((subject.mr.data * fall).astype(np.float32), subject.mr.affine))


def _metal(subject: Subject, other: Subject, number: int) -> Subject:
    """A clip of 8 mm on the brain with streaks that fall off over 40 mm."""
    middle = _centre(subject) + np.array([50.0 * (-1) ** number, 10, 20])
    from_clip = apply_affine(subject.ct.affine, np.moveaxis(np.indices(subject.ct.data.shape), 0, -1)) - middle
    distance = np.linalg.norm(from_clip, axis=-1)
    streaks = 150 * np.sin(12 * np.arctan2(from_clip[..., 1], from_clip[..., 0])) * np.exp(-distance / 40)
    ct = np.where(distance < 4, 3000, subject.ct.data + streaks * (np.abs(from_clip[..., 2]) < 25))
    return replace(subject, ct=Volume(ct.astype(np.float32), subject.ct.affine))


FAULTS = (
    *(Fault(f"CT shifted {mm} mm", partial(_shifted_ct, mm=mm), mm > 3) for mm in (3, 5, 10)),
    *(Fault(f"CT turned {degrees}°", partial(_turned_ct, degrees=degrees), degrees > 3) for degrees in (3, 5, 10)),
    Fault("CT flipped left-right", _flipped_ct),
    Fault("CT of another person", _other_ct),
    Fault("hole in the mask", _holed),
    Fault("eye in the mask", _with_eye),
    Fault("labels shifted 3 mm", _shifted_labels, is_gross=False),
    Fault("HU off by 30 or 1024", _other_hu),
    Fault("half the head missing", _half),
    Fault("MR falls to a third", _biased),
    Fault("metal", _metal),
)


def _head(tree: Path, number: int) -> Subject:
    case = find_cases(tree)[number]
    subject = read_case(case)
    regions = {part: reorient_to_ras(io.read_labels(case.file(part))) for part in ("brain", "labels")}
    return replace(subject, **regions)


def objections(tree: Path, number: int, next_number: int, size: str) -> dict[str, list[str]]:
    """Fault ("" is none) -> the checks that object, of one head."""
    head, other = _head(tree, number), _head(tree, next_number)
    heads = {"": head} | {fault.name: fault.spoil(head, other, number) for fault in FAULTS}
    return {name: _objections(spoilt, size) for name, spoilt in heads.items()}


def _objections(head: Subject, size: str) -> list[str]:
    assert head.brain is not None
    built = Conform(size)(Align("center")(head))  # type: ignore[arg-type]
    found = examine(Case(built, head.brain.volume_ml(), is_in_frame=True))
    return [f"{f.check} {f.value:.2f}" for f in found if f.verdict in ("warn", "fail")]


def _row(name: str, seen: Sequence[Sequence[str]], is_gross: bool) -> str:
    flagged = [objections for objections in seen if objections]
    by = Counter(objection.rpartition(" ")[0] for objections in seen for objection in objections)
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
