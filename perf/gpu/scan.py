"""Seconds and memory of the scan's back ends at the sizes of the three stages."""

from collections.abc import Iterator

import torch
from torch import Tensor

from models.selective_scan import BACKENDS, selective_scan
from perf.gpu.measuring import Row, timed

_TOO_SLOW = ("reference", "cpp")  # a step a token; and one that runs on the CPU


def rows(device: torch.device, shape: tuple[int, int, int]) -> Iterator[Row]:
    """A row a back end and stage."""
    return (_row(backend, stage, shape, device) for stage in range(3) for backend in BACKENDS if backend not in _TOO_SLOW)


def _row(backend: str, stage: int, shape: tuple[int, int, int], device: torch.device) -> Row:
    length = shape[0] * shape[1] * shape[2] // 64 // 8**stage
    arguments = _arguments(length, 192 * 2**stage, device)
    row: Row = {"back end": backend, "stage": stage, "L": length}

    def forward() -> Tensor:
        return selective_scan(**arguments, delta_softplus=True, backend=backend)

    def both() -> None:
        forward().sum().backward()

    try:
        with torch.no_grad():
            seconds, gib = timed(forward, device)
        seconds_both, gib_both = timed(both, device, repeats=3)
    except (RuntimeError, ValueError, ImportError) as error:
        return row | {"cannot run": str(error).splitlines()[0]}
    return row | {"forward s": seconds, "forward GiB": gib, "both s": seconds_both, "both GiB": gib_both}


def _arguments(length: int, channels: int, device: torch.device) -> dict[str, Tensor]:
    torch.manual_seed(0)
    arguments = {
        "u": torch.randn(1, channels, length, device=device),
        "delta": torch.randn(1, channels, length, device=device),
        "A": -torch.arange(1.0, 17, device=device).repeat(channels, 1),
        "B": torch.randn(1, 16, length, device=device),
        "C": torch.randn(1, 16, length, device=device),
        "D": torch.ones(channels, device=device),
        "z": torch.randn(1, channels, length, device=device),
        "delta_bias": torch.full((channels,), -4.0, device=device),
    }
    return {name: value.requires_grad_() for name, value in arguments.items()}
