"""The paper's networks a second time, as plain functions on the authors' parameter names: the outside truth for `models`.

Written slowly from the description of the published code and sharing nothing with `models`: positions are sampled corner
by corner, windows are cut by hand, the scan is a loop over its tokens. Everything follows the dtype of the images.
"""

import json
import math
from itertools import product
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from transcribed_encoder import STATES, Parameters, encoder

SHAPES = Path(__file__).parent / "golden" / "official_shapes.json"
INTEGRATION_STEPS = 7


class Row(NamedTuple):
    """What sets one row of the paper's tables apart."""

    module: str
    has_extractor: bool
    has_read_out: bool
    integrates: bool


ROWS = {
    "vm": Row("unet", has_extractor=False, has_read_out=False, integrates=True),
    "vm-feat": Row("unet", has_extractor=True, has_read_out=True, integrates=True),
    "tm": Row("swin", has_extractor=False, has_read_out=False, integrates=False),
    "tm-feat": Row("swin", has_extractor=True, has_read_out=False, integrates=False),
    "mm-ori": Row("mamba", has_extractor=False, has_read_out=False, integrates=False),
    "mm": Row("mamba", has_extractor=False, has_read_out=False, integrates=True),
    "mm-feat": Row("mamba", has_extractor=True, has_read_out=True, integrates=True),
}


def official_state(name: str, seed: int = 0) -> dict[str, Tensor]:
    """Random parameters of a row, such that each of them matters and the field moves by some voxels."""
    generator = torch.Generator().manual_seed(seed)
    shapes = json.loads(SHAPES.read_text())[name]
    return {key: _filled(key, torch.randn(shape, generator=generator)) for key, shape in shapes.items()}


def _filled(key: str, noise: Tensor) -> Tensor:
    if key.endswith("A_log"):
        return torch.arange(1.0, STATES + 1).log() + 0.1 * noise
    if key.endswith("dt_proj.bias"):
        return (0.01 * 10 ** noise.sigmoid()).expm1().log()  # softplus makes it a step between 0.01 and 0.1
    if key.endswith("relative_position_bias_table"):
        return 0.5 * noise
    if key.endswith("bias"):
        return 0.2 * noise
    if noise.ndim == 1:  # norms, and D
        return 1 + 0.2 * noise
    return noise * math.sqrt((2 if noise.ndim == 5 else 1) / noise[0].numel())


def transcribe(
    name: str, state: dict[str, Tensor], moving: Tensor, fixed: Tensor, slip: str | None = None
) -> dict[str, Tensor]:
    """Register as the row does: velocity, displacement, moved and, where the row has it, feature.

    Args:
        moving: [B, 1, D, H, W]; every size a multiple of 16.
        fixed: as moving.
        slip: the place where to go wrong.
    """
    row = ROWS[name]
    p = Parameters({key: value.to(moving) for key, value in state.items()}, slip)
    images = (moving, fixed)
    if row.has_extractor:
        images = tuple(unet(p.under("feature_extractor"), image, levels=2) for image in images)
    x = torch.cat(p.either("fixed image first", images, images[::-1]), dim=1)
    if row.module == "unet":
        result = unet_displacement(p, unet(p.under("unet_model"), x, levels=4))
    else:
        result = hybrid_displacement(p, x, row)
    result["moved"] = warp(p, moving, result["displacement"])
    if row.has_read_out:
        result["feature"] = torch.cat([read_out(p.under("read_out_head"), image) for image in images], dim=1)
    return result


