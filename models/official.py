"""The authors' checkpoints, converted to this project's names; nothing pickled is executed."""

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from models.network import RegistrationNetwork
from models.variants import build, configure, resolve

# Their names (as regular expressions) and ours, per network.
_RENAMED: Mapping[str, tuple[tuple[str, str], ...]] = {
    "voxelmorph": (
        (r"unet_model\.(encoder|decoder)\.(\d+)\.0\.main\.(\w+)", r"module.\1.\2.convolution.\3"),
        (r"unet_model\.remaining\.(\d+)\.main\.(\w+)", r"module.remaining.\1.convolution.\2"),
        (r"flow\.(\w+)", r"head.\1"),
    ),
}
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
    converted = {_renamed(key, resolve(name)): tensor for key, tensor in inner.items() if not key.endswith(_BUFFERS)}
    _check_weights(converted, network.state_dict(), name)
    network.load_state_dict(converted)
    return network


def _read(path: Path) -> Mapping[str, object]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle makes its reader raise anything
        first_line = str(error).partition("\n")[0]
        raise ValueError(f"{path}: expected a checkpoint that holds tensors and plain values only ({first_line})") from error
    if not isinstance(state, Mapping):
        raise ValueError(f"{path}: expected a dict of weights, got {type(state).__name__}")
    return state


def _renamed(key: str, name: str) -> str:
    for theirs, ours in _RENAMED.get(name, ()):
        if match := re.fullmatch(theirs, key):
            return match.expand(ours)
    return key  # a name this network does not have; the check names it


def _check_weights(found: Mapping[str, object], expected: Mapping[str, Tensor], name: str) -> None:
    odd = {key for key, tensor in found.items() if not isinstance(tensor, Tensor) or key not in expected}
    odd |= set(expected) - set(found)
    odd |= {key for key in set(expected) - odd if expected[key].shape != found[key].shape}  # type: ignore[attr-defined]
    if odd:
        raise ValueError(f"not the weights of {name}: missing, unknown or of another shape: {', '.join(sorted(odd))}")
