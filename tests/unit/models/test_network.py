"""How a network is made of its parts, how it begins, what it refuses. That it is the published one: test_fidelity.py."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import models
from models.network import RegistrationNetwork
from models.unet import UNetConfig
from models.variants import ALIASES, VARIANTS, configure

SHAPE = (16, 32, 48)


def images(seed: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    moving, fixed = torch.rand(2, 1, 1, *SHAPE, generator=generator)
    return moving, fixed


def test_the_authors_names_are_aliases() -> None:
    assert set(ALIASES.values()) == set(models.names()) == set(VARIANTS)
    assert models.create("vm").state_dict().keys() == models.create("voxelmorph").state_dict().keys()


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


def test_mamba_starts_as_published() -> None:
    torch.manual_seed(0)
    mixer = models.create("mambamorph").module.stages[1].block.mixer
    assert torch.equal(mixer.D, torch.ones(384))
    torch.testing.assert_close(mixer.A_log[7].exp(), torch.arange(1.0, 17))
    steps = F.softplus(mixer.dt_proj.bias).log10()
    assert -3.01 < steps.min() < -2.9
    assert -1.1 < steps.max() < -0.99
    assert steps.mean().item() == pytest.approx(-2, abs=0.1)  # uniform in the logarithm
    assert mixer.dt_proj.weight.abs().max().item() == pytest.approx(12**-0.5, rel=0.01)


def test_paths_are_dropped_in_training_alone_and_more_often_later() -> None:
    blocks = [block for stage in models.create("transmorph").module.stages for block in stage.block]
    assert [block.drop_path for block in blocks] == pytest.approx([0.3 * k / 7 for k in range(8)])
    torch.manual_seed(0)
    block = blocks[-1]
    tokens = torch.randn(1000, 1, 1, 2, 384)
    branch = torch.ones(1000, 1, 1, 2, 384)
    assert torch.equal(block.eval()._dropped(branch), branch)
    dropped = block.train()._dropped(branch)
    assert dropped.unique().tolist() == pytest.approx([0, 1 / 0.7])
    assert (dropped[:, 0, 0, 0, 0] == 0).float().mean().item() == pytest.approx(0.3, abs=0.05)
    assert block(tokens[:2]).shape == (2, 1, 1, 2, 384)


@pytest.mark.parametrize("name", models.names())
def test_double_precision_goes_through(name: str) -> None:
    moving, fixed = images()
    out = models.create(name).double()(moving.double(), fixed.double())
    assert out.displacement.dtype == torch.float64


@pytest.mark.parametrize("name", models.names())
def test_bfloat16_throughout_gives_nearly_the_field_of_single_precision(name: str) -> None:
    network, (moving, fixed) = models.create(name).eval(), images()
    with torch.no_grad():
        expected = network(moving, fixed).velocity
        found = network.bfloat16()(moving.bfloat16(), fixed.bfloat16()).velocity
    assert found.dtype == torch.bfloat16
    assert (found.float() - expected).norm() / expected.norm() < 0.1


@pytest.mark.parametrize("name", models.names())
def test_under_autocast_the_field_stays_in_single_precision(name: str) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        out = models.create(name)(*images())
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


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("integration_steps", -1),
        ("integration_steps", 2.5),
        ("integration_scale", 0.0),
        ("integration_scale", 0.3),
        ("module", None),
        ("features", "unet"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_its_field(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"expected .*{field}"):
        models.create("mambamorph", **{field: value})


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


def test_a_read_out_needs_features() -> None:
    with pytest.raises(ValueError, match="no feature extractor"):
        models.create("mambamorph-plain", has_read_out=True)


def test_a_read_out_gives_the_embedding_when_asked() -> None:
    network = RegistrationNetwork(nn.Identity(), nn.Conv3d(2, 4, 1), out_channels=4, read_out=nn.AvgPool3d(2))
    moving, fixed = images()
    assert network(moving, fixed).embedding is None
    embedding = network(moving, fixed, embed=True).embedding
    assert torch.equal(embedding[0], F.avg_pool3d(moving, 2))
    assert torch.equal(embedding[1], F.avg_pool3d(fixed, 2))


@pytest.mark.parametrize(("encoder", "decoder"), [((), (16,)), ((16,) * 5, (16,) * 5), ((16, 16), (16,)), ((16,), (16, 0))])
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
