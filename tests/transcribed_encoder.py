"""The encoder of TransMorph and MambaMorph for `transcription`: patches, three stages of tokens, merging.

Tokens keep their place in space, [B, h, w, t, C], until something wants them in a row. Two readings are Swin's usual ones:
the joint projection gives queries, keys, values in this order, and a head's channels lie side by side.
"""

import math
from dataclasses import dataclass
from itertools import product
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

STATES = 16  # of a Mamba block's channel
WINDOW, SHIFT = (5, 6, 7), (2, 3, 3)  # tokens
DEPTHS, HEADS = (2, 2, 4), (4, 4, 8)  # of the Swin stages
NEIGHBOURS = ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (0, 1, 1), (1, 0, 1), (1, 1, 1))  # merged, in this order

T = TypeVar("T")


@dataclass(frozen=True)
class Parameters:
    """The authors' parameters below one prefix of their names, and the one slip to make, if any.

    `either` marks a place where an implementation easily goes wrong: it takes the wrong way where that slip is asked for, so
    that a test can show that the comparison would notice.
    """

    state: dict[str, Tensor]
    slip: str | None = None
    prefix: str = ""

    def __getitem__(self, name: str) -> Tensor:
        return self.state[self.prefix + name]

    def under(self, name: str) -> "Parameters":
        return Parameters(self.state, self.slip, f"{self.prefix}{name}.")

    def either(self, slip: str, right: T, wrong: T) -> T:
        return wrong if self.slip == slip else right


def encoder(p: Parameters, x: Tensor, module: str) -> list[Tensor]:
    """The normalised output of the three stages, [B, C, h, w, t] each, finest first."""
    x = F.conv3d(x, p["patch_embed.proj.weight"], p["patch_embed.proj.bias"], stride=4).movedim(1, -1)
    x = layer_norm(p.under("patch_embed.norm"), x)
    if module == "mamba":
        x = x + sinusoid(p, x)
    features = []
    for stage in range(3):
        layer = p.under(f"layers.{stage}")
        x = mamba_stage(layer, x) if module == "mamba" else swin_stage(layer, x, stage)
        normed = layer_norm(p.under(f"norm{stage}"), x)
        features.append(p.either("skips not normalised", normed, x).movedim(-1, 1))
        if stage < 2:
            x = merge(layer.under("downsample"), p.either("normalised features merged", x, normed))
    return features


def layer_norm(p: Parameters, x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], p["weight"], p["bias"], eps=1e-5)


def merge(p: Parameters, x: Tensor) -> Tensor:
    order = p.either("neighbours merged in counting order", NEIGHBOURS, tuple(product((0, 1), repeat=3)))
    x = torch.cat([x[:, i::2, j::2, k::2] for i, j, k in order], dim=-1)
    return F.linear(layer_norm(p.under("norm"), x), p["reduction.weight"])


