"""The registration module of TransMorph and MambaMorph: an encoder over patches, a convolutional decoder with skips.

The rows differ by the block their encoder's stages are made of, and by nothing else.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.convolution import convolved
from models.instance_norm import instance_norm
from models.upsample import doubled

_PATCH = 4  # voxels along each edge
_STAGES = 3
_SLOPE = 0.01  # of the leaky ReLU here; VoxelMorph's parts have 0.2


class BlockConfig(Protocol):
    """What the stages of the encoder are made of."""

    @property
    def adds_positions(self) -> bool:
        """Whether tokens need to be told where they lie."""

    def stages(self, widths: Sequence[int]) -> list[nn.Module]:
        """For each width a module from tokens [B, d, h, w, width] to the same."""


@dataclass(frozen=True)
class HybridConfig:
    """Sizes of the module.

    Args:
        block: what the encoder's stages are made of.
        width: channels of a token in the first stage; twice and four times as many in the next.
        out_channels: of what comes out.
    """

    block: BlockConfig
    width: int = 96
    out_channels: int = 16

    def build(self, in_channels: int) -> "Hybrid":
        """The module, with random weights."""
        return Hybrid(in_channels, self)


class Hybrid(nn.Module):
    """Encode patches in three stages, then go up to full resolution, joined by the stages' outputs and two convolutions.

    Args:
        in_channels: of what comes in.
        config: the sizes.
    """

    def __init__(self, in_channels: int, config: HybridConfig) -> None:
        super().__init__()
        width, out = config.width, config.out_channels
        widths = [width * 2**i for i in range(_STAGES)]
        self.skip_full = ConvolutionNorm(in_channels, out)
        self.skip_half = ConvolutionNorm(in_channels, width // 2)
        self.patches = PatchEmbedding(in_channels, width)
        self.adds_positions = config.block.adds_positions
        blocks = config.block.stages(widths)
        self.stages = nn.ModuleList(
            Stage(block, width, is_last=width == widths[-1]) for block, width in zip(blocks, widths, strict=True)
        )
        self.up1 = Up(widths[2], widths[1], widths[1])
        self.up2 = Up(widths[1], widths[0], widths[0])
        self.up3 = Up(widths[0], width // 2, width // 2)
        self.up4 = Up(width // 2, out, out)

    def forward(self, image: Tensor) -> Tensor:
        """[B, in, D, H, W] to [B, out, D, H, W]; every axis a multiple of 16."""
        skips = [self.skip_full(image), self.skip_half(average_halved(image))]
        tokens = self.patches(image)  # [B, D/4, H/4, W/4, width]
        if self.adds_positions:
            tokens = tokens + sinusoid(tokens)
        for stage in self.stages:
            encoded, tokens = stage(tokens)
            skips.append(encoded)
        decoded = skips.pop()  # [B, 4 width, D/16, H/16, W/16]
        for up in (self.up1, self.up2, self.up3, self.up4):
            decoded = up(decoded, skips.pop())
        return decoded


class PatchEmbedding(nn.Module):
    """A token for each patch of 4 x 4 x 4 voxels."""

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.convolution = nn.Conv3d(in_channels, width, kernel_size=_PATCH, stride=_PATCH)
        self.norm = nn.LayerNorm(width)

    def forward(self, image: Tensor) -> Tensor:
        """[B, in, D, H, W] to [B, D/4, H/4, W/4, width]; multiples of 16 need no padding."""
        return self.norm(self.convolution(image).permute(0, 2, 3, 4, 1))


class Stage(nn.Module):
    """One resolution of the encoder: what the decoder gets, and what the next stage gets.

    Args:
        block: from tokens to tokens.
        width: of the tokens.
        is_last: no stage follows.
    """

    def __init__(self, block: nn.Module, width: int, is_last: bool) -> None:
        super().__init__()
        self.block = block
        self.norm = nn.LayerNorm(width)
        self.merging = None if is_last else PatchMerging(width)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """[B, d, h, w, C] to [B, C, d, h, w] and [B, d/2, h/2, w/2, 2C]: only what the decoder gets is normalised."""
        tokens = self.block(tokens)
        encoded = self.norm(tokens).permute(0, 4, 1, 2, 3)
        return encoded, tokens if self.merging is None else self.merging(tokens)


class PatchMerging(nn.Module):
    """Eight neighbouring tokens become one of twice the width."""

    ORDER = (
        (0, 0, 0),
        (1, 0, 0),
        (0, 1, 0),
        (0, 0, 1),
        (1, 1, 0),
        (0, 1, 1),
        (1, 0, 1),
        (1, 1, 1),
    )  # as in the authors' weights

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(8 * width)
        self.reduction = nn.Linear(8 * width, 2 * width, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """[B, d, h, w, C] to [B, d/2, h/2, w/2, 2C]."""
        eight = torch.cat([tokens[:, d::2, h::2, w::2] for d, h, w in self.ORDER], dim=-1)
        return self.reduction(self.norm(eight))


class ConvolutionNorm(nn.Module):
    """A 3 x 3 x 3 convolution without bias, instance normalisation, a leaky ReLU."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.convolution = nn.Conv3d(in_channels, out_channels, kernel_size=3, padding=1, bias=False)

    def forward(self, *images: Tensor) -> Tensor:
        """[B, in, D, H, W] to [B, out, D, H, W]; the channels may come in several images, first ones first.

        Each has its own part of the weight and nothing is joined: for the weight of 64 channels to 16 in half precision cuDNN
        takes a kernel over 100 times as slow as for 48 to 16 (torch 2.11, H200), which was nine tenths of a training step.
        """
        weights = self.convolution.weight.split([image.shape[1] for image in images], dim=1)
        first, *others = (convolved(*both) for both in zip(images, weights, strict=True))
        return F.leaky_relu(instance_norm(sum(others, start=first)), _SLOPE, inplace=True)


