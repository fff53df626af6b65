"""The authors' checkpoints, converted to this project's names and back; nothing pickled is executed."""

import io
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from models.blocks.swin import WindowAttention, relative_positions
from models.checkpoint import write_whole
from models.network import RegistrationNetwork
from models.spatial import identity_grid
from models.unet import UNet
from models.variants import build, configure

PAPER_SHAPE = (176, 208, 192)  # the grid that is fixed in the authors' config

_STAGE = r"module\.stages\.(\d+)"
_BLOCK, _THEIR_BLOCK = rf"{_STAGE}\.block\.(\d+)", r"transformer.layers.\1.blocks.\2"
# Our names (as regular expressions) and theirs; but for the head, whose name depends on the module.
_RENAMED = (
    (r"features\.(encoder|decoder)\.(\d+)\.convolution\.(\w+)", r"feature_extractor.\1.\2.0.main.\3"),
    (r"features\.remaining\.(\d+)\.convolution\.(\w+)", r"feature_extractor.remaining.\1.main.\2"),
    (r"read_out\.(\d+)\.convolution\.(\w+)", r"read_out_head.\1.main.\2"),
    (r"module\.(encoder|decoder)\.(\d+)\.convolution\.(\w+)", r"unet_model.\1.\2.0.main.\3"),
    (r"module\.remaining\.(\d+)\.convolution\.(\w+)", r"unet_model.remaining.\1.main.\2"),
    (r"module\.patches\.convolution\.(\w+)", r"transformer.patch_embed.proj.\1"),
    (r"module\.patches\.norm\.(\w+)", r"transformer.patch_embed.norm.\1"),
    (rf"{_STAGE}\.block\.norm\.(\w+)", r"transformer.layers.\1.norm.\2"),
    (rf"{_STAGE}\.block\.mixer\.(.+)", r"transformer.layers.\1.mamba.\2"),
    (rf"{_BLOCK}\.attention\.position_bias", rf"{_THEIR_BLOCK}.attn.relative_position_bias_table"),
    (rf"{_BLOCK}\.attention\.qkv\.(\w+)", rf"{_THEIR_BLOCK}.attn.qkv.\3"),
    (rf"{_BLOCK}\.attention\.projection\.(\w+)", rf"{_THEIR_BLOCK}.attn.proj.\3"),
    (rf"{_BLOCK}\.mlp\.0\.(\w+)", rf"{_THEIR_BLOCK}.mlp.fc1.\3"),
    (rf"{_BLOCK}\.mlp\.2\.(\w+)", rf"{_THEIR_BLOCK}.mlp.fc2.\3"),
    (rf"{_BLOCK}\.(norm\d)\.(\w+)", rf"{_THEIR_BLOCK}.\3.\4"),
    (rf"{_STAGE}\.norm\.(\w+)", r"transformer.norm\1.\2"),
    (rf"{_STAGE}\.merging\.(.+)", r"transformer.layers.\1.downsample.\2"),
    (r"module\.(up\d)\.first\.convolution\.(\w+)", r"\1.conv1.0.\2"),
    (r"module\.(up\d)\.second\.convolution\.(\w+)", r"\1.conv2.0.\2"),
    (r"module\.skip_half\.convolution\.(\w+)", r"c1.0.\1"),
    (r"module\.skip_full\.convolution\.(\w+)", r"c2.0.\1"),
)
_SHOWN = 8  # names in a message
_GRID, _INTEGRATION_GRID = "spatial_trans.grid", "integrate.transformer.grid"
_BUFFERS = (".grid", ".relative_position_index")  # computed at forward here, so no part of the weights


def load_official(name: str, state_or_path: Mapping[str, object] | Path | str) -> RegistrationNetwork:
    """A network with the authors' weights.

    Args:
        name: a network's name or alias.
        state_or_path: a state dict, a dict that holds one as `model_state`, or the file of either.

    Raises:
        ValueError: no such network, a file that holds more than numbers, or weights that are not exactly this network's.
    """
    state = _read(Path(state_or_path)) if isinstance(state_or_path, str | Path) else state_or_path
    inner = state.get("model_state", state)
    if not isinstance(inner, Mapping):
        raise ValueError(f"expected a state dict under 'model_state', got {type(inner).__name__}")
    if odd := [key for key in inner if not isinstance(key, str)]:
        raise ValueError(f"expected weights by name, got {odd[0]!r} among the names")
    network = build(configure(name))
    _check_integration(inner, state.get("config"), network, name)
    found = {key: tensor for key, tensor in inner.items() if not key.endswith(_BUFFERS)}
    theirs = official_names(network)
    _check_weights(found, {theirs[ours]: tensor for ours, tensor in network.state_dict().items()}, name)
    network.load_state_dict({ours: found[key] for ours, key in theirs.items()})
    return network