def sinusoid(p: Parameters, x: Tensor) -> Tensor:
    """The sinusoid of each axis in a third of the channels."""
    grid, width = x.shape[1:4], x.shape[-1] // 3
    frequencies = 10000 ** (-2 * torch.arange(width // 2).to(x) / width)
    thirds = []
    for axis, size in enumerate(grid):
        angles = torch.arange(size).to(x)[:, None] * frequencies
        halves = torch.stack([angles.sin(), angles.cos()])  # [2, size, width / 2]
        interleaved = halves.permute(1, 2, 0).reshape(size, width)
        values = p.either("sines and cosines interleaved", torch.cat([*halves], dim=1), interleaved)
        thirds.append(values.view([size if a == axis else 1 for a in range(3)] + [width]).expand(*grid, width))
    return torch.cat(p.either("positions of the last axis first", thirds, thirds[::-1]), dim=-1)


# ---- Mamba ----


def mamba_stage(p: Parameters, x: Tensor) -> Tensor:
    order = p.either("first axis scanned fastest", (0, 1, 2, 3, 4), (0, 3, 2, 1, 4))
    grid = layer_norm(p.under("norm"), x).permute(order)
    mixed = mamba(p.under("mamba"), grid.flatten(1, 3)).view(grid.shape).permute(order)
    return p.either("residual around Mamba", mixed, mixed + x)


def mamba(p: Parameters, x: Tensor) -> Tensor:
    """Mamba version 1 on tokens [B, L, C]."""
    pair = F.linear(x, p["in_proj.weight"]).chunk(2, dim=-1)
    u, gate = p.either("gate before the input", pair, pair[::-1])
    u = F.silu(causal_convolution(p, u))
    rank = p["dt_proj.weight"].shape[1]
    step, b, c = F.linear(u, p["x_proj.weight"]).split([rank, STATES, STATES], dim=-1)
    step = F.linear(step, p["dt_proj.weight"], p["dt_proj.bias"])
    delta = p.either("no softplus", F.softplus(step), step)
    y = scan(p, u, delta, *p.either("B and C swapped", (b, c), (c, b)))
    return F.linear(y * p.either("no gate", F.silu(gate), torch.ones_like(gate)), p["out_proj.weight"])


def causal_convolution(p: Parameters, u: Tensor) -> Tensor:
    padded = F.pad(u, (0, 0, *p.either("convolution sees ahead", (3, 0), (2, 1))))
    length = u.shape[1]
    return p["conv1d.bias"] + sum(padded[:, tap : tap + length] * p["conv1d.weight"][:, 0, tap] for tap in range(4))


def scan(p: Parameters, u: Tensor, delta: Tensor, b: Tensor, c: Tensor) -> Tensor:
    a = -p["A_log"].exp()  # [D, N]
    state = torch.zeros_like(u[:, 0, :, None] * a)  # [B, D, N]
    outputs = []
    for t in range(u.shape[1]):
        step = delta[:, t, :, None]
        held = (step * a).exp()
        kept = p.either("exact hold of the input", step, (held - 1) / a)
        state = held * state + kept * u[:, t, :, None] * b[:, t, None]
        outputs.append((state * c[:, t, None]).sum(-1))
    return torch.stack(outputs, dim=1) + p.either("no direct path past the state", p["D"], torch.zeros_like(p["D"])) * u


# ---- Swin ----


def swin_stage(p: Parameters, x: Tensor, stage: int) -> Tensor:
    for block in range(DEPTHS[stage]):
        b = p.under(f"blocks.{block}")
        shift = SHIFT if block % 2 else (0, 0, 0)
        x = x + attention(b.under("attn"), layer_norm(b.under("norm1"), x), HEADS[stage], shift)
        x = x + mlp(b.under("mlp"), layer_norm(b.under("norm2"), x))
    return x


def mlp(p: Parameters, x: Tensor) -> Tensor:
    x = F.linear(x, p["fc1.weight"], p["fc1.bias"])
    x = F.gelu(x, approximate=p.either("approximate GELU", "none", "tanh"))
    return F.linear(x, p["fc2.weight"], p["fc2.bias"])


def attention(p: Parameters, x: Tensor, heads: int, shift: tuple[int, ...]) -> Tensor:
    """Pad to whole windows, roll, attend inside each window, roll back, crop."""
    window = p.either("window sides reversed", WINDOW, WINDOW[::-1])
    h, w, t = x.shape[1:4]
    missing = [-size % side for size, side in zip((h, w, t), window, strict=True)]
    padding = (0, 0, 0, missing[2], 0, missing[1], 0, missing[0])
    back = p.either("rolled the other way", tuple(-s for s in shift), shift)
    rolled = F.pad(x, padding).roll(back, (1, 2, 3))
    real = F.pad(torch.ones_like(x[:1, ..., :1]), padding).roll(back, (1, 2, 3))
    apart = different_regions(p, rolled.shape[1:4], window, shift)
    is_padding = cut(real, window).transpose(-1, -2) == 0  # [1, windows, 1, keys]
    blocked = p.either("padded tokens masked", apart, apart | is_padding)
    mixed = attend(p, cut(rolled, window), heads, position_bias(p, window), -100.0 * blocked[:, :, None].to(x))
    return joined(mixed, window, rolled.shape).roll([-b for b in back], (1, 2, 3))[:, :h, :w, :t]


def attend(p: Parameters, x: Tensor, heads: int, bias: Tensor, mask: Tensor) -> Tensor:
    """Attention of the tokens of each window [B, windows, tokens, C]."""
    split = F.linear(x, p["qkv.weight"]).unflatten(-1, (3, heads, -1))
    query, key, value = split.permute(3, 0, 1, 4, 2, 5)  # each [B, windows, heads, tokens, C / heads]
    logits = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1]) + bias + mask
    mixed = logits.softmax(dim=-1) @ value
    return F.linear(mixed.transpose(2, 3).flatten(3), p["proj.weight"], p["proj.bias"])


def position_bias(p: Parameters, window: tuple[int, ...]) -> Tensor:
    """One bias for each head, query and key."""
    places = torch.tensor(list(product(*map(range, window))))
    offset = places[:, None] - places  # query minus key
    offset = p.either("key minus query", offset, -offset) + torch.tensor(window) - 1
    sides = [2 * side - 1 for side in window]
    index = (offset[..., 0] * sides[1] + offset[..., 1]) * sides[2] + offset[..., 2]
    reversed_index = (offset[..., 2] * sides[1] + offset[..., 1]) * sides[0] + offset[..., 0]
    return p["relative_position_bias_table"][p.either("bias counted from the last axis", index, reversed_index)].movedim(-1, 0)


def different_regions(p: Parameters, grid: torch.Size, window: tuple[int, ...], shift: tuple[int, ...]) -> Tensor:
    """[1, windows, tokens, tokens]: did the roll bring the two together from different ends of the volume?"""
    if shift == (0, 0, 0):
        return torch.zeros(1, 1, 1, 1, dtype=torch.bool)
    shift = p.either("mask for another shift", shift, tuple(s - 1 for s in shift))
    region = torch.zeros(*grid, dtype=torch.long)
    for axis, (size, side, moved) in enumerate(zip(grid, window, shift, strict=True)):
        place = torch.arange(size)
        part = (place >= size - side).long() + (place >= size - moved)
        region = 3 * region + part.view([size if a == axis else 1 for a in range(3)])
    region = cut(region[None, ..., None], window)
    apart = region != region.transpose(-1, -2)
    return p.either("no mask", apart, torch.zeros_like(apart))


def cut(x: Tensor, window: tuple[int, ...]) -> Tensor:
    """[B, h, w, t, C] into [B, windows, tokens, C]."""
    (i, j, k), (b, h, w, t, c) = window, x.shape
    return x.view(b, h // i, i, w // j, j, t // k, k, c).permute(0, 1, 3, 5, 2, 4, 6, 7).reshape(b, -1, i * j * k, c)


def joined(x: Tensor, window: tuple[int, ...], shape: torch.Size) -> Tensor:
    """The inverse of `cut`."""
    (i, j, k), (b, h, w, t, c) = window, shape
    return x.view(b, h // i, w // j, t // k, i, j, k, c).permute(0, 1, 4, 2, 5, 3, 6, 7).reshape(b, h, w, t, c)
