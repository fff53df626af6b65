"""The table of back ends, and which of them a scan takes."""

import importlib
import logging
from collections.abc import Mapping
from functools import cache
from typing import Protocol, cast

import torch
from torch import Tensor

from models.selective_scan.self_test import disagreement

log = logging.getLogger(__name__)

BACKENDS: Mapping[str, str] = {  # imported when asked for
    "reference": "models.selective_scan.reference",  # a loop over tokens: any device, differentiable twice, slow
    "torch": "models.selective_scan.chunked",  # plain torch: any device
    "cpp": "models.selective_scan.cpp",  # CPU; needs a C++ compiler
    "triton": "models.selective_scan.triton",  # CUDA; needs triton, which comes with torch there
    "mamba-ssm": "models.selective_scan.mamba_ssm",  # CUDA; needs the package of this name
}

_PREFERRED = {"cpu": ("cpp",), "cuda": ("mamba-ssm", "triton")}  # best first; everywhere followed by
_EVERYWHERE = ("torch", "reference")
_SINGLE_PRECISION = ("mamba-ssm", "triton")  # compute in float32 whatever they are given


class BackEnd(Protocol):
    """What a file of a back end holds."""

    def missing(self, device: torch.device) -> str:
        """Why it cannot run on a device; empty if it can."""

    def scan(
        self,
        u: Tensor,
        delta: Tensor,
        A: Tensor,
        B: Tensor,
        C: Tensor,
        D: Tensor | None = None,
        z: Tensor | None = None,
        delta_bias: Tensor | None = None,
        delta_softplus: bool = False,
    ) -> Tensor:
        """The scan; see `reference.scan`."""


def reasons(device: torch.device | str) -> Mapping[str, str]:
    """Why each back end cannot be used on a device; empty for those that can.

    The first call on a device runs a small self-test of each, and may compile: some seconds.
    """
    return {name: _why_not(name, _numbered(device)) for name in BACKENDS}


def chosen(device: torch.device | str, dtype: torch.dtype = torch.float32) -> str:
    """The back end that `auto` takes on a device.

    Args:
        device: where the tensors lie.
        dtype: of u.

    Raises:
        RuntimeError: none runs there.
    """
    return _chosen(_numbered(device), dtype)


def select(name: str, device: torch.device, dtype: torch.dtype) -> BackEnd:
    """The back end of a name, or the best one for `auto`.

    Raises:
        ValueError: no such back end, or not for this number type.
        RuntimeError: it cannot run on the device.
    """
    if name == "auto":
        return _load(chosen(device, dtype))
    if name not in BACKENDS:
        raise ValueError(f"no back end of the scan is called {name!r}; there are: auto, {', '.join(BACKENDS)}")
    if dtype == torch.float64 and name in _SINGLE_PRECISION:
        raise ValueError(f"the scan's back end {name!r} computes in float32, got float64 tensors; use 'torch' or 'auto'")
    if reason := _why_not(name, _numbered(device)):
        raise RuntimeError(f"the scan's back end {name!r} cannot be used on {device}: {reason}. Use 'auto', or 'torch'.")
    return _load(name)


@cache
def _chosen(device: torch.device, dtype: torch.dtype) -> str:
    turned_down: list[str] = []
    for name in (*_PREFERRED.get(device.type, ()), *_EVERYWHERE):
        if dtype == torch.float64 and name in _SINGLE_PRECISION:
            continue
        if not (reason := _why_not(name, device)):
            _tell(name, device, turned_down)
            return name
        turned_down.append(f"{name}: {reason}")
    raise RuntimeError(f"no back end of the scan runs on {device}: {'; '.join(turned_down)}")


def _tell(name: str, device: torch.device, turned_down: list[str]) -> None:
    if turned_down:
        level = logging.WARNING if name in _EVERYWHERE else logging.INFO
        slow = ", several times slower" if name in _EVERYWHERE else ""
        log.log(level, "selective scan on %s: takes %s%s (%s)", device, name, slow, "; ".join(turned_down))


@cache
def _why_not(name: str, device: torch.device) -> str:
    back_end = _load(name)
    if reason := back_end.missing(device):
        return reason
    if trouble := disagreement(back_end.scan, device):
        log.warning("selective scan on %s: %s is left out, %s", device, name, trouble)
        return f"its self-test failed: {trouble}"
    return ""


def _load(name: str) -> BackEnd:
    return cast(BackEnd, importlib.import_module(BACKENDS[name]))


def _numbered(device: torch.device | str) -> torch.device:
    """`cuda` and the device it stands for are one."""
    device = torch.device(device)
    if device.type == "cuda" and device.index is None and torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    return device
