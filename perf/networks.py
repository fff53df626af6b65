"""Time and peak memory of every network on this machine's CPU, beside a plain version of the same network.

python perf/networks.py            all rows at 64 x 80 x 64: forward and a training step
python perf/networks.py --full     MambaMorph's forward at 176 x 208 x 192, with the Dice of both versions

`ours` is what the benchmark runs: channels last, bf16 autocast where the CPU computes in it, the scan's fastest back end.
`plain` is the same network as one would write it down: float32, the default layout, `instance_norm`, `avg_pool3d`, the scan
as a loop over its tokens. Every case runs in a process of its own; memory is the growth of the process's resident peak during
the call. Numbers are medians; compare ratios, not seconds, between machines. A Markdown table goes to stdout.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import models
from benchmark.clock import timed
from benchmark.methods.learned import inference
from models import hybrid
from models.blocks import mamba
from models.hybrid import ConvolutionNorm
from models.losses import dice_loss, one_hot, smoothness_loss
from models.selective_scan import selective_scan
from models.spatial import warp

SMALL, FULL = (64, 80, 64), (176, 208, 192)
CLASSES = tuple(range(1, 17))
Result = Mapping[str, float]


def main() -> None:
    """Run the cases and print the table, or run the one case asked for."""
    options = _options()
    if options.case:
        version, name, what = options.case.split(":")
        print(json.dumps(_case(version, name, what)))
    elif options.full:
        _print_full()
    else:
        _print_rows(options.repeats)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="MambaMorph's forward at full size; needs about 10 GB")
    parser.add_argument("--repeats", type=int, default=3, help="processes a case, of which the median is shown")
    parser.add_argument("--case", help=argparse.SUPPRESS)  # version:network:what, in the child process
    return parser.parse_args()


def _print_rows(repeats: int) -> None:
    print(f"{SMALL}, {torch.get_num_threads()} threads, torch {torch.__version__}\n")
    print("| network | parameters | forward (s) | plain (s) | ratio | memory (GiB) | plain (GiB) | step (s) | memory (GiB) |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name in models.names():
        print(_row(name, repeats), flush=True)


def _row(name: str, repeats: int) -> str:
    ours, plain = (_median(version, name, "forward", repeats) for version in ("ours", "plain"))
    step = _median("ours", name, "step", repeats)
    seconds = f"{ours['seconds']:.2f} | {plain['seconds']:.2f} | {plain['seconds'] / ours['seconds']:.1f}"
    memory = f"{ours['gib']:.2f} | {plain['gib']:.2f} | {step['seconds']:.2f} | {step['gib']:.2f}"
    return f"| {name} | {ours['parameters']:,.0f} | {seconds} | {memory} |"


def _print_full() -> None:
    ours, plain = (_child(version, "mambamorph", "full") for version in ("ours", "plain"))
    print(f"MambaMorph, {FULL}, {torch.get_num_threads()} threads, torch {torch.__version__}\n")
    print("| version | forward (s) | memory (GiB) | mean Dice |\n| --- | ---: | ---: | ---: |")
    for version, found in (("ours", ours), ("plain", plain)):
        print(f"| {version} | {found['seconds']:.1f} | {found['gib']:.2f} | {found['dice']:.5f} |")
    print(f"\n{plain['seconds'] / ours['seconds']:.2f} times as fast, {ours['gib'] / plain['gib']:.2f} of the memory.")
    print(f"Dice {ours['dice'] - plain['dice']:+.5f}; the field moves voxels by {ours['length']:.2f} on average.")


def _median(version: str, name: str, what: str, repeats: int) -> Result:
    found = [_child(version, name, what) for _ in range(repeats)]
    return {key: statistics.median(one[key] for one in found) for key in found[0]}


def _child(version: str, name: str, what: str) -> Result:
    command = [sys.executable, __file__, "--case", f"{version}:{name}:{what}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{version} {name} {what} failed:\n{done.stderr}")
    found: Result = json.loads(done.stdout.splitlines()[-1])
    return found


def _case(version: str, name: str, what: str) -> Result:
    """One measurement, here and now."""
    torch.manual_seed(0)
    network = models.create(name)
    nn.init.normal_(network.head.weight, std=0.05)  # so that the field moves something
    if version == "plain":
        _make_plain()
    else:
        network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    shape = FULL if what == "full" else SMALL
    labels = [_blobs(shape, seed) for seed in (1, 2)]
    moving, fixed = (_painted(one, seed) for one, seed in zip(labels, (3, 4), strict=True))
    small = torch.rand(1, 1, 32, 32, 32)
    if what == "step":
        step = _training_step(network, moving, fixed, labels)
        step()
        _, cost = timed(step, "cpu")
        return {"seconds": cost.seconds, "gib": cost.peak_gib}
    forward = _forward(network, version)
    forward(small, small)
    out, cost = timed(lambda: forward(moving, fixed), "cpu")
    moved = warp(labels[0][:, None].float(), out.displacement, "nearest")[:, 0].to(torch.uint8)
    return {
        "seconds": cost.seconds,
        "gib": cost.peak_gib,
        "parameters": sum(p.numel() for p in network.parameters()),
        "dice": -float(dice_loss(one_hot(moved, CLASSES), one_hot(labels[1], CLASSES))),
        "length": float(out.displacement.norm(dim=1).mean()),
    }


def _forward(network: models.RegistrationNetwork, version: str) -> Callable[[Tensor, Tensor], models.Registration]:
    network.eval()

    def run(moving: Tensor, fixed: Tensor) -> models.Registration:
        with torch.inference_mode() if version == "plain" else inference("cpu"):
            return network(moving, fixed)

    return run


def _training_step(network: nn.Module, moving: Tensor, fixed: Tensor, labels: list[Tensor]) -> Callable[[], None]:
    """Float32, as a CPU trains unless told otherwise."""
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-4)

    def step() -> None:
        optimiser.zero_grad()
        out = network(moving, fixed)
        warped = warp(one_hot(labels[0], CLASSES), out.displacement)
        loss = dice_loss(warped, one_hot(labels[1], CLASSES)) + 0.1 * smoothness_loss(out.velocity, 2.0)
        loss.backward()
        optimiser.step()

    return step


def _make_plain() -> None:
    """The parts that are written for speed, as one would write them down."""

    def forward(self: ConvolutionNorm, *images: Tensor) -> Tensor:
        return F.leaky_relu(F.instance_norm(self.convolution(torch.cat(images, dim=1))), 0.01)

    ConvolutionNorm.forward = forward  # type: ignore[method-assign]
    hybrid.average_halved = lambda image: F.avg_pool3d(image, 3, stride=2, padding=1)
    mamba.selective_scan = lambda *args, **kwargs: selective_scan(*args, **kwargs, backend="reference")


def _blobs(shape: tuple[int, ...], seed: int) -> Tensor:
    """Sixteen smooth regions of about equal size: [1, D, H, W] uint8, 1 to 16."""
    generator = torch.Generator().manual_seed(seed)
    shared = torch.randn(1, 1, 6, 6, 6, generator=torch.Generator().manual_seed(0))
    field = F.interpolate(shared + 0.1 * torch.randn(1, 1, 6, 6, 6, generator=generator), shape, mode="trilinear")[0, 0]
    ranks = torch.bucketize(field, torch.quantile(shared.flatten(), torch.linspace(0, 1, 17)[1:-1]))
    return (ranks + 1).to(torch.uint8)[None]


def _painted(labels: Tensor, seed: int) -> Tensor:
    """One grey value a region, and noise: [1, 1, D, H, W] in [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    grey = torch.rand(17, generator=generator)
    return (grey[labels.long()] + 0.03 * torch.randn(labels.shape, generator=generator)).clamp(0, 1)[:, None]


if __name__ == "__main__":
    main()
