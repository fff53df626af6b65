"""Everything that needs a GPU, in one call of under ten minutes: `make gpu`.

1. Parity: warp, integration and every back end of the scan, forward and backward, on the device beside float64 on the CPU.
2. Scan: seconds and peak memory of each back end at the three stages' sizes, mamba-ssm's where it is installed.
3. Networks: every row at full size, forward and training step.
4. Training: every row on simulated heads, with images painted on the device from label maps, and the Dice of held-out people.

Needs torch, numpy, accelerate, safetensors and this repository; no nibabel, SimpleITK or antspyx.
Label maps come from perf/gpu/heads.npz, which `python -m perf.gpu.prepare DATASET` makes; without it part 4
is left out, and said so (the file is not in git: carry it along by name). Results go to docs/results/ as
JSON, written after each row; on a CPU, use --device cpu --size small --out DIR.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

import torch

from perf.gpu import networks, parity, scan, training
from perf.gpu.heads import HEADS
from perf.gpu.measuring import Row, environment

SHAPES = {"full": (176, 208, 192), "small": (48, 32, 32)}


def main() -> None:
    """Measure, print a line at a time, write the results."""
    options = _options()
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        sys.exit("torch sees no GPU here; try --device cpu --size small --out DIR")
    shape = SHAPES[options.size]
    found: dict[str, object] = {"environment": environment(device), "size": shape}
    path = options.out / f"gpu-{datetime.now(UTC):%Y-%m-%d-%H%M}.json"
    parts: dict[str, Callable[[], Iterable[Row]]] = {
        "parity": lambda: parity.rows(device),
        "scan": lambda: scan.rows(device, shape),
        "networks": lambda: networks.rows(device, shape),
        "training": lambda: training.rows(device, options.seconds, options.heads),
    }
    for name, measure in parts.items():
        found[name] = rows = []
        for row in measure():  # written after each, so that a time limit costs only what is left
            rows.append(_told(row))
            _write(found, path)
    print(f"results: {path}")
    if disagreeing := [row for row in found["parity"] if not row["agrees"]]:  # type: ignore[attr-defined]
        sys.exit(f"parity: {len(disagreeing)} disagree, the first: {disagreeing[0]}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--heads", type=Path, default=HEADS)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--size", choices=SHAPES, default="full")
    parser.add_argument("--seconds", type=float, default=240.0, help="of training, all networks together")
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    return parser.parse_args()


def _told(row: Row) -> Row:
    print(
        "  ".join(f"{key}: {value:.4g}" if isinstance(value, float) else f"{key}: {value}" for key, value in row.items()),
        flush=True,
    )
    return row


def _write(found: dict[str, object], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
