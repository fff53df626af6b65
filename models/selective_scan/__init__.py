"""The selective scan of Mamba: one signature, several back ends, each held against the readable one.

`selective_scan` is the door. `reference.py` says what is computed; `BACKENDS` names who can compute it.
"""

from collections.abc import Mapping

from torch import Tensor

from models.selective_scan.selection import BACKENDS, chosen, reasons, select

__all__ = ["BACKENDS", "chosen", "reasons", "selective_scan"]

_LONG, _WIDE = ("batch", "channels", "L"), ("batch", "states", "L")
_AXES = {
    "u": _LONG,
    "delta": _LONG,
    "A": ("channels", "states"),
    "B": _WIDE,
    "C": _WIDE,
    "D": ("channels",),
    "z": _LONG,
    "delta_bias": ("channels",),
}


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
    backend: str = "auto",
) -> Tensor:
    """The selective state space of Mamba (Gu and Dao 2023, arXiv:2312.00752, alg. 2); arguments as in mamba-ssm.

    s_t = exp(delta_t A) s_(t-1) + delta_t B_t u_t, with s_0 = 0;  y_t = C_t s_t + D u_t;  gated: y_t SiLU(z_t).

    Computed in float32, or in float64 where u is; differentiable once, by `reference` any number of times.

    Args:
        u: [batch, channels, L], what is scanned.
        delta: as u, the step sizes.
        A: [channels, states], negative in Mamba.
        B: [batch, states, L].
        C: as B.
        D: [channels]; None: no skip.
        z: as u; None: no gate.
        delta_bias: [channels], added to delta.
        delta_softplus: pass delta (with its bias) through softplus.
        backend: a name of `BACKENDS`; `auto`: the fastest that runs on the device of u and passes its self-test there.

    Returns:
        [batch, channels, L], of u's number type.

    Raises:
        ValueError: a shape, device or number type that does not fit, or no such back end.
        RuntimeError: the back end cannot run on the device; the message says why.
    """
    _check({"u": u, "delta": delta, "A": A, "B": B, "C": C, "D": D, "z": z, "delta_bias": delta_bias})
    return select(backend, u.device, u.dtype).scan(u, delta, A, B, C, D, z, delta_bias, delta_softplus)


def _check(given: Mapping[str, Tensor | None]) -> None:
    """Hold every tensor against the sizes that u and A set."""
    u, A = given["u"], given["A"]
    assert u is not None
    assert A is not None
    if u.ndim != 3 or A.ndim != 2 or 0 in (*u.shape, *A.shape):
        raise ValueError(
            f"expected u [batch, channels, L] and A [channels, states], none of them 0, got {list(u.shape)} and {list(A.shape)}"
        )
    size = dict(zip(("batch", "channels", "L", "states"), (*u.shape, A.shape[1]), strict=True))
    for name, tensor in given.items():
        if tensor is None:
            continue
        expected = [size[axis] for axis in _AXES[name]]
        if list(tensor.shape) != expected:
            raise ValueError(f"expected {name} [{', '.join(_AXES[name])}] = {expected}, got {list(tensor.shape)}")
        if not tensor.is_floating_point():
            raise ValueError(f"expected {name} of real floating-point numbers, got {tensor.dtype}")
        if tensor.device != u.device:
            raise ValueError(f"expected {name} on the device of u, {u.device}, got {tensor.device}")