class Up(nn.Module):
    """Twice the resolution, joined by a skip, and two convolutions.

    Args:
        in_channels: of what comes from below.
        skip_channels: of the skip.
        out_channels: of what comes out.
    """

    def __init__(self, in_channels: int, skip_channels: int, out_channels: int) -> None:
        super().__init__()
        self.first = ConvolutionNorm(in_channels + skip_channels, out_channels)
        self.second = ConvolutionNorm(out_channels, out_channels)

    def forward(self, image: Tensor, skip: Tensor) -> Tensor:
        """[B, in, d, h, w] and [B, skip, 2d, 2h, 2w] to [B, out, 2d, 2h, 2w]."""
        return self.second(self.first(doubled(image), skip))


def average_halved(image: Tensor) -> Tensor:
    """Average pooling, 3 x 3 x 3 with stride 2; zeros beyond the border count in the mean.

    By sums of slices, an axis after the other: on a CPU three times as fast as `avg_pool3d`, and in bf16 too, which that lacks.

    Args:
        image: [B, C, D, H, W], even axes.

    Returns:
        [B, C, D/2, H/2, W/2].
    """
    for axis in (2, 3, 4):
        even, odd = image.unflatten(axis, (-1, 2)).unbind(axis + 1)
        image = even + odd
        image.narrow(axis, 1, image.shape[axis] - 1).add_(odd.narrow(axis, 0, odd.shape[axis] - 1))  # the one before
    return image / 27


def sinusoid(tokens: Tensor) -> Tensor:
    """Where tokens lie, as sines and cosines: a third of the channels an axis, all sines of an axis first.

    Args:
        tokens: [B, d, h, w, C]; their values do not count.

    Returns:
        [d, h, w, C] of the tokens' number type.
    """
    *grid, channels = tokens.shape[1:]
    of_axis = 2 * math.ceil(channels / 6)
    precise = torch.promote_types(tokens.dtype, torch.float32)

    def counted(end: int, step: int = 1) -> Tensor:
        return torch.arange(0, end, step, device=tokens.device, dtype=precise)

    frequencies = 10_000 ** (-counted(of_axis, step=2) / of_axis)
    waves = []
    for axis, size in enumerate(grid):
        angles = counted(size)[:, None] * frequencies
        wave = torch.cat([angles.sin(), angles.cos()], dim=-1)  # [size, of_axis]
        shape = [size if k == axis else 1 for k in range(3)]
        waves.append(wave.view(*shape, of_axis).expand(*grid, of_axis))
    return torch.cat(waves, dim=-1)[..., :channels].to(tokens.dtype)
