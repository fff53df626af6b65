"""The scan written as its recurrence, a step a token: slow, readable, and the truth in tests."""

import torch
import torch.nn.functional as F
from torch import Tensor


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
    """The selective state space of Mamba (Gu and Dao 2023, arXiv:2312.00752, alg. 2), in the precision of its inputs.

    s_t = exp(delta_t A) s_(t-1) + delta_t B_t u_t, with s_0 = 0;  y_t = C_t s_t + D u_t;  gated: y_t SiLU(z_t).

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

    Returns:
        [batch, channels, L], of u's number type.
    """
    precise = torch.promote_types(u.dtype, torch.float32)  # half precision would lose the state
    x, step = u.to(precise), delta.to(precise)
    if delta_bias is not None:
        step = step + delta_bias.to(precise)[:, None]
    if delta_softplus:
        step = F.softplus(step)
    state = x.new_zeros(*x.shape[:2], A.shape[1])  # [batch, channels, states]
    outputs = []
    for t in range(x.shape[2]):
        decay = torch.exp(step[:, :, t, None] * A.to(precise))
        state = decay * state + (step[:, :, t] * x[:, :, t])[..., None] * B[:, None, :, t].to(precise)
        outputs.append((state * C[:, None, :, t].to(precise)).sum(-1))
    y = torch.stack(outputs, dim=-1)  # [batch, channels, L]
    if D is not None:
        y = y + D.to(precise)[:, None] * x
    if z is not None:
        y = y * F.silu(z.to(precise))
    return y.to(u.dtype)
