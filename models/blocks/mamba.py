"""The Mamba encoder's stage: a layer norm and one Mamba block over the tokens in storage order."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.selective_scan import selective_scan

_SHORTEST_STEP, _LONGEST_STEP, _STEP_FLOOR = 1e-3, 1e-1, 1e-4  # of the scan at first, as in mamba-ssm


@dataclass(frozen=True)
class MambaConfig:
    """Sizes of a Mamba block; the same in every stage.

    Args:
        states: of each channel.
        kernel: tokens that the causal convolution sees.
        expand: inner channels, as a multiple of the stage's width.
    """

    states: int = 16
    kernel: int = 4
    expand: int = 2

    adds_positions: ClassVar[bool] = True  # a scan does not know where in space a token lies

    def stages(self, widths: Sequence[int]) -> list[nn.Module]:
        """One block a stage: the authors' config lists (2, 2, 4), and their code builds one of each."""
        return [MambaBlock(width, self) for width in widths]


class MambaBlock(nn.Module):
    """Normalise, then mix along the sequence. As in the authors' code nothing is added to what came in."""

    def __init__(self, width: int, config: MambaConfig) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.mixer = Mamba(width, config)

    def forward(self, tokens: Tensor) -> Tensor:
        """[B, d, h, w, width] to the same; the last axis runs fastest in the sequence."""
        return self.mixer(self.norm(tokens).flatten(1, 3)).view_as(tokens)


class Mamba(nn.Module):
    """The selective state space block of Gu and Dao 2023 (arXiv:2312.00752, fig. 3), with mamba-ssm's parameter names.

    Args:
        width: channels of the sequence.
        config: the block's sizes.
    """

    def __init__(self, width: int, config: MambaConfig) -> None:
        super().__init__()
        inner = config.expand * width
        self.rank, self.states = math.ceil(width / 16), config.states
        self.in_proj = nn.Linear(width, 2 * inner, bias=False)
        self.conv1d = nn.Conv1d(inner, inner, config.kernel, groups=inner, padding=config.kernel - 1)
        self.x_proj = nn.Linear(inner, self.rank + 2 * config.states, bias=False)
        self.dt_proj = nn.Linear(self.rank, inner)
        self.A_log = nn.Parameter(torch.arange(1, config.states + 1).float().log().repeat(inner, 1))  # A = -1, -2 ...
        self.D = nn.Parameter(torch.ones(inner))
        self.out_proj = nn.Linear(inner, width, bias=False)
        self._start_steps()

    def forward(self, sequence: Tensor) -> Tensor:
        """[B, L, width] to the same."""
        length = sequence.shape[1]
        u, gate = (self.in_proj.weight @ sequence.transpose(1, 2)).chunk(2, dim=1)  # each [B, inner, L]
        u = F.silu(self.conv1d(u)[..., :length])  # padded on both sides and cut at the end: it sees the past alone
        with torch.autocast(u.device.type, enabled=False):
            y = self._scan(u, gate)  # [B, inner, L]
        return (self.out_proj.weight @ y).transpose(1, 2)

    def _scan(self, u: Tensor, gate: Tensor) -> Tensor:
        """In single precision at least: errors of a step size grow along the sequence."""
        precise = torch.promote_types(u.dtype, torch.float32)
        to_step, from_step, A_log, D, bias = (
            weight.to(precise)  # which are less precise where the whole network was converted
            for weight in (self.x_proj.weight, self.dt_proj.weight, self.A_log, self.D, self.dt_proj.bias)
        )
        step, B, C = (to_step @ u.to(precise)).split([self.rank, self.states, self.states], dim=1)
        delta = from_step @ step  # [B, inner, L]
        y = selective_scan(u.to(precise), delta, -torch.exp(A_log), B, C, D, gate.to(precise), bias, delta_softplus=True)
        return y.to(u.dtype)

    def _start_steps(self) -> None:
        """Step sizes begin log-uniform: the bias is what softplus turns into them."""
        nn.init.uniform_(self.dt_proj.weight, -(self.rank**-0.5), self.rank**-0.5)
        low, high = math.log(_SHORTEST_STEP), math.log(_LONGEST_STEP)
        steps = torch.exp(low + (high - low) * torch.rand(self.dt_proj.out_features)).clamp(min=_STEP_FLOOR)
        with torch.no_grad():
            self.dt_proj.bias.copy_(steps + torch.log(-torch.expm1(-steps)))  # inverse of softplus
