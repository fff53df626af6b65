"""A trained network as a method: any grid in, a displacement on that grid out."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from phantom import head

from benchmark.method import METHODS, TRAINABLE, Factory, MethodContext
from benchmark.methods import learned
from benchmark.methods.learned import Learned
from models import checkpoint, variants
from models.variants import build, configure
from srreg.errors import BackendUnavailable, DataError, GeometryError
from srreg.registry import Registry
from srreg.volume import Volume

SHAPE = (12, 30, 20)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Weights of a network that moves something."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    config = configure("voxelmorph")
    network = build(config)
    torch.nn.init.normal_(network.head.weight, std=0.05)
    checkpoint.save(tmp_path / "weights.safetensors", network, config)
    return tmp_path / "weights.safetensors"


@pytest.fixture
def images() -> tuple[Volume, Volume]:
    subject = head(shape=SHAPE)
    return subject.mr, subject.ct


def prepared(weights: Path) -> Learned:
    method = METHODS.load("voxelmorph")(MethodContext(weights))
    method.prepare("cpu")
    assert isinstance(method, Learned)
    return method


def test_it_has_the_papers_parameters_before_it_has_weights() -> None:
    method = METHODS.load("vm")(MethodContext())
    assert method.name == "voxelmorph"
    assert method.parameters == 92_179


def test_the_displacement_lies_on_the_fixed_grid(weights: Path, images: tuple[Volume, Volume]) -> None:
    moving, fixed = images
    displacement = prepared(weights).register(moving, fixed)
    assert displacement.grid.matches(fixed.grid)
    assert np.abs(displacement.data).max() > 0.1


@pytest.mark.parametrize(("in_bf16", "tolerance_voxels"), [(False, 1e-4), (True, 0.05)])
def test_it_is_the_networks_field_with_the_padding_cropped(
    weights: Path, images: tuple[Volume, Volume], monkeypatch: pytest.MonkeyPatch, in_bf16: bool, tolerance_voxels: float
) -> None:
    monkeypatch.setattr(learned, "computes_in_bf16", lambda: in_bf16)
    moving, fixed = images
    network = build(configure("voxelmorph"))
    checkpoint.load(weights, network, configure("voxelmorph"))
    scaled = [(v.data - v.data.min()) / (v.data.max() - v.data.min()) for v in (moving, fixed)]
    inputs = [torch.zeros(1, 1, 16, 32, 32) for _ in scaled]
    for tensor, image in zip(inputs, scaled, strict=True):
        tensor[0, 0, :12, :30, :20] = torch.from_numpy(image)
    with torch.no_grad():
        expected = network(*inputs).displacement[0, :, :12, :30, :20].permute(1, 2, 3, 0)
    found = prepared(weights).register(moving, fixed).data
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance_voxels)


def test_it_repeats_itself_and_does_not_mind_the_scale_of_an_image(weights: Path, images: tuple[Volume, Volume]) -> None:
    moving, fixed = images
    method = prepared(weights)
    first = method.register(moving, fixed)
    assert np.array_equal(method.register(moving, fixed).data, first.data)
    rescaled = Volume(moving.data * 4 + 2, moving.affine)
    np.testing.assert_allclose(method.register(rescaled, fixed).data, first.data, atol=1e-4)


def test_without_weights_it_says_how_to_train() -> None:
    method = METHODS.load("voxelmorph")(MethodContext())
    assert method.check() == ["voxelmorph has no weights yet: bench train --method voxelmorph"]
    with pytest.raises(BackendUnavailable, match="bench train"):
        method.prepare("cpu")


def test_weights_that_are_not_there_are_missing(tmp_path: Path) -> None:
    method = METHODS.load("voxelmorph")(MethodContext(tmp_path / "none.safetensors"))
    assert "none.safetensors is missing" in method.check()[0]


def test_damaged_weights_are_refused(weights: Path) -> None:
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(DataError, match="cut off"):
        prepared(weights)


def test_a_damaged_checkpoint_of_the_authors_is_refused(tmp_path: Path) -> None:
    """Every byte of the pickle changed once: whatever its reader raises, it is the file's fault."""
    path = tmp_path / "min_train.pt"
    torch.save({"model_state": {"weight": torch.zeros(2)}, 7: [1]}, path, _use_new_zipfile_serialization=False)
    whole = path.read_bytes()
    for position in range(0, len(whole), 3):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x55]) + whole[position + 1 :])
        with pytest.raises(DataError):
            prepared(path)


def test_a_checkpoint_whose_names_are_no_names_is_refused(tmp_path: Path) -> None:
    torch.save({"model_state": {7: torch.zeros(2)}}, tmp_path / "min_train.pt")
    with pytest.raises(DataError, match="expected weights by name, got 7"):
        prepared(tmp_path / "min_train.pt")


def test_a_variant_is_a_line_in_each_of_two_tables(
    tmp_path: Path, images: tuple[Volume, Volume], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(configure("voxelmorph"), integration_steps=2)
    monkeypatch.setattr(variants, "VARIANTS", {**variants.VARIANTS, "voxelmorph-short": config})
    methods: Registry[Factory] = Registry("method", {"voxelmorph-short": "benchmark.methods.learned:voxelmorph-short"})
    checkpoint.save(tmp_path / "weights.safetensors", build(config), config)
    method = methods.load("voxelmorph-short")(MethodContext(tmp_path / "weights.safetensors"))
    method.prepare("cpu")
    assert method.name == "voxelmorph-short"
    assert method.register(*images).grid.matches(images[1].grid)
    torch.save({"flow.weight": torch.zeros(2)}, tmp_path / "min_train.pt")  # the authors' names for it are not known
    with pytest.raises(DataError, match="not the weights of voxelmorph-short"):
        methods.load("voxelmorph-short")(MethodContext(tmp_path / "min_train.pt")).prepare("cpu")


def test_what_learns_are_the_networks() -> None:
    assert set(variants.names()) == TRAINABLE


def test_images_on_two_grids_are_refused(weights: Path, images: tuple[Volume, Volume]) -> None:
    moving, fixed = images
    elsewhere = Volume(moving.data, np.diag([4.0, 4.0, 5.0, 1.0]))
    with pytest.raises(GeometryError, match="on one grid"):
        prepared(weights).register(elsewhere, fixed)


@pytest.mark.parametrize("name", ["min_train.pt", "min_train.pth"])
def test_the_authors_checkpoint_can_be_given(tmp_path: Path, images: tuple[Volume, Volume], name: str) -> None:
    ours = build(configure("voxelmorph")).state_dict()
    theirs = {_official(name): tensor for name, tensor in ours.items()}
    torch.save({"config": {"int_steps": 7}, "model_state": theirs}, tmp_path / name)
    displacement = prepared(tmp_path / name).register(*images)
    assert displacement.data.shape == (*SHAPE, 3)


def _official(name: str) -> str:
    name = name.replace("head.", "flow.").replace("module.", "unet_model.")
    block = "main" if "remaining" in name else "0.main"
    return name.replace("convolution", block)