def save_official(name: str, network: RegistrationNetwork, path: Path | str, shape: tuple[int, int, int] = PAPER_SHAPE) -> None:
    """Write a network's weights as the authors' code reads them, whole or not at all.

    VoxelMorph's rows are `{config, model_state}` without buffers; the others are a plain state dict with the buffers
    their code registers, of one grid size.

    Args:
        name: the network's name or alias.
        network: made by `create(name)`, `load_official` or a training.
        path: the file, by habit `min_train.pt`.
        shape: [D, H, W] that their code will be built for.

    Raises:
        ValueError: no such network, weights of another one, or a network that integrates otherwise.
    """
    theirs = official_names(network)
    state = {theirs[ours]: tensor.detach().cpu().contiguous() for ours, tensor in network.state_dict().items()}
    twin = build(configure(name))
    ours, expected = ((one.integration_steps, one.integration_scale) for one in (network, twin))
    if ours != expected:
        raise ValueError(f"not a network {name}: it integrates in {ours[0]} steps at scale {ours[1]}, {name} in {expected}")
    _check_weights(state, {key: twin.state_dict()[ours] for ours, key in official_names(twin).items()}, name)
    if isinstance(network.module, UNet):
        config = {"inshape": list(shape), "int_steps": network.integration_steps, "int_downsize": 2}
        content: dict[str, object] = {"config": config, "model_state": state}
    else:
        content = {**state, **_buffers(network, shape)}
    encoded = io.BytesIO()
    torch.save(content, encoded)
    write_whole(Path(path), encoded.getvalue())


def official_names(network: RegistrationNetwork) -> dict[str, str]:
    """Our name of each parameter and the authors'."""
    head = "flow" if isinstance(network.module, UNet) else "reg_head.0"
    rules = (*_RENAMED, (r"head\.(\w+)", rf"{head}.\1"))
    return {ours: _renamed(ours, rules) for ours in network.state_dict()}


def _renamed(ours: str, rules: Iterable[tuple[str, str]]) -> str:
    for pattern, theirs in rules:
        if match := re.fullmatch(pattern, ours):
            return match.expand(theirs)
    raise ValueError(f"{ours} is no part of a network of the authors")


def _check_integration(state: Mapping[str, object], config: object, network: RegistrationNetwork, name: str) -> None:
    """Rows that differ by their integration alone have the same weights; what else the file holds tells them apart."""
    if isinstance(config, Mapping):
        expected = {"int_steps": network.integration_steps, "int_downsize": 1 / network.integration_scale}
        for field in expected.keys() & config.keys():
            if config[field] != expected[field]:
                raise ValueError(
                    f"not the weights of {name}: made with {field} {config[field]}, {name} has {expected[field]:g}"
                )
    if _GRID not in state:  # weights alone, or VoxelMorph's
        return
    integrates = _INTEGRATION_GRID in state
    if integrates != (network.integration_steps > 0):
        which = "integrates a velocity" if integrates else "integrates nothing"
        raise ValueError(f"not the weights of {name}: they are of a network that {which}")


def _buffers(network: RegistrationNetwork, shape: tuple[int, int, int]) -> dict[str, Tensor]:
    """What their modules register beside their weights, and load strictly."""
    grid = identity_grid(shape, torch.empty(0))  # [1, 3, D, H, W]
    buffers = {_GRID: grid}
    if network.integration_steps > 0:
        buffers[_INTEGRATION_GRID] = grid
    for name, part in network.named_modules():
        if isinstance(part, WindowAttention):
            key = _renamed(f"{name}.position_bias", _RENAMED).replace("bias_table", "index")
            buffers[key] = relative_positions(part.window, torch.device("cpu"))
    return buffers


def _read(path: Path) -> Mapping[str, object]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle makes its reader raise anything
        why = "is missing or cannot be read" if isinstance(error, OSError) else "is damaged, or holds more than that"
        raise ValueError(f"{path}: expected a checkpoint that holds tensors and plain values only; this one {why}") from error
    if not isinstance(state, Mapping):
        raise ValueError(f"{path}: expected a dict of weights, got {type(state).__name__}")
    return state


def _check_weights(found: Mapping[str, object], expected: Mapping[str, Tensor], name: str) -> None:
    odd = {key for key, tensor in found.items() if not isinstance(tensor, Tensor) or key not in expected}
    odd |= set(expected) - set(found)
    odd |= {key for key in set(expected) - odd if expected[key].shape != found[key].shape}  # type: ignore[attr-defined]
    if odd:
        shown = ", ".join(sorted(odd)[:_SHOWN]) + (f" and {len(odd) - _SHOWN} more" if len(odd) > _SHOWN else "")
        raise ValueError(f"not the weights of {name}: missing, unknown or of another shape: {shown}")
    for key, tensor in found.items():
        assert isinstance(tensor, Tensor)
        if not (tensor.is_floating_point() and bool(torch.isfinite(tensor).all())):
            raise ValueError(f"not the weights of {name}: {key} is {tensor.dtype}, not finite real numbers throughout")
