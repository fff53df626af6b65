"""The sentence of the method section: features, velocity, integration, warp."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.spatial import integrate, resize, warp

MULTIPLE = 16  # every axis: four halvings


@dataclass(frozen=True, eq=False)
class Registration:
    """What a network says about a pair.

    Args:
        velocity: [B, 3, d, h, w], what is integrated, in voxels of its own grid (half the size for VoxelMorph).
        displacement: [B, 3, D, H, W], voxels of the fixed grid, fixed to moving.
        moved: [B, 1, D, H, W], the moving image on the fixed one.
        embedding: read-outs of the moving and the fixed features, where asked for and the network has them.
    """

    velocity: Tensor
    displacement: Tensor
    moved: Tensor
    embedding: tuple[Tensor, Tensor] | None = None


class RegistrationNetwork(nn.Module):
    """Extract features of both images, find the velocity, integrate it, warp the moving image.

    Args:
        features: from one image [B, 1, D, H, W] to its features [B, F, D, H, W]; the same weights for both images.
        module: from both images' features [B, 2F, D, H, W] to [B, out_channels, D, H, W].
        out_channels: of the module.
        read_out: from features to the embedding of the contrastive loss; never part of the displacement.
        integration_steps: of scaling and squaring; 0: the velocity is the displacement.
        integration_scale: size of the grid on which the velocity is integrated, as a part of the image's.
    """

    def __init__(
        self,
        features: nn.Module,
        module: nn.Module,
        out_channels: int,
        read_out: nn.Module | None = None,
        integration_steps: int = 7,
        integration_scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.features, self.module, self.read_out = features, module, read_out
        self.head = _flow_head(out_channels)
        self.integration_steps, self.integration_scale = integration_steps, integration_scale

    def forward(self, moving: Tensor, fixed: Tensor, embed: bool = False) -> Registration:
        """Register the moving image to the fixed one.

        Args:
            moving: [B, 1, D, H, W] in [0, 1]; every axis a multiple of 16.
            fixed: as moving.
            embed: give the read-outs too.

        Raises:
            ValueError: shapes that differ or are no multiples of 16.
        """
        _check_images(moving, fixed)
        features = self.features(moving), self.features(fixed)  # each [B, F, D, H, W]
        embedding = None
        if embed and self.read_out is not None:
            embedding = self.read_out(features[0]), self.read_out(features[1])
        both = torch.cat(features, dim=1)
        del features  # half a gigabyte at full size, which nothing needs from here on
        velocity = self._velocity(both).to(moving.dtype)  # [B, 3, d, h, w]
        displacement = resize(integrate(velocity, self.integration_steps), 1 / self.integration_scale)  # [B, 3, D, H, W]
        return Registration(velocity, displacement, warp(moving, displacement), embedding)

    def _velocity(self, features: Tensor) -> Tensor:
        """What the module gives, on the grid on which it is integrated; half precision under autocast."""
        return resize(self.head(self.module(features)), self.integration_scale)


def _flow_head(in_channels: int) -> nn.Conv3d:
    """The convolution that gives the vectors; nearly zero at first, so that training starts from the identity."""
    head = nn.Conv3d(in_channels, 3, kernel_size=3, padding=1)
    nn.init.normal_(head.weight, std=1e-5)
    assert head.bias is not None
    nn.init.zeros_(head.bias)
    return head


def _check_images(moving: Tensor, fixed: Tensor) -> None:
    if moving.ndim != 5 or moving.shape[1] != 1 or moving.shape != fixed.shape:
        raise ValueError(
            f"expected two images of one shape [B, 1, D, H, W], got moving {list(moving.shape)} and fixed {list(fixed.shape)}"
        )
    if any(size % MULTIPLE or size == 0 for size in moving.shape[2:]):
        raise ValueError(
            f"expected axes that are multiples of {MULTIPLE}, got {list(moving.shape[2:])}; "
            "pad the images with zeros at the end and crop the field"
        )
