"""The scan in C++ for a CPU: `scan.cpp` behind torch's autograd."""

import ctypes
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from models.selective_scan.compiled import CannotCompile, library

_CHUNK = 64  # tokens whose states lie in the cache together; the state before each chunk is kept for the way back
_VECTOR_BYTES = 64  # as in scan.cpp
_CHANNELS_A_PART = 16  # at least: fewer would not fill a vector


class _Strided(ctypes.Structure):
    """An array [batch, rows, tokens]; strides count elements."""

    _fields_ = (("data", ctypes.c_void_p), *((name, ctypes.c_int64) for name in ("batch", "row", "token")))


class _Problem(ctypes.Structure):
    """The struct of this name in scan.cpp; what is left out is null."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("batch", "channels", "states", "tokens")),
        *((name, ctypes.c_int64) for name in ("chunk", "parts", "threads", "softplus")),
        *((name, ctypes.c_void_p) for name in ("A", "D", "bias")),
        *((name, _Strided) for name in ("u", "delta", "B", "C", "z", "y")),
        ("checkpoints", ctypes.c_void_p),
        *((name, _Strided) for name in ("dy", "du", "ddelta", "dz")),
        *((name, ctypes.c_void_p) for name in ("dB", "dC", "dA", "dD", "dbias")),
    )


def missing(device: torch.device) -> str:
    """Why it cannot run on a device; empty if it can. Compiles the kernel where nobody has yet: seconds."""
    if device.type != "cpu":
        return "is for a CPU"
    try:
        library()
    except CannotCompile as error:
        return str(error)
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
    """As `reference.scan`, on as many threads as torch uses; differentiable once.

    Where a gradient is wanted a state a chunk of 64 tokens is kept, a quarter of u's memory at 16 states.
    """
    precise = torch.promote_types(u.dtype, torch.float32)
    long = (None if x is None else x.to(precise) for x in (u, delta, B, C, z))
    short = (None if x is None else x.to(precise).contiguous() for x in (A, D, delta_bias))
    given = (*long, *short)
    wants_gradient = torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in given)
    y: Tensor = _Scan.apply(*given, delta_softplus, wants_gradient)
    return y.to(u.dtype)


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> Tensor:
        *given, softplus, wants_gradient = arguments
        problem, u = _problem(given, softplus), given[0]
        y, checkpoints = torch.empty_like(u), None
        if wants_gradient:
            lanes = _VECTOR_BYTES // u.element_size()
            chunks, vectors = -(-u.shape[2] // _CHUNK), -(-u.shape[1] // lanes)
            checkpoints = u.new_empty(len(u), chunks, vectors, problem.states, lanes)
        problem.y, problem.checkpoints = _strided(y), _address(checkpoints)
        _call("forward", problem, u.dtype)
        ctx.save_for_backward(*given, checkpoints)
        ctx.softplus = softplus
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        *given, checkpoints = ctx.saved_tensors
        u, delta, _, _, z, A, D, bias = given
        problem = _problem(given, ctx.softplus)
        batch, channels, states = problem.batch, problem.channels, problem.states
        du, ddelta, dz = (None if x is None else torch.empty_like(x) for x in (u, delta, z))
        dB, dC = u.new_empty(2, problem.parts, batch, problem.tokens, states)
        dA = torch.empty(batch, channels, states, dtype=torch.float64)
        dD, dbias = torch.empty(2, batch, channels, dtype=torch.float64)
        problem.checkpoints = _address(checkpoints)
        problem.dy, problem.du, problem.ddelta, problem.dz = map(_strided, (dy, du, ddelta, dz))
        problem.dB, problem.dC, problem.dA, problem.dD, problem.dbias = map(_address, (dB, dC, dA, dD, dbias))
        _call("backward", problem, u.dtype)
        wide = (parts.sum(0).transpose(1, 2) for parts in (dB, dC))
        short = (None if x is None else total.sum(0).to(x.dtype) for x, total in ((A, dA), (D, dD), (bias, dbias)))
        return du, ddelta, *wide, dz, *short, None, None


def _problem(given: Sequence[Tensor | None], softplus: bool) -> _Problem:
    """What forward and backward have in common; threads share items of the batch and parts of the channels."""
    u, delta, B, C, z, A, D, bias = given
    assert u is not None
    assert A is not None
    threads, (batch, channels, tokens) = torch.get_num_threads(), u.shape
    parts = min(-(-threads // batch), -(-channels // _CHANNELS_A_PART))
    problem = _Problem(batch, channels, A.shape[1], tokens, _CHUNK, parts, threads, softplus)
    problem.A, problem.D, problem.bias = map(_address, (A, D, bias))
    problem.u, problem.delta, problem.B, problem.C, problem.z = map(_strided, (u, delta, B, C, z))
    return problem


def _strided(x: Tensor | None) -> _Strided:
    return _Strided() if x is None else _Strided(x.data_ptr(), *x.stride())


def _address(x: Tensor | None) -> int | None:
    return None if x is None else x.data_ptr()


def _call(function: str, problem: _Problem, dtype: torch.dtype) -> None:
    getattr(library(), f"{function}_{str(dtype).removeprefix('torch.')}")(ctypes.byref(problem))
