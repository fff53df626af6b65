"""Seconds and peak memory of the metrics at 192 x 208 x 176, beside the tools they are equal to, in one run.

python -m venv /tmp/peers
/tmp/peers/bin/pip install -c constraints.txt numba scipy torch psutil nibabel monai==1.6.1 medpy==0.5.2
/tmp/peers/bin/pip install --no-deps digital-diffeomorphism==1.1.1     # asks for numpy below 2, and works with this one
/tmp/peers/bin/python perf/metrics.py [--label-maps DIR] [--spacing 1 1 1] [--repeats 3] [--without medpy]

The fixed map has 32 labels: the largest ones up to 99 (FreeSurfer's of the brain) of the first map in DIR, or a parcellation of
an ellipsoid; the moved map is the fixed one, warped. The field is smooth and folds. Every tool runs in a process of its own,
once on a small input to warm up (ours compiles there), then on the full one: memory is the growth of the resident peak in
the first call, seconds are medians. On a busy machine compare CPU seconds: those of all threads. Tables go to stdout.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from scipy import ndimage

from benchmark.clock import Cost, timed

SHAPE = (192, 208, 176)
LABELS = range(1, 33)
Answer = Mapping[str, float]


def main() -> None:
    """Measure all, or the one tool asked for."""
    options = _options()
    if options.case:
        print(json.dumps(_measure(options.case, Path(options.inputs), options.repeats, tuple(options.spacing))))
        return
    with tempfile.TemporaryDirectory() as folder:
        inputs = Path(folder)
        np.save(inputs / "fixed.npy", _parcels() if options.label_maps is None else _read(options.label_maps))
        np.save(inputs / "moved.npy", _warped(np.load(inputs / "fixed.npy")))
        np.save(inputs / "field.npy", _smooth(np.random.default_rng(2), cells=8, amplitude=3.0))
        found = {name: _child(name, inputs, options) for name in CASES if name not in options.without}
    print(f"{SHAPE}, spacing {options.spacing} mm, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for ours, others in PEERS.items():
        _print_table({name: found[name] for name in (ours, *others) if name in found})


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--label-maps", type=Path, help="folder of whole-head label maps")
    parser.add_argument("--spacing", type=float, nargs=3, default=(1.0, 1.0, 1.0), help="of a voxel, in mm")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--without", nargs="*", default=(), help="tools to leave out: medpy takes half a minute a call")
    parser.add_argument("--case", help=argparse.SUPPRESS)  # in the child process
    parser.add_argument("--inputs", help=argparse.SUPPRESS)
    return parser.parse_args()


def _child(name: str, inputs: Path, options: argparse.Namespace) -> dict[str, object]:
    repeats = 1 if name == "medpy" else options.repeats
    asked = ["--case", name, "--inputs", str(inputs), "--repeats", str(repeats), "--spacing", *map(str, options.spacing)]
    told = subprocess.run(
        [sys.executable, "-W", "ignore", __file__, *asked], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    found: dict[str, object] = json.loads(told.splitlines()[-1])
    return found


def _measure(name: str, inputs: Path, repeats: int, spacing: tuple[float, float, float]) -> dict[str, object]:
    moved, fixed, field = (np.load(inputs / f"{what}.npy") for what in ("moved", "fixed", "field"))
    middle = tuple(slice(n // 2, n // 2 + 12) for n in SHAPE)
    _, warm_up, _ = _clocked(name, moved[middle].copy(), fixed[middle].copy(), field[middle].copy(), spacing)
    calls = [_clocked(name, moved, fixed, field, spacing) for _ in range(repeats)]
    return {
        "wall": statistics.median(cost.seconds for _, cost, _ in calls),
        "cpu": statistics.median(cpu for *_, cpu in calls),
        "mib": 1024 * calls[0][1].peak_gib,
        "warm-up": warm_up.seconds,
        "answer": calls[0][0],
    }


def _clocked(name: str, *inputs: object) -> tuple[dict[str, Answer], Cost, float]:
    """The answer, its cost, and the CPU seconds of all threads."""
    before = time.process_time()
    answer, cost = timed(lambda: CASES[name](*inputs), "cpu")
    return answer, cost, time.process_time() - before


def _print_table(found: Mapping[str, Mapping[str, object]]) -> None:
    ours = next(iter(found.values()))
    print(f"\nFirst call of ours on a small input, which compiles or reads what was compiled: {ours['warm-up']:.1f} s.\n")
    print("| tool | seconds | CPU seconds | extra MiB | slower | by CPU | largest difference | mean |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, row in found.items():
        ratios = " | ".join(f"{row[clock] / ours[clock]:.1f} x" for clock in ("wall", "cpu"))  # type: ignore[operator]
        cells = f"{row['wall']:.4f} | {row['cpu']:.4f} | {row['mib']:.0f} | {ratios}"
        print(f"| {name} | {cells} | {_difference(ours['answer'], row['answer']):.1e} | {_mean(row['answer'])} |")


def _difference(ours: Mapping[str, Answer], theirs: Mapping[str, Answer]) -> float:
    """Of what both tell."""
    return max(abs(ours[what][key] - theirs[what][key]) for what in ours.keys() & theirs.keys() for key in theirs[what])


def _mean(answer: Mapping[str, Answer]) -> str:
    return ", ".join(f"{what} {np.mean(list(values.values())):.6g}" for what, values in answer.items())


# --- inputs ------------------------------------------------------------------------------------------------------


def _smooth(rng: np.random.Generator, cells: int, amplitude: float) -> np.ndarray:
    """A field [D, H, W, 3] with an independent vector every so many voxels, linear between them."""
    coarse = [rng.normal(scale=amplitude, size=[n // cells for n in SHAPE]) for _ in range(3)]
    return np.stack([ndimage.zoom(component, cells, order=1) for component in coarse], axis=-1).astype(np.float32)


def _warped(labels: np.ndarray) -> np.ndarray:
    field = _smooth(np.random.default_rng(1), cells=16, amplitude=2.5)
    return ndimage.map_coordinates(labels, np.indices(SHAPE) + np.moveaxis(field, 3, 0), order=0)


def _parcels() -> np.ndarray:
    """An ellipsoid as large as a head's brain, each voxel with the nearest of 32 seeds."""
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(*[(np.arange(n) - n / 2) / (0.38 * n) for n in SHAPE], indexing="ij"))
    seeds = rng.normal(size=(len(LABELS), 3))
    seeds *= rng.random((len(LABELS), 1)) ** (1 / 3) / np.linalg.norm(seeds, axis=1, keepdims=True)
    away = [sum((g - s) ** 2 for g, s in zip(grid, seed, strict=True)) for seed in seeds]
    return np.where(np.sum(grid**2, axis=0) < 1, np.argmin(away, axis=0) + 1, 0).astype(np.int16)


