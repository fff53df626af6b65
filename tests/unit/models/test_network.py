"""VoxelMorph as published: its parameters, its forward pass transcribed, what it refuses."""

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import models
from models.network import RegistrationNetwork
from models.official import load_official
from models.unet import UNetConfig
from models.variants import VARIANTS, configure

GOLDEN = Path(__file__).parents[2] / "golden" / "official_vm_shapes.json"
SHAPE = (16, 32, 48)


def official_state(seed: int = 0, flow_std: float = 0.05) -> dict[str, Tensor]:
    """Weights with the authors' names and shapes, large enough that the field moves something."""
    generator = torch.Generator().manual_seed(seed)
    shapes = json.loads(GOLDEN.read_text())
    state = {name: 0.1 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    state["flow.weight"] *= 10 * flow_std
    return state


def images(seed: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    moving, fixed = torch.rand(2, 1, 1, *SHAPE, generator=generator)
    return moving, fixed


def transcribed_warp(image: Tensor, flow: Tensor) -> Tensor:
    sizes = flow.shape[2:]
    grid = torch.stack(torch.meshgrid(*[torch.arange(n) for n in sizes], indexing="ij"))[None].float()
    position = grid + flow
    normalised = torch.stack([2 * (position[:, c] / (n - 1) - 0.5) for c, n in enumerate(sizes)], dim=-1)
    return F.grid_sample(image, normalised[..., [2, 1, 0]], mode="bilinear", align_corners=True)


def transcribed_forward(w: dict[str, Tensor], moving: Tensor, fixed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Sections 1.1 to 1.3 of the specification, step by step on the authors' names."""

    def block(x: Tensor, name: str) -> Tensor:
        return F.leaky_relu(F.conv3d(x, w[f"{name}.main.weight"], w[f"{name}.main.bias"], padding=1), 0.2)

    def scaled(flow: Tensor, factor: float) -> Tensor:
        return F.interpolate(flow, scale_factor=factor, mode="trilinear", align_corners=True)

    x = torch.cat([moving, fixed], 1)
    skips = []
    for i in range(4):
        x = block(x, f"unet_model.encoder.{i}.0")
        skips.append(x)
        x = F.max_pool3d(x, 2)
    for i in range(4):
        x = block(x, f"unet_model.decoder.{i}.0")
        x = torch.cat([F.interpolate(x, scale_factor=2, mode="nearest"), skips[3 - i]], 1)
    for j in range(2):
        x = block(x, f"unet_model.remaining.{j}")
    flow = F.conv3d(x, w["flow.weight"], w["flow.bias"], padding=1)
    preint_flow = scaled(flow, 0.5) * 0.5
    v = preint_flow / 2**7
    for _ in range(7):
        v = v + transcribed_warp(v, v)
    pos_flow = scaled(v * 2, 2)
    return preint_flow, pos_flow, transcribed_warp(moving, pos_flow)


def test_voxelmorph_has_the_papers_parameters() -> None:
    network = models.create("voxelmorph")
    assert sum(p.numel() for p in network.parameters()) == 92_179


def test_the_authors_name_is_an_alias() -> None:
    assert models.create("vm").state_dict().keys() == models.create("voxelmorph").state_dict().keys()


def test_voxelmorph_has_the_authors_shapes_in_their_order() -> None:
    expected = list(json.loads(GOLDEN.read_text()).values())
    assert [list(tensor.shape) for tensor in models.create("voxelmorph").state_dict().values()] == expected


def test_the_forward_pass_is_the_specifications() -> None:
    state, (moving, fixed) = official_state(), images()
    with torch.no_grad():
        out = load_official("voxelmorph", state)(moving, fixed)
        velocity, displacement, moved = transcribed_forward(state, moving, fixed)
    assert displacement.abs().max() > 0.5
    torch.testing.assert_close(out.velocity, velocity, rtol=0, atol=1e-5)
    torch.testing.assert_close(out.displacement, displacement, rtol=0, atol=1e-5)
    torch.testing.assert_close(out.moved, moved, rtol=0, atol=1e-5)


def test_it_starts_from_nearly_no_displacement() -> None:
    torch.manual_seed(0)
    out = models.create("voxelmorph")(*images())
    assert out.velocity.shape == (1, 3, 8, 16, 24)
    assert 0 < out.displacement.abs().max() < 0.01
    assert out.embedding is None


def test_convolutions_start_as_specified() -> None:
    torch.manual_seed(0)
    state = models.create("voxelmorph").state_dict()
    weight = state["module.remaining.0.convolution.weight"]
    assert weight.std().item() == pytest.approx((2 / (32 * 27)) ** 0.5, rel=0.03)
    assert state["head.weight"].std().item() == pytest.approx(1e-5, rel=0.1)
    assert not any(tensor.any() for name, tensor in state.items() if name.endswith("bias"))


def test_double_precision_goes_through() -> None:
    moving, fixed = images()
    out = models.create("voxelmorph").double()(moving.double(), fixed.double())
    assert out.displacement.dtype == torch.float64


def test_under_autocast_the_field_stays_in_single_precision() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        out = models.create("voxelmorph")(*images())
    assert out.velocity.dtype == out.displacement.dtype == out.moved.dtype == torch.float32


def test_shapes_that_are_no_multiples_of_16_are_refused() -> None:
    image = torch.zeros(1, 1, 16, 32, 40)
    with pytest.raises(ValueError, match=r"multiples of 16, got \[16, 32, 40\]; pad"):
        models.create("voxelmorph")(image, image)


def test_images_of_two_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        models.create("voxelmorph")(torch.zeros(1, 1, 16, 16, 32), torch.zeros(1, 1, 16, 32, 16))


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="Did you mean 'voxelmorph'"):
        models.create("voxelmorf")


def test_an_unknown_field_is_answered_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="no field steps; it has module"):
        models.create("voxelmorph", steps=3)


def test_a_field_can_be_overridden() -> None:
    assert models.create("vm", integration_steps=0).integration_steps == 0
    assert configure("vm", integration_steps=0) != VARIANTS["voxelmorph"]


def test_a_feature_extractor_is_shared_by_both_images() -> None:
    features = UNetConfig(encoder=(4, 4), decoder=(4, 4, 4, 4))
    network = models.create("voxelmorph", features=features)
    assert network.module.encoder[0].convolution.in_channels == 8
    assert sum("features" in name for name in network.state_dict()) == 12
    assert network(*images()).displacement.shape == (1, 3, *SHAPE)


def test_without_integration_the_displacement_is_the_velocity() -> None:
    out = models.create("voxelmorph", integration_steps=0, integration_scale=1.0)(*images())
    assert torch.equal(out.displacement, out.velocity)


def test_a_read_out_gives_the_embedding_when_asked() -> None:
    network = RegistrationNetwork(nn.Identity(), nn.Conv3d(2, 4, 1), out_channels=4, read_out=nn.AvgPool3d(2))
    moving, fixed = images()
    assert network(moving, fixed).embedding is None
    embedding = network(moving, fixed, embed=True).embedding
    assert torch.equal(embedding[0], F.avg_pool3d(moving, 2))
    assert torch.equal(embedding[1], F.avg_pool3d(fixed, 2))


@pytest.mark.parametrize(("encoder", "decoder"), [((), (16,)), ((16,) * 5, (16,) * 5), ((16, 16), (16,))])
def test_a_unet_that_cannot_be_is_refused(encoder: tuple[int, ...], decoder: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected"):
        UNetConfig(encoder, decoder)


def test_a_unet_without_left_over_convolutions_ends_with_the_finest_skip() -> None:
    config = UNetConfig(encoder=(4, 8), decoder=(8, 5))
    out = config.build(2)(torch.zeros(1, 2, 4, 8, 12))
    assert out.shape == (1, config.out_channels, 4, 8, 12)


@pytest.mark.parametrize("name", models.names())
def test_every_variant_registers_and_repeats_itself(name: str) -> None:
    torch.manual_seed(0)
    network = models.create(name).eval()
    moving, fixed = images()
    before = moving.clone()
    first, second = network(moving, fixed), network(moving, fixed)
    assert first.displacement.shape == (1, 3, *SHAPE)
    assert first.moved.shape == moving.shape
    assert torch.equal(first.displacement, second.displacement)
    assert torch.equal(moving, before)