def unet_displacement(p: Parameters, x: Tensor) -> dict[str, Tensor]:
    """The velocity lives on the half grid; so does its integration."""
    full = [int(size) for size in x.shape[2:]]
    half = [size // 2 for size in full]
    flow = F.conv3d(x, p["flow.weight"], p["flow.bias"], padding=1)
    aligned = p.either("flow halved without aligned corners", True, False)
    velocity = F.interpolate(flow, half, mode="trilinear", align_corners=aligned)
    velocity = velocity * p.either("values not halved with the grid", 0.5, 1.0)
    integrated = integrate(p, velocity) * p.either("values not doubled with the grid", 2, 1)
    aligned = p.either("flow doubled without aligned corners", True, False)
    return {"velocity": velocity, "displacement": F.interpolate(integrated, full, mode="trilinear", align_corners=aligned)}


def hybrid_displacement(p: Parameters, x: Tensor, row: Row) -> dict[str, Tensor]:
    velocity = decoder(p, encoder(p.under("transformer"), x, row.module), x)
    return {"velocity": velocity, "displacement": integrate(p, velocity) if row.integrates else velocity}


# ---- space ----


def warp(p: Parameters, image: Tensor, displacement: Tensor) -> Tensor:
    """Trilinear, corner by corner; what lies outside of the image is zero."""
    sizes = image.shape[2:]
    displacement = p.either("components of the field reversed", displacement, displacement.flip(1))
    axes = torch.meshgrid(*(torch.arange(size).to(image) for size in sizes), indexing="ij")
    positions = [axis + displacement[:, c] for c, axis in enumerate(axes)]  # each [B, D, H, W]
    clamped = [position.clamp(0, size - 1) for position, size in zip(positions, sizes, strict=True)]
    positions = p.either("border values go on outside", positions, clamped)
    corners = product((0, 1), repeat=3)
    return sum((_corner(image, positions, corner) for corner in corners), start=torch.zeros_like(image))


def _corner(image: Tensor, positions: list[Tensor], corner: tuple[int, ...]) -> Tensor:
    weight, flat = torch.ones_like(positions[0]), torch.zeros_like(positions[0], dtype=torch.long)
    for position, size, step in zip(positions, image.shape[2:], corner, strict=True):
        lower = position.floor()
        index = lower.long() + step
        share = position - lower if step else 1 - (position - lower)
        weight = weight * share * ((index >= 0) & (index < size))
        flat = flat * size + index.clamp(0, size - 1)
    values = image.flatten(2).gather(2, flat.flatten(1)[:, None].expand(-1, image.shape[1], -1))
    return weight[:, None] * values.view_as(image)


def integrate(p: Parameters, velocity: Tensor) -> Tensor:
    steps = p.either("one integration step less", INTEGRATION_STEPS, INTEGRATION_STEPS - 1)
    displacement = velocity / 2**steps
    for _ in range(steps):
        displacement = displacement + warp(p, displacement, displacement)
    return displacement


# ---- convolutions ----


def conv_block(p: Parameters, x: Tensor, stride: int = 1) -> Tensor:
    x = F.conv3d(x, p["main.weight"], p["main.bias"], stride, padding=1)
    return F.leaky_relu(x, p.either("slope 0.01 in the U-Net", 0.2, 0.01))


def conv_norm_relu(p: Parameters, x: Tensor) -> Tensor:
    x = F.conv3d(x, p["0.weight"], padding=1)
    correction = p.either("unbiased variance in the instance norm", 0, 1)
    variance, mean = torch.var_mean(x, dim=(2, 3, 4), correction=correction, keepdim=True)
    return F.leaky_relu((x - mean) / (variance + 1e-5).sqrt(), p.either("slope 0.2 in the decoder", 0.01, 0.2))


def unet(p: Parameters, x: Tensor, levels: int) -> Tensor:
    skips = []
    for level in range(levels):
        x = conv_block(p.under(f"encoder.{level}.0"), x)
        skips.append(x)
        x = p.either("average pooling in the U-Net", F.max_pool3d, F.avg_pool3d)(x, 2)
    for level in range(levels):
        x = conv_block(p.under(f"decoder.{level}.0"), x)
        x = F.interpolate(x, scale_factor=2, mode=p.either("trilinear upsampling in the U-Net", "nearest", "trilinear"))
        pair = [x, skips.pop()]
        x = torch.cat(p.either("skip first in the U-Net", pair, pair[::-1]), dim=1)
    for last in range(2):
        x = conv_block(p.under(f"remaining.{last}"), x)
    return x


def read_out(p: Parameters, x: Tensor) -> Tensor:
    first, second = p.either("read-out halves late", (2, 1), (1, 2))
    return conv_block(p.under("1"), conv_block(p.under("0"), x, first), second)


def decoder(p: Parameters, features: list[Tensor], x: Tensor) -> Tensor:
    """From the encoder's features, finest first, and the images to the velocity."""
    counted = p.either("padding not counted in the average pool", True, False)
    pooled = F.avg_pool3d(x, 3, stride=2, padding=1, count_include_pad=counted)
    half = conv_norm_relu(p.under("c1"), pooled)
    full = conv_norm_relu(p.under("c2"), x)
    x = features[2]
    for number, skip in enumerate([features[1], features[0], half, full], start=1):
        aligned = p.either("decoder upsampling with aligned corners", False, True)
        x = F.interpolate(x, scale_factor=2, mode="trilinear", align_corners=aligned)
        pair = [x, skip]
        x = torch.cat(p.either("skip first in the decoder", pair, pair[::-1]), dim=1)
        x = conv_norm_relu(p.under(f"up{number}.conv1"), x)
        x = conv_norm_relu(p.under(f"up{number}.conv2"), x)
    return F.conv3d(x, p["reg_head.0.weight"], p["reg_head.0.bias"], padding=1)
