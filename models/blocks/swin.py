"""The TransMorph encoder's stage: Swin blocks, attention within windows that every other block shifts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, product
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Window = tuple[int, int, int]

_APART = -100.0  # added to the logits of tokens that the shift made neighbours; as in Swin


@dataclass(frozen=True)
class SwinConfig:
    """Sizes of the Swin stages, finest first (Chen et al. 2022, TransMorph, doi:10.1016/j.media.2022.102615).

    Args:
        depths: blocks of each stage.
        heads: of the attention in each stage.
        window: tokens along each axis.
        widening: inner channels of a block's MLP, as a multiple of the stage's width.
        drop_path: chance that the last block's branches are left out of a training step; it rises from 0, block by block.
    """

    depths: tuple[int, ...] = (2, 2, 4)
    heads: tuple[int, ...] = (4, 4, 8)
    window: Window = (5, 6, 7)
    widening: int = 4
    drop_path: float = 0.3

    adds_positions: ClassVar[bool] = False  # the attention has a bias by relative position

    def stages(self, widths: Sequence[int]) -> list[nn.Module]:
        """`depths[i]` blocks in stage i."""
        chances = iter(torch.linspace(0, self.drop_path, sum(self.depths)).tolist())
        return [
            nn.Sequential(*self._blocks(width, depth, heads, chances))
            for width, depth, heads in zip(widths, self.depths, self.heads, strict=True)
        ]

    def _blocks(self, width: int, depth: int, heads: int, chances: Iterator[float]) -> Iterator[nn.Module]:
        unshifted, shifted = (0, 0, 0), tuple(size // 2 for size in self.window)
        for index, chance in zip(range(depth), chances, strict=False):
            shift = shifted if index % 2 else unshifted
            yield SwinBlock(width, heads, self.window, shift, self.widening, chance)  # type: ignore[arg-type]


class SwinBlock(nn.Module):
    """Attention within windows and an MLP, each added to what came in.

    Args:
        width: channels of the tokens.
        heads: of the attention.
        window: tokens along each axis.
        shift: by how much the windows are moved; (0, 0, 0) in every other block.
        widening: of the MLP.
        drop_path: chance that a branch is left out, for each item of a training batch.
    """

    def __init__(self, width: int, heads: int, window: Window, shift: Window, widening: int, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = WindowAttention(width, heads, window)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, widening * width), nn.GELU(), nn.Linear(widening * width, width))
        self.window, self.shift, self.drop_path = window, shift, drop_path

    def forward(self, tokens: Tensor) -> Tensor:
        """[B, d, h, w, width] to the same."""
        tokens = tokens + self._dropped(self._attend(self.norm1(tokens)))
        return tokens + self._dropped(self.mlp(self.norm2(tokens)))

    def _attend(self, tokens: Tensor) -> Tensor:
        """Pad, shift, cut into windows, attend; and back."""
        d, h, w = tokens.shape[1:4]
        padding = [pad for n, size in zip((w, h, d), reversed(self.window), strict=True) for pad in (0, -n % size)]
        padded = F.pad(tokens, (0, 0, *padding))  # zeros, after the norm: they take part as keys and values
        grid: Window = tuple(padded.shape[1:4])  # type: ignore[assignment]
        is_shifted, apart = any(self.shift), None
        if is_shifted:
            padded = padded.roll([-s for s in self.shift], (1, 2, 3))
            apart = _shift_mask(grid, self.window, self.shift, tokens.device)
        attended = _join_windows(self.attention(_windows(padded, self.window), apart), grid, self.window)
        if is_shifted:
            attended = attended.roll(self.shift, (1, 2, 3))
        return attended[:, :d, :h, :w]

    def _dropped(self, branch: Tensor) -> Tensor:
        """Left out for some items of a training batch, and larger for the others, so that the mean stays."""
        if not self.training or self.drop_path == 0:
            return branch
        kept = 1 - self.drop_path
        chosen = torch.rand(len(branch), device=branch.device).lt(kept).to(branch.dtype).div(kept)
        return branch * chosen.view(-1, *[1] * (branch.ndim - 1))


class WindowAttention(nn.Module):
    """Multi-head attention among the tokens of a window, with a learned bias by relative position.

    Args:
        width: channels of the tokens.
        heads: how many share them.
        window: tokens along each axis.
    """

    def __init__(self, width: int, heads: int, window: Window) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        d, h, w = (2 * size - 1 for size in window)
        self.position_bias = nn.Parameter(torch.empty(d * h * w, heads))
        nn.init.trunc_normal_(self.position_bias, std=0.02)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.projection = nn.Linear(width, width)

    def forward(self, windows: Tensor, apart: Tensor | None = None) -> Tensor:
        """Attend within each window.

        Args:
            windows: [B, windows, n, width].
            apart: [windows, n, n], added to the logits; None: nothing.
        """
        q, k, v = (
            self.qkv(windows).unflatten(-1, (3, self.heads, -1)).permute(3, 0, 1, 4, 2, 5)
        )  # [B, windows, heads, tokens, c]
        bias = self.position_bias[relative_positions(self.window, windows.device)].permute(2, 0, 1)  # [heads, n, n]
        if apart is not None:
            bias = bias + apart[:, None]  # [windows, heads, n, n]
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))  # scaled by c to the -1/2
        return self.projection(mixed.transpose(2, 3).flatten(3))


def _windows(tokens: Tensor, window: Window) -> Tensor:
    """[B, d, h, w, C] to [B, windows, tokens of one, C]."""
    a, b, c = window
    cut = tokens.unflatten(3, (-1, c)).unflatten(2, (-1, b)).unflatten(1, (-1, a))  # [B, d/a, a, h/b, b, w/c, c, C]
    return cut.permute(0, 1, 3, 5, 2, 4, 6, 7).flatten(4, 6).flatten(1, 3)


def _join_windows(windows: Tensor, grid: Window, window: Window) -> Tensor:
    """Back to [B, d, h, w, C]."""
    many = [n // size for n, size in zip(grid, window, strict=True)]
    apart = windows.unflatten(2, window).unflatten(1, many)  # [B, d/a, h/b, w/c, a, b, c, C]
    return apart.permute(0, 1, 4, 2, 5, 3, 6, 7).flatten(5, 6).flatten(3, 4).flatten(1, 2)


def relative_positions(window: Window, device: torch.device) -> Tensor:
    """Row of the bias table for each query and key of a window: [tokens, tokens]."""
    axes = [torch.arange(size, device=device) for size in window]
    places = torch.stack(torch.meshgrid(*axes, indexing="ij")).flatten(1)  # [3, tokens]
    between = places[:, :, None] - places[:, None] + torch.tensor([s - 1 for s in window], device=device)[:, None, None]
    _, b, c = (2 * size - 1 for size in window)
    return (between[0] * b + between[1]) * c + between[2]


def _shift_mask(grid: Window, window: Window, shift: Window, device: torch.device) -> Tensor:
    """`_APART` between tokens of a window that came together only by the shift, 0 elsewhere: [windows, tokens, tokens]."""
    regions = torch.zeros(1, *grid, 1, device=device)
    cuts = [
        (slice(0, n - size), slice(n - size, n - moved), slice(n - moved, None))
        for n, size, moved in zip(grid, window, shift, strict=True)
    ]
    for number, (d, h, w) in zip(count(), product(*cuts), strict=False):
        regions[:, d, h, w] = number
    of_tokens = _windows(regions, window)[0, :, :, 0]  # [windows, tokens]
    return (of_tokens[:, :, None] != of_tokens[:, None]).float() * _APART
