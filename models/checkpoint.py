"""Weights with their config and a digest, in one safetensors file that is there whole or not at all.

Nothing here is pickled: a file from a stranger can hold numbers and JSON, never code.
"""

import dataclasses
import hashlib
import json
import os
import uuid
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

_RECORD = "record"  # the one key of the file's metadata; several would come in any order


def write(path: Path, tensors: Mapping[str, Tensor], record: Mapping[str, object]) -> str:
    """Write tensors and a JSON record aside, flush, rename.

    Returns:
        The digest of the tensors, which the file holds too.
    """
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    digest = digest_of(on_cpu)
    text = json.dumps({**record, "digest": digest}, sort_keys=True)
    write_whole(path, to_bytes(on_cpu, {_RECORD: text}))
    return digest


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, object]]:
    """Tensors and record of a file that `write` wrote, on the CPU.

    Raises:
        ValueError: not there, not of this kind, cut off or altered.
    """
    try:
        with safe_open(path, framework="pt") as file:
            record = json.loads((file.metadata() or {}).get(_RECORD, "null"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError, ValueError) as error:
        raise ValueError(
            f"{path}: expected weights in a safetensors file; it is missing, cut off or of another kind ({error})"
        ) from error
    if not isinstance(record, dict):
        raise ValueError(f"{path}: holds no record of the network it belongs to; it was not written by this project")
    if record.get("digest") != digest_of(tensors):
        raise ValueError(f"{path}: damaged, the weights are not those its digest was taken of")
    return tensors, record


def save(path: Path, network: nn.Module, config: object) -> str:
    """Write a network's weights with the config (a dataclass) they belong to; gives the weights' digest."""
    return write(path, network.state_dict(), {"config": flatten(config)})


def load(path: Path, network: nn.Module, config: object) -> str:
    """Read weights into a network after comparing configs; gives the weights' digest.

    Raises:
        ValueError: an unusable file, or weights of another network; the message names the field that differs.
    """
    tensors, record = read(path)
    compare(path, record.get("config"), flatten(config))
    _compare_shapes(path, tensors, network.state_dict())
    network.load_state_dict(tensors)
    return str(record["digest"])


def flatten(config: object, prefix: str = "") -> dict[str, object]:
    """A dataclass of dataclasses as `field.field -> plain value`, with the class of each inner one under `field`."""
    if not dataclasses.is_dataclass(config) or isinstance(config, type):
        raise TypeError(f"expected a dataclass, got {type(config).__name__}")
    flat: dict[str, object] = {}
    for field in dataclasses.fields(config):
        name, value = prefix + field.name, getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            flat |= {name: type(value).__name__, **flatten(value, name + ".")}
        else:
            flat[name] = list(value) if isinstance(value, tuple) else value
    return flat


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """sha256 of names, types, shapes and values; the order does not count."""
    hasher = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        hasher.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        hasher.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return hasher.hexdigest()


def compare(path: Path, found: object, expected: Mapping[str, object]) -> None:
    """Refuse a file whose config or settings, as `flatten` gives them, are not the expected ones.

    Raises:
        ValueError: naming the first field that differs.
    """
    if not isinstance(found, dict):
        raise ValueError(f"{path}: has no record of what it was made with, so it cannot be used here")
    for name in [*expected, *found]:
        if found.get(name) != expected.get(name):
            raise ValueError(f"{path}: made with {name} {found.get(name)}, expected {expected.get(name)}")


def _compare_shapes(path: Path, found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    for name in [*expected, *found]:
        there, here = (list(t[name].shape) if name in t else "missing" for t in (found, expected))
        if there != here:
            raise ValueError(f"{path}: weights of another network: {name} is {there} there and {here} here")


def write_whole(path: Path, content: bytes) -> None:
    """Write aside, flush to disk, rename; the folder is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.parent / f".{path.name}.{os.getpid()}.{uuid.uuid4().hex}.part"  # as srreg names what may be cleared
    try:
        with aside.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
