"""Weights come back as they were written, and what is not exactly them is refused."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from models import checkpoint
from models.network import RegistrationNetwork
from models.unet import UNetConfig
from models.variants import build, configure

CONFIG = configure("voxelmorph", module=UNetConfig(encoder=(2, 2), decoder=(2, 2, 2)))


def network(seed: int) -> RegistrationNetwork:
    torch.manual_seed(seed)
    return build(CONFIG)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    checkpoint.save(tmp_path / "weights.safetensors", network(1), CONFIG)
    return tmp_path / "weights.safetensors"


def test_weights_come_back(path: Path) -> None:
    other = network(2)
    digest = checkpoint.load(path, other, CONFIG)
    assert all(torch.equal(a, b) for a, b in zip(other.parameters(), network(1).parameters(), strict=True))
    assert digest == checkpoint.digest_of(network(1).state_dict())


def test_the_same_weights_give_the_same_bytes(path: Path) -> None:
    again = path.with_name("again.safetensors")
    checkpoint.save(again, network(1).to(memory_format=torch.channels_last_3d), CONFIG)  # type: ignore[call-overload]
    assert again.read_bytes() == path.read_bytes()


def test_nothing_else_is_left_in_the_folder(path: Path) -> None:
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("field", "value"),
    [("integration_steps", 5), ("module", UNetConfig((2, 2), (2, 2, 3))), ("features", UNetConfig((2,), (2, 2)))],
)
def test_another_config_is_refused_by_its_field(path: Path, field: str, value: object) -> None:
    other = replace(CONFIG, **{field: value})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=rf"made with {field}"):
        checkpoint.load(path, build(other), other)


def test_another_shape_is_refused_by_its_weight(tmp_path: Path) -> None:
    wider = build(configure("voxelmorph", module=UNetConfig((2, 2), (2, 2, 3))))
    checkpoint.save(tmp_path / "w.safetensors", wider, CONFIG)
    with pytest.raises(ValueError, match=r"module\.remaining\.0\.convolution\.weight is \[3, 4, 3, 3, 3\] there"):
        checkpoint.load(tmp_path / "w.safetensors", network(0), CONFIG)


@pytest.mark.parametrize("part", [0.0, 0.001, 0.3, 0.999])
def test_a_file_that_was_cut_off_is_refused(path: Path, part: float) -> None:
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    with pytest.raises(ValueError, match="cut off"):
        checkpoint.load(path, network(0), CONFIG)


def test_a_flipped_bit_is_noticed(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        checkpoint.load(path, network(0), CONFIG)


def test_a_pickled_file_is_refused(path: Path) -> None:
    torch.save(network(1).state_dict(), path)
    with pytest.raises(ValueError, match="another kind"):
        checkpoint.load(path, network(0), CONFIG)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="missing"):
        checkpoint.load(tmp_path / "none.safetensors", network(0), CONFIG)


def test_a_file_of_another_program_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="no record"):
        checkpoint.load(tmp_path / "other.safetensors", network(0), CONFIG)


def test_a_failed_write_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        checkpoint.save(path, network(2), CONFIG)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_flatten_names_inner_fields_and_their_class() -> None:
    flat = checkpoint.flatten(CONFIG)
    assert flat["module"] == "UNetConfig"
    assert flat["module.encoder"] == [2, 2]
    assert flat["features"] is None


def test_flatten_refuses_what_is_no_dataclass() -> None:
    with pytest.raises(TypeError, match="expected a dataclass"):
        checkpoint.flatten({"a": 1})