def _read(folder: Path) -> np.ndarray:
    """The largest 32 labels of the first map, around their middle."""
    import nibabel

    whole = np.asarray(nibabel.load(sorted(folder.glob("*.nii*"))[0]).dataobj).astype(np.int16)
    sizes = np.bincount(whole[(whole > 0) & (whole < 100)])
    numbers = np.zeros(whole.max() + 1, np.int16)
    numbers[np.argsort(-sizes, kind="stable")[: len(LABELS)]] = LABELS
    labels = numbers[whole]
    found = np.argwhere(labels)
    low = [
        int(np.clip((a + b - n) // 2, 0, m - n))
        for a, b, n, m in zip(found.min(0), found.max(0), SHAPE, labels.shape, strict=True)
    ]
    return labels[tuple(slice(a, a + n) for a, n in zip(low, SHAPE, strict=True))].copy()


# --- tools -------------------------------------------------------------------------------------------------------


def _ours_overlap(
    moved: np.ndarray, fixed: np.ndarray, field: np.ndarray, spacing: tuple[float, float, float]
) -> dict[str, Answer]:
    from srreg import measure

    found = measure.overlap(moved, fixed, LABELS, spacing)
    return {
        "Dice": {str(label): one.dice for label, one in found.items() if not one.is_absent},
        "HD95 pooled": {str(label): one.hd95_pooled_mm for label, one in found.items() if not one.is_absent},
        "HD95 max": {str(label): one.hd95_max_mm for label, one in found.items() if not one.is_absent},
    }


def _monai(moved: np.ndarray, fixed: np.ndarray, field: np.ndarray, spacing: tuple[float, float, float]) -> dict[str, Answer]:
    import torch
    from monai.metrics import compute_dice, compute_hausdorff_distance

    one_hot = [torch.from_numpy(np.stack([labels == label for label in LABELS])[None]) for labels in (moved, fixed)]
    dice = compute_dice(*one_hot, include_background=True)[0]
    hd95 = compute_hausdorff_distance(*one_hot, include_background=True, percentile=95, spacing=list(spacing))[0]
    return {
        "Dice": {str(label): float(dice[n]) for n, label in enumerate(LABELS)},
        "HD95 max": {str(label): float(hd95[n]) for n, label in enumerate(LABELS)},
    }


def _medpy(moved: np.ndarray, fixed: np.ndarray, field: np.ndarray, spacing: tuple[float, float, float]) -> dict[str, Answer]:
    from medpy.metric.binary import dc, hd95

    pairs = {
        str(label): (moved == label, fixed == label) for label in LABELS if (moved == label).any() and (fixed == label).any()
    }
    return {
        "Dice": {label: float(dc(*pair)) for label, pair in pairs.items()},
        "HD95 pooled": {label: float(hd95(*pair, spacing)) for label, pair in pairs.items()},
    }


def _ours(function: str, what: str) -> Callable[..., dict[str, Answer]]:
    def call(moved: np.ndarray, fixed: np.ndarray, field: np.ndarray, spacing: object) -> dict[str, Answer]:
        from srreg import measure

        return {what: {"%": getattr(measure, function)(field)}}

    return call


def _ours_regularity(moved: np.ndarray, fixed: np.ndarray, field: np.ndarray, spacing: object) -> dict[str, Answer]:
    from srreg import measure

    found = measure.regularity(field)["whole"]
    return {"folding": {"%": found.folding_percent}, "NDV": {"%": found.nondiffeomorphic_volume_percent}}


def _numpy(moved: np.ndarray, fixed: np.ndarray, field: np.ndarray, spacing: object) -> dict[str, Answer]:
    """Nine derivatives in float64."""
    rows = [list(np.gradient(field[..., k].astype(np.float64))) for k in range(3)]
    for k in range(3):
        rows[k][k] += 1
    (a, b, c), (d, e, f), (g, h, i) = rows
    return {"folding": {"%": float(100 * np.mean(a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g) <= 0))}}


def _numpy_four_axes(moved: np.ndarray, fixed: np.ndarray, field: np.ndarray, spacing: object) -> dict[str, Answer]:
    """As the utilities of VoxelMorph and TransMorph call it: on grid and field, along the components too."""
    a, b, c, _ = np.gradient(field + np.stack(np.meshgrid(*map(np.arange, field.shape[:3]), indexing="ij"), axis=-1))
    determinants = np.sum(a * np.cross(b, c), axis=-1)
    return {"folding": {"%": float(100 * np.mean(determinants <= 0))}}


def _digital_diffeomorphism(moved: np.ndarray, fixed: np.ndarray, field: np.ndarray, spacing: object) -> dict[str, Answer]:
    import digital_diffeomorphism

    return {"NDV": {"%": float(digital_diffeomorphism.ndv(field.copy(), is_disp=True)[1])}}  # it writes into its input


CASES: Mapping[str, Callable[..., dict[str, Answer]]] = {
    "measure.overlap": _ours_overlap,
    "monai": _monai,
    "medpy": _medpy,
    "measure.folding_percent": _ours("folding_percent", "folding"),
    "measure.nondiffeomorphic_volume_percent": _ours("nondiffeomorphic_volume_percent", "NDV"),
    "measure.regularity": _ours_regularity,
    "numpy.gradient": _numpy,
    "numpy.gradient, four axes": _numpy_four_axes,
    "digital-diffeomorphism": _digital_diffeomorphism,
}
PEERS: Mapping[str, tuple[str, ...]] = {
    "measure.overlap": ("monai", "medpy"),
    "measure.folding_percent": ("numpy.gradient", "numpy.gradient, four axes"),
    "measure.nondiffeomorphic_volume_percent": ("digital-diffeomorphism",),
    "measure.regularity": ("numpy.gradient", "numpy.gradient, four axes", "digital-diffeomorphism"),
}


if __name__ == "__main__":
    main()
