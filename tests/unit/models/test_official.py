"""The authors' checkpoints convert strictly, and nothing in them is executed."""

import json
import os
from pathlib import Path

import pytest
import torch

import models

GOLDEN = Path(__file__).parents[2] / "golden" / "official_vm_shapes.json"


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    return {name: torch.rand(shape) for name, shape in json.loads(GOLDEN.read_text()).items()}


def test_every_weight_arrives(state: dict[str, torch.Tensor]) -> None:
    converted = models.load_official("vm", state).state_dict()
    assert [t.sum() for t in converted.values()] == [t.sum() for t in state.values()]
    assert torch.equal(converted["module.decoder.2.convolution.bias"], state["unet_model.decoder.2.0.main.bias"])


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
    with pytest.raises(ValueError, match=r"not the weights of vm: .*head"):
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
