"""Everything that needs a GPU, in one call of under ten minutes: `make gpu`.

1. Parity: warp and integration on the device in float32 beside the CPU in float64.
2. Every network at full size: forward and training step, synchronized time and peak allocated memory.
3. A short training on simulated heads, with images painted on the device from label maps.

Needs torch, numpy, accelerate, safetensors and the package `models`; no nibabel, SimpleITK or antspyx.
Label maps come from perf/heads.npz, which `python perf/prepare_heads.py DATASET` makes; without it part 3
is left out, and said so (the file is not in git: carry it along by name). Results go to docs/results/ as
JSON; on a CPU, use --size small --out DIR.
"""

import argparse
import json
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import models
from models.losses import dice_loss, one_hot, smoothness_loss
from models.spatial import integrate, warp

SHAPES = {"full": (176, 208, 192), "small": (16, 32, 48)}
LARGEST_DIFFERENCE_VOXELS = 1e-3
HEADS = Path(__file__).parent / "heads.npz"
Row = dict[str, object]


def main() -> None:
    """Measure, print a line at a time, write the results."""
    options = _options()
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        sys.exit("torch sees no GPU here; try --device cpu --size small --out DIR")
    found: dict[str, object] = {"environment": _environment(device), "size": SHAPES[options.size]}
    path = options.out / f"gpu-{datetime.now(UTC):%Y-%m-%d-%H%M}.json"
    shape = SHAPES[options.size]
    parts: dict[str, Callable[[], list[Row]]] = {
        "parity": lambda: _parity(device),
        "networks": lambda: [_network_row(name, shape, device) for name in models.names()],
        "training": lambda: [_training_row(name, device, options.seconds) for name in models.names()],
    }
    for name, measure in parts.items():  # written after each, so that a time limit costs only what is left
        found[name] = [_told(row) for row in measure()]
        _write(found, path)
    if any(float(str(row["largest difference"])) > LARGEST_DIFFERENCE_VOXELS for row in found["parity"]):  # type: ignore[attr-defined]
        sys.exit(f"parity: float32 on the device differs from float64 by more than {LARGEST_DIFFERENCE_VOXELS} voxels")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--size", choices=SHAPES, default="full")
    parser.add_argument("--seconds", type=float, default=180.0, help="of training, all networks together")
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    return parser.parse_args()


def _environment(device: torch.device) -> Row:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    packages = {package: version(package) for package in ("torch", "numpy", "accelerate")}
    return {"device": name, "cuda": torch.version.cuda, "python": platform.python_version(), "commit": _commit(), **packages}


def _commit() -> str:
    if shutil.which("git") is None:
        return "unknown"
    told = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return told.stdout.strip() or "unknown"


def _parity(device: torch.device) -> list[Row]:
    """Largest difference to float64 on the CPU, in voxels."""
    generator = torch.Generator().manual_seed(0)
    field = torch.randn(1, 3, 24, 28, 32, generator=generator, dtype=torch.float64)
    smooth = torch.nn.functional.avg_pool3d(field, 5, stride=1, padding=2) * 10
    truth = {"warp": warp(field, smooth), "integrate": integrate(smooth)}
    ours = {
        "warp": warp(field.float().to(device), smooth.float().to(device)),
        "integrate": integrate(smooth.float().to(device)),
    }
    return [
        {"what": name, "largest difference": float((ours[name].double().cpu() - truth[name]).abs().max())} for name in truth
    ]


def _network_row(name: str, shape: tuple[int, ...], device: torch.device) -> Row:
    """Forward in float32 and a training step under bf16, each after a warm-up."""
    torch.manual_seed(0)
    network = models.create(name).to(device)
    moving, fixed = torch.rand(2, 1, 1, *shape, device=device)
    labels = torch.randint(0, 17, (1, *shape), device=device, dtype=torch.uint8)
    with torch.inference_mode():
        forward = _timed(lambda: network(moving, fixed), device)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-4)
    step = _timed(lambda: _step(network, optimiser, (moving, fixed, labels, labels)), device)
    return {
        "network": name,
        "parameters": sum(p.numel() for p in network.parameters()),
        "forward s": forward[0],
        "forward GiB": forward[1],
        "training step s": step[0],
        "training step GiB": step[1],
    }


