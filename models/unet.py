"""VoxelMorph's U-Net: the registration module of its rows, and the feature extractor of others."""

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.convolution import convolved

_SLOPE = 0.2  # of the leaky ReLU, as VoxelMorph has it


class ConvolutionBlock(nn.Module):
    """A 3 x 3 x 3 convolution and a leaky ReLU; no normalisation."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.convolution = nn.Conv3d(in_channels, out_channels, kernel_size=3, stride=stride, padding=1)
        nn.init.kaiming_normal_(self.convolution.weight)
        assert self.convolution.bias is not None
        nn.init.zeros_(self.convolution.bias)

    def forward(self, image: Tensor) -> Tensor:
        """[B, in, D, H, W] to [B, out, D / stride, H / stride, W / stride]."""
        convolution = self.convolution
        made = convolved(image, convolution.weight, convolution.bias, convolution.stride[0])
        return F.leaky_relu(made, _SLOPE, inplace=True)


class UNet(nn.Module):
    """Down by max-pooling, up by repeating voxels, with a skip at every level.

    Args:
        in_channels: of what comes in.
        encoder: width of each level, finest first.
        decoder: width of each level on the way up, coarsest first; what is left over are
            convolutions at full resolution.
    """

    def __init__(self, in_channels: int, encoder: tuple[int, ...], decoder: tuple[int, ...]) -> None:
        super().__init__()
        levels = len(encoder)
        on_the_way_up = (encoder[-1], *(up + skip for up, skip in zip(decoder, reversed(encoder), strict=False)))
        left_over = (on_the_way_up[-1], *decoder[levels:])
        self.encoder = nn.ModuleList(ConvolutionBlock(a, b) for a, b in pairwise((in_channels, *encoder)))
        self.decoder = nn.ModuleList(
            ConvolutionBlock(a, b) for a, b in zip(on_the_way_up[:levels], decoder[:levels], strict=True)
        )
        self.remaining = nn.ModuleList(ConvolutionBlock(a, b) for a, b in pairwise(left_over))

    def forward(self, image: Tensor) -> Tensor:
        """[B, in, D, H, W] to [B, decoder[-1], D, H, W]; every axis a multiple of 2 to the number of levels."""
        skips = []
        for block in self.encoder:
            skips.append(block(image))
            image = F.max_pool3d(skips[-1], kernel_size=2)  # [B, encoder[i], D / 2^(i + 1), ...]
        for block in self.decoder:
            upsampled = F.interpolate(block(image), scale_factor=2, mode="nearest")
            image = torch.cat([upsampled, skips.pop()], dim=1)
        for block in self.remaining:
            image = block(image)
        return image


@dataclass(frozen=True)
class UNetConfig:
    """Widths of a U-Net.

    Args:
        encoder: one width a level, finest first; at most four levels, since images are multiples of 16.
        decoder: at least as many; the last is how many channels come out.
    """

    encoder: tuple[int, ...]
    decoder: tuple[int, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.encoder) <= 4:
            raise ValueError(f"expected one to four encoder levels, got {len(self.encoder)}")
        if len(self.decoder) < len(self.encoder):
            raise ValueError(f"expected at least {len(self.encoder)} decoder widths, got {len(self.decoder)}")
        if min(*self.encoder, *self.decoder) < 1:
            raise ValueError(f"expected widths of 1 or more, got {self.encoder} and {self.decoder}")

    @property
    def out_channels(self) -> int:
        """Channels of what comes out."""
        if len(self.decoder) == len(self.encoder):  # the finest skip comes last
            return self.decoder[-1] + self.encoder[0]
        return self.decoder[-1]

    def build(self, in_channels: int) -> UNet:
        """The network, with random weights."""
        return UNet(in_channels, self.encoder, self.decoder)
