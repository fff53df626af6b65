"""The scan in plain torch, for any device and number type: a chunk's tokens one after another, all chunks at once.

The sequence is cut into stretches whose states are in memory together, a stretch into chunks. Only the state that enters
each stretch is kept for the way back. Tokens come first here, laid out [place in chunk, chunk, batch, (states,) channels].
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

_NUMBERS = 2**20  # of a stretch's states: what fits into a processor's cache and still keeps a GPU busy
_CHUNK = 16  # tokens that follow one another


def missing(device: torch.device) -> str:
    """Why it cannot run on a device: it always can."""
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
    """As `reference.scan`; differentiable once."""
    precise = torch.promote_types(u.dtype, torch.float32)
    x, step = u.to(precise), delta.to(precise)
    if delta_bias is not None:
        step = step + delta_bias.to(precise)[:, None]
    if delta_softplus:
        step = F.softplus(step)
    y: Tensor = _Scan.apply(x, step, A.to(precise), B.to(precise), C.to(precise))
    if D is not None:
        y = torch.addcmul(y, D.to(precise)[:, None], x)
    if z is not None:
        y = y * F.silu(z.to(precise))
    return y.to(u.dtype)


class _Scan(torch.autograd.Function):
    """The recurrence alone; what is done token by token is left to autograd."""

    @staticmethod
    def forward(ctx: Any, *inputs: Tensor) -> Tensor:
        y, entries = _forward(*inputs)
        ctx.save_for_backward(*inputs, *entries)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, ...]:
        u, step, A, B, C, *entries = ctx.saved_tensors
        return _backward(u, step, A, B, C, dy, entries)


def _forward(u: Tensor, step: Tensor, A: Tensor, B: Tensor, C: Tensor) -> tuple[Tensor, list[Tensor]]:
    """The output, and the state that enters each stretch."""
    y, entries = torch.empty_like(u), []
    state = u.new_zeros(len(u), *A.t().shape)  # [batch, states, channels]
    for stretch in _stretches(u, A):
        entries.append(state)
        u_, step_, B_, C_ = (_tokens_first(x[..., stretch]) for x in (u, step, B, C))
        states = _outer(B_, step_ * u_)
        _, state = _accumulate(_decay(step_, A), states, state)
        _put(y, stretch, _sum_states(C_, states))
    return y, entries


def _backward(
    u: Tensor, step: Tensor, A: Tensor, B: Tensor, C: Tensor, dy: Tensor, entries: list[Tensor]
) -> tuple[Tensor, ...]:
    """Gradients of the five inputs: stretch by stretch from the end, the states replayed from the one that entered."""
    du, dstep, dB, dC = (torch.empty_like(x) for x in (u, step, B, C))
    dA = torch.zeros_like(A)
    dstate = torch.zeros_like(entries[0])  # of the state that leaves a stretch
    for stretch, entry in reversed([*zip(_stretches(u, A), entries, strict=True)]):
        u_, step_, B_, C_, dy_ = (_tokens_first(x[..., stretch]) for x in (u, step, B, C, dy))
        decay, states, dstates = _decay(step_, A), _outer(B_, step_ * u_), _outer(C_, dy_)
        chunk_entries, _ = _accumulate(decay.clone(), states, entry)
        _accumulate(_following(decay), dstates, dstate, backwards=True)
        dstate = decay[0, 0] * dstates[0, 0]
        _put(dC, stretch, _sum_channels(states, dy_))
        _put(dB, stretch, _sum_channels(dstates, step_ * u_))
        ddrive = _sum_states(B_, dstates)
        _put(du, stretch, ddrive * step_)
        dexponent = _carried_over(decay, states, chunk_entries).mul_(dstates)  # of the exponent, step A
        _put(dstep, stretch, ddrive * u_ + (dexponent * A.t()).sum(-2))
        dA += dexponent.mul_(step_[..., None, :]).sum((0, 1, 2)).t()
    return du, dstep, dA, dB, dC


def _stretches(u: Tensor, A: Tensor) -> Iterator[slice]:
    size = _CHUNK * max(1, _NUMBERS // (len(u) * A.numel() * _CHUNK))
    return (slice(first, min(first + size, u.shape[2])) for first in range(0, u.shape[2], size))


def _tokens_first(x: Tensor) -> Tensor:
    """[batch, rows, tokens] to [place, chunk, batch, rows]; zeros fill the last chunk: a step of 0 leaves a state alone."""
    x = F.pad(x, (0, -x.shape[2] % _CHUNK)).unflatten(2, (-1, _CHUNK))
    return x.permute(3, 2, 0, 1).contiguous()


def _put(target: Tensor, stretch: slice, x: Tensor) -> None:
    """The way back from `_tokens_first`, into a stretch of the whole."""
    target[..., stretch] = x.permute(2, 3, 1, 0).flatten(2)[..., : stretch.stop - stretch.start]


def _decay(step: Tensor, A: Tensor) -> Tensor:
    return (step[..., None, :] * A.t()).exp_()


def _outer(of_states: Tensor, of_channels: Tensor) -> Tensor:
    return of_states[..., None] * of_channels[..., None, :]


# Products and sums, not matrix products: these may be computed in less than float32, and for vectors they are slower.
def _sum_states(weights: Tensor, states: Tensor) -> Tensor:
    return (weights[..., None] * states).sum(-2)


def _sum_channels(states: Tensor, weights: Tensor) -> Tensor:
    return (states * weights[..., None, :]).sum(-1)


def _following(decay: Tensor) -> Tensor:
    """The decay of each token's successor; 1 at the end, where what comes in has been through it."""
    following = torch.empty_like(decay)
    following[:-1], following[-1, :-1], following[-1, -1] = decay[1:], decay[0, 1:], 1
    return following


def _carried_over(decay: Tensor, states: Tensor, chunk_entries: Tensor) -> Tensor:
    """What each token takes over from the state before it, in place of the decay."""
    decay[1:] *= states[:-1]
    decay[0] *= chunk_entries
    return decay


def _accumulate(decay: Tensor, gain: Tensor, entry: Tensor, backwards: bool = False) -> tuple[Tensor, Tensor]:
    """The recurrence s_t = decay_t s_(t-1) + gain_t: `gain` becomes s, `decay` its products from each chunk's begin on.

    Products of decays only shrink; nothing is ever divided by one.

    Args:
        decay: [place, chunk, batch, states, channels].
        gain: as decay.
        entry: [batch, states, channels], what comes before the first token.
        backwards: from the last token to the first.

    Returns:
        What enters each chunk, and what leaves the last.
    """
    direction = -1 if backwards else 1
    places = [*zip(decay, gain, strict=True)][::direction]
    for (decay_before, before), (decay_here, here) in pairwise(places):  # each chunk as if nothing had entered it
        here.addcmul_(decay_here, before)
        decay_here *= decay_before
    entries, (last_decay, last) = torch.empty_like(gain[0]), places[-1]
    for chunk in range(len(entries))[::direction]:
        entries[chunk] = entry
        entry = torch.addcmul(last[chunk], last_decay[chunk], entry)
    gain.addcmul_(decay, entries)
    return entries, entry
