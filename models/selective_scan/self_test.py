"""A small scan with a known answer: a fast back end that gets it wrong is not used."""

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from models.selective_scan import reference

_BATCH, _CHANNELS, _STATES = 2, 19, 5  # no multiples of a vector or a block
_TOKENS = (67, 132)  # a whole number of nothing; and of fours, where kernels have a path of their own
_TOLERANCE = 1e-4  # of the largest value; float32 reaches 1e-6, a wrong formula nothing like it
_NAMES = ("u", "delta", "A", "B", "C", "D", "z", "delta_bias")


def disagreement(scan: Callable[..., Tensor], device: torch.device) -> str:
    """Where a back end's output or a gradient in float32 leaves the float64 reference; empty if nowhere.

    Args:
        scan: a back end's.
        device: where to run it.
    """
    return next(filter(None, (_disagreement(scan, device, tokens) for tokens in _TOKENS)), "")


def _disagreement(scan: Callable[..., Tensor], device: torch.device, tokens: int) -> str:
    try:
        found = _answers(scan, device, torch.float32, tokens)
    except Exception as error:  # whatever a compiled kernel throws, there are others to take
        return f"it fails ({type(error).__name__}: {error})"
    for name, truth in _truth(tokens).items():
        off = float((found[name] - truth).abs().max() / truth.abs().max())
        if not off <= _TOLERANCE:  # nan is no agreement
            return f"its {name} is off by {off:.1e} of the largest value"
    return ""


@cache
def _truth(tokens: int) -> dict[str, Tensor]:
    return _answers(reference.scan, torch.device("cpu"), torch.float64, tokens)


def _answers(scan: Callable[..., Tensor], device: torch.device, dtype: torch.dtype, tokens: int) -> dict[str, Tensor]:
    """Output and gradients as float64 on the CPU, whatever mode the caller computes in."""
    with torch.inference_mode(False), torch.enable_grad(), torch.autocast(device.type, enabled=False):
        *inputs, weights = (x.to(device, dtype) for x in _problem(tokens))
        inputs = [x.requires_grad_() for x in inputs]
        y = scan(*inputs, delta_softplus=True)
        gradients = torch.autograd.grad((y * weights).sum(), inputs)
    names = ("output", *(f"gradient of {name}" for name in _NAMES))
    return {name: x.detach().to("cpu", torch.float64) for name, x in zip(names, (y, *gradients), strict=True)}


def _problem(tokens: int) -> list[Tensor]:
    """The eight inputs in their order, and weights that make one number of the output."""
    generator = torch.Generator("cpu").manual_seed(0)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64, device="cpu")

    long, wide = (_BATCH, _CHANNELS, tokens), (_BATCH, _STATES, tokens)
    shapes = (long, long, (_CHANNELS, _STATES), wide, wide, (_CHANNELS,), long, (_CHANNELS,), long)
    u, delta, logarithm, *others = (drawn(*shape) for shape in shapes)
    return [u, delta, -torch.exp(logarithm), *others]
