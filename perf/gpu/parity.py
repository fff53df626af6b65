"""The device in float32 beside the CPU in float64."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

import models
from models.selective_scan import BACKENDS, selective_scan
from models.spatial import integrate, warp
from perf.gpu.measuring import Row

LARGEST_VOXELS = 1e-3  # of warped positions
LARGEST_RELATIVE = 1e-5  # of the scan: largest error over largest value
# Of a network: length of the error over length of the gradient. Each activation that rounding moves across the leaky ReLU's
# kink makes some 5e-4 in float32, where there are a handful; with a slope of 1 in its place, 3e-6 are left.
LARGEST_GRADIENT = {"fp32": 1e-2, "bf16": 0.2}
_SCANS = {  # batch, channels, states, L
    "one token": (1, 7, 16, 1),
    "odd": (3, 37, 16, 1003),
    "few states": (1, 64, 4, 300),
    "long": (1, 192, 16, 20_000),
}


def rows(device: torch.device) -> Iterator[Row]:
    """A row a thing that is compared."""
    yield from _space(device)
    yield from (_network(name, device) for name in models.names())
    for name in models.names():
        yield from _gradient_rows(name, device)
    for backend in BACKENDS:
        for size in _SCANS:
            yield from _scan_rows(backend, size, device)


def _space(device: torch.device) -> Iterator[Row]:
    generator = torch.Generator().manual_seed(0)
    field = torch.randn(1, 3, 24, 28, 32, generator=generator, dtype=torch.float64)
    smooth = torch.nn.functional.avg_pool3d(field, 5, stride=1, padding=2) * 10
    on_device = smooth.float().to(device)
    for name, truth, ours in (
        ("warp", warp(field, smooth), warp(field.float().to(device), on_device)),
        ("integrate", integrate(smooth), integrate(on_device)),
    ):
        largest = float((ours.double().cpu() - truth).abs().max())
        yield {"what": name, "largest difference (voxels)": largest, "agrees": largest < LARGEST_VOXELS}


def _moving_network(name: str) -> tuple[models.RegistrationNetwork, Tensor, Tensor]:
    """With random weights and a head that moves voxels, in float64 on the CPU; and two images."""
    torch.manual_seed(0)
    network = models.create(name).eval()
    nn.init.normal_(network.head.weight, std=0.05)  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(1)
    moving, fixed = torch.rand(2, 1, 1, 32, 48, 64, generator=generator, dtype=torch.float64)
    return network.double(), moving, fixed


@torch.no_grad()
def _network(name: str, device: torch.device) -> Row:
    """A whole network; without TF32, as `bench` registers."""
    network, moving, fixed = _moving_network(name)
    truth = network(moving, fixed).displacement
    with torch.backends.cudnn.flags(allow_tf32=False):
        ours = network.float().to(device)(moving.float().to(device), fixed.float().to(device)).displacement
    largest = float((ours.double().cpu() - truth).abs().max())
    return {
        "what": f"network {name}",
        "moves (voxels)": float(truth.abs().max()),
        "largest difference (voxels)": largest,
        "agrees": largest < LARGEST_VOXELS,
    }


def _gradient_rows(name: str, device: torch.device) -> Iterator[Row]:
    """Of all parameters together, in the layout and the number types of a training."""
    network, moving, fixed = _moving_network(name)
    truth = _gradients(network, moving, fixed)
    network.float().to(device).to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    moving, fixed = moving.float().to(device), fixed.float().to(device)
    for precision, largest in LARGEST_GRADIENT.items():
        exact = torch.backends.cudnn.flags(allow_tf32=False)
        with exact, torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            ours = _gradients(network, moving, fixed)
        error = float((ours - truth).norm() / truth.norm())
        yield {"what": f"gradient {name}, {precision}", "relative error": error, "agrees": error < largest}


def _gradients(network: models.RegistrationNetwork, moving: Tensor, fixed: Tensor) -> Tensor:
    """Of a weighted sum of the displacement, by every parameter that it depends on; on the CPU in float64."""
    displacement = network(moving, fixed).displacement
    weights = torch.linspace(-1, 1, displacement.numel(), device=displacement.device).view_as(displacement)
    parameters = [p for p in network.parameters() if p.requires_grad]
    found = torch.autograd.grad((displacement * weights).sum(), parameters, allow_unused=True)
    return torch.cat([gradient.flatten().double().cpu() for gradient in found if gradient is not None])


def _scan_rows(backend: str, size: str, device: torch.device) -> Iterator[Row]:
    """Output and gradients of one back end at one size; nothing where it cannot run on the device."""
    if backend == "reference" and size == "long":
        return  # the loop's backward is quadratic in L
    names, arguments = _arguments(*_SCANS[size])
    try:
        ours = _results(arguments, backend, device, torch.float32)
    except (RuntimeError, ValueError, ImportError) as error:
        # Others may be missing, but one that runs and is wrong is no matter of taste.
        is_needed = backend in ("torch", "reference") or (backend == "triton" and device.type == "cuda")
        agrees = not is_needed and "self-test" not in str(error)
        yield {"what": f"scan {backend}, {size}", "cannot run": str(error).splitlines()[0], "agrees": agrees}
        return
    truth = _results(arguments, "torch", torch.device("cpu"), torch.float64)
    errors = {name: _relative(a, b) for name, a, b in zip(("y", *names), ours, truth, strict=True)}
    worst = max(errors, key=lambda name: errors[name])
    yield {
        "what": f"scan {backend}, {size}",
        "largest relative error": errors[worst],
        "of": worst,
        "agrees": errors[worst] < LARGEST_RELATIVE,
    }


def _arguments(batch: int, channels: int, states: int, length: int) -> tuple[list[str], dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(length)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    arguments = {
        "u": draw(batch, channels, length),
        "delta": draw(batch, channels, length),
        "A": -torch.exp(0.5 * draw(channels, states)),
        "B": draw(batch, states, length),
        "C": draw(batch, states, length),
        "D": draw(channels),
        "z": draw(batch, channels, length),
        "delta_bias": draw(channels) - 4,
    }
    return list(arguments), arguments


def _results(arguments: dict[str, Tensor], backend: str, device: torch.device, kind: torch.dtype) -> list[Tensor]:
    """Output, then the gradient of each argument, on the CPU in float64."""
    leaves = {name: value.to(device, kind).requires_grad_() for name, value in arguments.items()}
    y = selective_scan(**leaves, delta_softplus=True, backend=backend)
    weights = torch.linspace(-1, 1, y.numel(), device=device, dtype=kind).view_as(y)
    gradients = torch.autograd.grad((y * weights).sum(), list(leaves.values()))
    return [tensor.detach().double().cpu() for tensor in (y, *gradients)]


def _relative(ours: Tensor, truth: Tensor) -> float:
    """Largest error over largest value; infinite for what is not finite."""
    error, size = float((ours - truth).abs().max()), float(truth.abs().max())
    if error == 0:  # where the truth is nothing, too
        return 0.0
    return error / size if math.isfinite(error) and size > 0 else math.inf