def _timed(call: Callable[[], object], device: torch.device, repeats: int = 5) -> tuple[float, float | None]:
    """Median seconds and, on a GPU, peak allocated GiB; one warm-up before."""
    is_cuda = device.type == "cuda"
    synchronize: Callable[[], None] = torch.cuda.synchronize if is_cuda else (lambda: None)
    call()
    synchronize()
    if is_cuda:
        torch.cuda.reset_peak_memory_stats(device)
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        synchronize()
        seconds.append(time.perf_counter() - started)
    peak = torch.cuda.max_memory_allocated(device) / 1024**3 if is_cuda else None
    return float(np.median(seconds)), peak


def _step(network: torch.nn.Module, optimiser: torch.optim.Optimizer, batch: tuple[Tensor, ...]) -> float:
    """One training step; the Dice of the moved labels."""
    moving, fixed, moving_labels, fixed_labels = batch
    values = tuple(range(1, 17))
    with torch.autocast(moving.device.type, torch.bfloat16):
        out = network(moving, fixed)
    moved = warp(one_hot(moving_labels, values), out.displacement.float())
    dice = dice_loss(moved, one_hot(fixed_labels, values))
    loss = dice + 0.1 * smoothness_loss(out.velocity.float(), 2)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return -float(dice.detach())


def _training_row(name: str, device: torch.device, seconds: float) -> Row:
    """Dice over held-out people before and after a training of limited time."""
    if not HEADS.is_file():
        return {"network": name, "training": "left out: no perf/heads.npz, see perf/prepare_heads.py"}
    heads = torch.from_numpy(np.load(HEADS, allow_pickle=False)["labels"]).to(device)  # [people, D, H, W], 0..16
    torch.manual_seed(0)
    network = models.create(name).to(device)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    held_out = list(range(len(heads) - 3, len(heads)))
    before = _held_out_dice(network, heads, held_out)
    deadline, steps = time.perf_counter() + seconds / len(models.names()), 0
    while time.perf_counter() < deadline:
        first, second = torch.randint(0, held_out[0], (2,)).tolist()
        _step(network, optimiser, _pair(heads, first, second))
        steps += 1
    return {"network": name, "steps": steps, "Dice before": before, "Dice after": _held_out_dice(network, heads, held_out)}


@torch.no_grad()
def _held_out_dice(network: torch.nn.Module, heads: Tensor, people: list[int]) -> float:
    values, found = tuple(range(1, 17)), []
    for first in people:
        for second in people:
            if first != second:
                moving, fixed, moving_labels, fixed_labels = _pair(heads, first, second)
                moved = warp(moving_labels[:, None].float(), network(moving, fixed).displacement, "nearest")[:, 0]
                found.append(-float(dice_loss(one_hot(moved.to(torch.uint8), values), one_hot(fixed_labels, values))))
    return float(np.mean(found))


def _pair(heads: Tensor, first: int, second: int) -> tuple[Tensor, ...]:
    """An MR of one person and a CT of another: one grey value a label, drawn anew for each image, and noise."""
    images = [_painted(heads[person]) for person in (first, second)]
    return (*images, heads[first][None], heads[second][None])


def _painted(labels: Tensor) -> Tensor:
    """[1, 1, D, H, W] in [0, 1], 0 outside."""
    grey = torch.cat([torch.zeros(1), 0.2 + 0.7 * torch.rand(16)]).to(labels.device)
    image = grey[labels.long()] + 0.03 * torch.randn(labels.shape, device=labels.device)
    return torch.where(labels > 0, image, 0.0).clamp(0, 1)[None, None]


def _told(row: Row) -> Row:
    print(
        "  ".join(f"{key}: {value:.4g}" if isinstance(value, float) else f"{key}: {value}" for key, value in row.items()),
        flush=True,
    )
    return row


def _write(found: dict[str, object], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(f"results so far: {path}", flush=True)


if __name__ == "__main__":
    main()
