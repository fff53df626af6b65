"""The authors' checkpoints convert strictly, and nothing in them is executed."""

import json
import math
import os
from pathlib import Path

import pytest
import torch
from torch import nn

import models
from models.network import RegistrationNetwork
from models.official import official_names

GOLDEN = Path(__file__).parents[2] / "golden" / "official_shapes.json"
SHAPES: dict[str, dict[str, list[int]]] = json.loads(GOLDEN.read_text())


@pytest.fixture(params=SHAPES)
def row(request: pytest.FixtureRequest) -> str:
    return request.param


def state_of(row: str) -> dict[str, torch.Tensor]:
    return {name: torch.rand(shape) for name, shape in SHAPES[row].items()}


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    return state_of("vm")


def test_every_weight_arrives_under_its_own_name(row: str) -> None:
    state = state_of(row)
    network = models.load_official(row, state)
    assert {theirs: network.state_dict()[ours] for ours, theirs in official_names(network).items()}.keys() == state.keys()
    for ours, theirs in official_names(network).items():
        assert torch.equal(network.state_dict()[ours], state[theirs]), theirs


def test_what_is_written_for_the_authors_code_comes_back(tmp_path: Path, row: str) -> None:
    torch.manual_seed(0)
    network = models.create(row)
    models.save_official(row, network, tmp_path / "min_train.pt", shape=(16, 32, 48))
    again = models.load_official(row, tmp_path / "min_train.pt")
    assert all(torch.equal(a, b) for a, b in zip(network.state_dict().values(), again.state_dict().values(), strict=True))
    assert [p.name for p in tmp_path.iterdir()] == ["min_train.pt"]


def test_the_authors_code_finds_the_buffers_it_registers(tmp_path: Path) -> None:
    models.save_official("mm", models.create("mm"), tmp_path / "mm.pt", shape=(16, 32, 48))
    models.save_official("tm", models.create("tm"), tmp_path / "tm.pt", shape=(16, 32, 48))
    models.save_official("vm", models.create("vm"), tmp_path / "vm.pt", shape=(16, 32, 48))
    mamba, swin, unet = (torch.load(tmp_path / f"{name}.pt", weights_only=True) for name in ("mm", "tm", "vm"))
    assert mamba.keys() - SHAPES["mm"].keys() == {"spatial_trans.grid", "integrate.transformer.grid"}
    assert mamba["spatial_trans.grid"][0, :, 3, 20, 41].tolist() == [3, 20, 41]
    index = swin["transformer.layers.2.blocks.3.attn.relative_position_index"]
    # Query (4, 5, 6), the window's last, and key (0, 0, 0), its first, are farthest apart; a token and itself in the middle.
    assert (index[209, 0], index[0, 209], index[0, 0]) == (1286, 0, 643)
    assert unet["config"] == {"inshape": [16, 32, 48], "int_steps": 7, "int_downsize": 2}
    assert unet["model_state"].keys() == SHAPES["vm"].keys()


@pytest.mark.parametrize(("made", "asked"), [("mm", "mm-ori"), ("mm-ori", "mm")])
def test_rows_that_differ_by_their_integration_alone_are_told_apart(tmp_path: Path, made: str, asked: str) -> None:
    models.save_official(made, models.create(made), tmp_path / "x.pt", shape=(16, 32, 48))
    with pytest.raises(ValueError, match=f"not the weights of {asked}: they are of a network that integrates"):
        models.load_official(asked, tmp_path / "x.pt")
    with pytest.raises(ValueError, match=f"not a network {asked}"):
        models.save_official(asked, models.create(made), tmp_path / "y.pt")


def test_a_config_of_another_integration_is_refused(state: dict[str, torch.Tensor]) -> None:
    with pytest.raises(ValueError, match="made with int_downsize 1, vm has 2"):
        models.load_official("vm", {"config": {"int_steps": 7, "int_downsize": 1}, "model_state": state})


def test_weights_of_another_network_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not the weights of mm-feat: "):
        models.save_official("mm-feat", models.create("mm"), tmp_path / "x.pt")
    with pytest.raises(ValueError, match="no part of a network of the authors"):
        models.save_official("vm", RegistrationNetwork(nn.Identity(), nn.Conv3d(2, 4, 1), out_channels=4), tmp_path / "x.pt")
    assert not list(tmp_path.iterdir())


def test_buffers_are_dropped(state: dict[str, torch.Tensor]) -> None:
    models.load_official("voxelmorph", {**state, "transformer.grid": torch.zeros(1, 3, 2, 2, 2)})


def test_a_file_with_config_and_state_is_read(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    torch.save({"config": {"inshape": (16, 32, 48), "int_steps": 7}, "model_state": state}, tmp_path / "min_train.pt")
    network = models.load_official("vm", tmp_path / "min_train.pt")
    assert torch.equal(network.state_dict()["head.weight"], state["flow.weight"])


@pytest.mark.parametrize("change", ["missing", "unknown", "shape"])
def test_weights_that_are_not_exactly_this_networks_are_refused(state: dict[str, torch.Tensor], change: str) -> None:
    weight = state.pop("flow.weight")
    if change != "missing":
        state["flow.weight" if change == "shape" else "reg_head.0.weight"] = weight[:2]
    with pytest.raises(ValueError, match=r"not the weights of vm: .*(flow|reg_head)"):
        models.load_official("vm", state)


@pytest.mark.parametrize("value", [math.nan, math.inf, 1j, True])
def test_weights_that_are_no_finite_real_numbers_are_refused(state: dict[str, torch.Tensor], value: complex) -> None:
    state["flow.bias"] = torch.tensor([0, value, 0]) if value is not True else torch.tensor([1, 2, 3])
    with pytest.raises(ValueError, match=r"not the weights of vm: flow\.bias is torch\.\w+, not finite real"):
        models.load_official("vm", state)


class _Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("echo executed > executed.txt",)


def test_code_in_a_file_is_not_executed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: dict[str, torch.Tensor]
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"model_state": state, "config": _Evil()}, "evil.pt")
    with pytest.raises(ValueError, match="tensors and plain values only"):
        models.load_official("vm", "evil.pt")
    assert not Path("executed.txt").exists()


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / "weights.pt").write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match=r"weights\.pt"):
        models.load_official("vm", tmp_path / "weights.pt")
