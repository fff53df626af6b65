"""The scan of the package mamba-ssm: its authors' CUDA kernel."""

import importlib
from collections.abc import Callable

import torch
from torch import Tensor


def missing(device: torch.device) -> str:
    """Why it cannot run on a device; empty if it can."""
    if device.type != "cuda":
        return "is for a CUDA device"
    try:
        _function()
    except Exception as error:  # its import loads a compiled extension, which can fail in every way
        return f'cannot be imported ({type(error).__name__}: {error}); pip install "srreg[mamba]" builds it where nvcc is'
    return ""


def scan(
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
    """As `reference.scan`, computed in float32; at most 256 states."""
    # The kernel wants the type of u for what is as long as u, float32 for the rest.
    delta, B, C = (x.to(u.dtype) for x in (delta, B, C))
    A, D, delta_bias = (None if x is None else x.float() for x in (A, D, delta_bias))  # type: ignore[assignment]
    return _function()(u, delta, A, B, C, D, None if z is None else z.to(u.dtype), delta_bias, delta_softplus)


def _function() -> Callable[..., Tensor]:
    found: Callable[..., Tensor] = importlib.import_module("mamba_ssm.ops.selective_scan_interface").selective_scan_fn
    return found
