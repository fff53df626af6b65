"""The scan for a GPU: kernels of our own in Triton, parallel over channels and chunks of tokens, so that one image fills it."""

import importlib.util
import subprocess
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# Of a tile. A warp then holds all tokens of its channels, so a scan stays within it, and a thread holds 8 elements.
CHANNELS, TOKENS = 32, 64
WARPS = 8
# Registers a thread may have in `gradients`; it would take some 220. At 128 two blocks share a multiprocessor and one
# computes while the other waits, and what gives way lies in constants that the loop over states reads back from the cache.
REGISTERS = 128
# Of a tile of `carry`, which goes over the chunks one after another: long, and few channels, so that there are many of it.
CARRIED, CHUNKS = 8, 128
# That run at a time where each leaves its share of dB and dC: enough for any GPU, and the shares stay small beside u.
PROGRAMS = 4096

_LOG2_E = 1.4426950408889634


def missing(device: torch.device) -> str:
    """Why it cannot run on a device; empty if it can. The first call compiles a few lines of C for Triton's driver."""
    if device.type != "cuda" or torch.version.hip:
        return "runs on an NVIDIA GPU alone"
    if not torch.cuda.is_available():
        return "torch finds no NVIDIA GPU"
    if torch.cuda.get_device_capability(device) < (8, 0):
        return "needs a GPU of compute capability 8.0 or newer"
    return _driver_trouble()


def _driver_trouble() -> str:
    if importlib.util.find_spec("triton") is None:
        return "needs Triton: pip install triton"
    try:
        from triton.runtime import driver

        driver.active.get_current_device()  # builds the driver, which takes a C compiler and Python's headers
    except (ImportError, OSError, RuntimeError, AssertionError, subprocess.CalledProcessError) as error:
        return f"Triton does not start: {error}"
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
    """As `reference.scan`, computed in float32 whatever the inputs' type; the same inputs give the same bits.

    Between the two directions only the inputs are kept and the state that enters each chunk of 64 tokens.

    Raises:
        TypeError: an input is float64.
    """
    inputs = (u, delta, A, B, C, D, z, delta_bias)
    if any(x is not None and x.dtype == torch.float64 for x in inputs):
        raise TypeError(
            "expected float32 or half precision, in which the Triton scan computes, got float64: take another back end"
        )
    return _Scan.apply(*inputs, delta_softplus)


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> Tensor:
        *given, ctx.softplus = arguments
        ctx.dtypes = [None if x is None else x.dtype for x in given]
        inputs = _as_read(*given)
        entries = _borders(inputs, None, ctx.softplus)
        y = torch.empty_like(inputs[0])
        launch("outputs", _grid(y), *inputs, entries, y, **_problem(inputs, ctx.softplus))
        ctx.save_for_backward(*inputs, entries)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        *inputs, entries = ctx.saved_tensors
        found = _gradients(inputs, entries, dy.contiguous(), ctx.softplus)
        return *(None if x is None else x.to(dtype) for x, dtype in zip(found, ctx.dtypes, strict=True)), None


def _as_read(u: Any, delta: Any, A: Any, B: Any, C: Any, D: Any, z: Any, bias: Any) -> tuple[Any, ...]:
    """The inputs as the kernels read them: contiguous, the small ones in float32, A transposed and for exp2."""
    u, delta, z = (None if x is None else x.contiguous() for x in (u, delta, z))
    B, C, D, bias = (None if x is None else x.float().contiguous() for x in (B, C, D, bias))
    return u, delta, (_LOG2_E * A.float().t()).contiguous(), B, C, D, z, bias


def _gradients(inputs: Sequence[Any], entries: Tensor, dy: Tensor, softplus: bool) -> tuple[Any, ...]:
    """Of all inputs in their order; those of the small ones in float32."""
    u, delta, A, _, _, D, z, bias = inputs
    chunks, blocks, batch = _grid(u)
    returns = _borders(inputs, dy, softplus)
    du, ddelta, dz = (None if x is None else torch.empty_like(x) for x in (u, delta, z))
    dA = A.new_empty(batch, chunks, *A.shape)
    dD, dbias = (None if x is None else A.new_empty(batch, chunks, len(x)) for x in (D, bias))
    dBC = A.new_zeros(batch, len(A), u.shape[2], 2)
    at_once = max(1, PROGRAMS // (chunks * batch))
    for first in range(0, blocks, at_once):
        shares = A.new_empty(min(at_once, blocks - first), *dBC.shape)
        stored = (du, ddelta, dz, shares, dA, dD, dbias)
        grid = chunks, len(shares), batch
        problem = _problem(inputs, softplus)
        launch("gradients", grid, *inputs, dy, entries, returns, *stored, first, **problem, maxnreg=REGISTERS)
        dBC += shares.sum(0)
    dD, dbias = (None if x is None else x.sum((0, 1)) for x in (dD, dbias))
    return du, ddelta, dA.sum((0, 1)).t(), *dBC.unbind(-1), dD, dz, dbias


def _borders(inputs: Sequence[Any], dy: Tensor | None, softplus: bool) -> Tensor:
    """What enters each chunk, [batch, chunks + 1, states, channels]: the state; with dy, and on the way back, its adjoint."""
    u, _, A, *_ = inputs
    chunks, _, batch = _grid(u)
    states, channels = A.shape
    borders = A.new_empty(batch, chunks + 1, states, channels)
    spans = A.new_empty(batch, chunks, channels)
    launch("chunk_ends", _grid(u), *inputs, dy, borders, spans, **_problem(inputs, softplus))
    grid = -(-channels // CARRIED), states, batch
    launch("carry", grid, A, borders, spans, channels, chunks, states, CHANNELS=CARRIED, CHUNKS=CHUNKS, num_warps=1)
    return borders


def _grid(u: Tensor) -> tuple[int, int, int]:
    """Chunks, blocks of channels, items: a program each."""
    batch, channels, length = u.shape
    return -(-length // TOKENS), -(-channels // CHANNELS), batch


def _problem(inputs: Sequence[Any], softplus: bool) -> dict[str, int]:
    """The sizes of a problem and of its tiles, by the names the kernels give them."""
    _, channels, length = inputs[0].shape
    unit = 4 if length % 4 == 0 else 1  # tokens that begin at 16 bytes, so that a thread takes them at once: twice as fast
    sizes = {"channels": channels, "units": length // unit, "N": len(inputs[2]), "UNIT": unit}
    return sizes | {"SOFTPLUS": softplus, "CHANNELS": CHANNELS, "TOKENS": TOKENS, "num_warps": WARPS}


def launch(kernel: str, grid: tuple[int, int, int], *arguments: Tensor | int | None, **options: int) -> None:
    """Run one of `triton_kernels` on the device of its first argument, a program for each point of the grid."""
    from models.selective_scan import triton_kernels  # needs Triton, which may be missing

    with torch.cuda.device_of(arguments[0]):
        # Asked for: Triton 3.9 warns that fusing a product and a sum will not be its default for long.
        getattr(triton_kernels, kernel)[grid](*arguments, **options, enable_fp_fusion=True)
