"""The rows of the paper's tables, as data."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

from torch import nn

from models.blocks.mamba import MambaConfig
from models.blocks.swin import SwinConfig
from models.features import FEATURES, ReadOut
from models.hybrid import HybridConfig
from models.network import RegistrationNetwork
from models.unet import UNetConfig

_SCALES = (1.0, 0.5, 0.25, 0.125)  # axes are multiples of 16, and an axis of one voxel cannot be resized back


class ModuleConfig(Protocol):
    """What a feature extractor or a registration module is made from."""

    @property
    def out_channels(self) -> int:
        """Channels of what the module gives."""

    def build(self, in_channels: int) -> nn.Module:
        """The module, with random weights."""


@dataclass(frozen=True)
class NetworkConfig:
    """Everything that tells one row from another.

    Args:
        module: finds the velocity.
        features: the feature extractor; None: the images themselves.
        has_read_out: whether the features have a read-out, which the contrastive loss needs.
        integration_steps: of scaling and squaring; 0: what the module gives is the displacement.
        integration_scale: 0.5 integrates at half resolution, as VoxelMorph does.

    Raises:
        ValueError: numbers that cannot be, or parts that cannot be built.
    """

    module: ModuleConfig
    features: ModuleConfig | None = FEATURES
    has_read_out: bool = False
    integration_steps: int = 7
    integration_scale: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.integration_steps, int) or self.integration_steps < 0:
            raise ValueError(f"expected integration_steps 0 or more, a whole number, got {self.integration_steps!r}")
        if self.integration_scale not in _SCALES:
            raise ValueError(f"expected an integration_scale of {', '.join(map(str, _SCALES))}, got {self.integration_scale!r}")
        for name in ("module", "features"):
            part = getattr(self, name)
            if not hasattr(part, "build") and (name, part) != ("features", None):
                raise ValueError(f"expected {name} to be a config such as UNetConfig, got {part!r}")


# Four levels of 16 channels: the authors' script has these, and only these give the paper's 0.09 M
# parameters. Its text says three layers; VoxelMorph's own widths would give 0.33 M.
UNET = UNetConfig(encoder=(16, 16, 16, 16), decoder=(16, 16, 16, 16, 16, 16))
SWIN, MAMBA = HybridConfig(SwinConfig()), HybridConfig(MambaConfig())

VARIANTS: Mapping[str, NetworkConfig] = {
    "voxelmorph": NetworkConfig(UNET, features=None, integration_scale=0.5),
    "voxelmorph-features": NetworkConfig(UNET, has_read_out=True, integration_scale=0.5),
    "transmorph": NetworkConfig(SWIN, features=None, integration_steps=0),
    "transmorph-features": NetworkConfig(SWIN, integration_steps=0),
    "mambamorph-original": NetworkConfig(MAMBA, features=None, integration_steps=0),
    "mambamorph-plain": NetworkConfig(MAMBA, features=None),
    "mambamorph": NetworkConfig(MAMBA, has_read_out=True),
}
ALIASES: Mapping[str, str] = {  # the names of the authors' code
    "vm": "voxelmorph",
    "vm-feat": "voxelmorph-features",
    "tm": "transmorph",
    "tm-feat": "transmorph-features",
    "mm-ori": "mambamorph-original",
    "mm": "mambamorph-plain",
    "mm-feat": "mambamorph",
}


def names() -> tuple[str, ...]:
    """The networks, in the order of the paper's tables."""
    return tuple(VARIANTS)


def resolve(name: str) -> str:
    """The name itself, or the one an alias stands for.

    Raises:
        ValueError: no such network; the message has the nearest name and the whole list.
    """
    resolved = ALIASES.get(name, name)
    if resolved in VARIANTS:
        return resolved
    near = difflib.get_close_matches(name, [*VARIANTS, *ALIASES], n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"no network is called {name!r}.{hint} There are: {', '.join(VARIANTS)}.")


def configure(name: str, **overrides: Any) -> NetworkConfig:
    """The row of a name, with some fields changed.

    Raises:
        ValueError: no such network, no such field, or a value that cannot be.
    """
    known = [field.name for field in fields(NetworkConfig)]
    unknown = sorted(set(overrides) - set(known))
    if unknown:
        raise ValueError(f"a network has no field {', '.join(unknown)}; it has {', '.join(known)}")
    return replace(VARIANTS[resolve(name)], **overrides)


def build(config: NetworkConfig) -> RegistrationNetwork:
    """The network of a row, with random weights from torch's generator.

    Raises:
        ValueError: a read-out without a feature extractor.
    """
    if config.features is None and config.has_read_out:
        raise ValueError("a read-out reads features, and this network has no feature extractor")
    features = nn.Identity() if config.features is None else config.features.build(1)
    channels = 1 if config.features is None else config.features.out_channels
    return RegistrationNetwork(
        features,
        config.module.build(2 * channels),
        config.module.out_channels,
        read_out=ReadOut(channels) if config.has_read_out else None,
        integration_steps=config.integration_steps,
        integration_scale=config.integration_scale,
    )


def create(name: str, **overrides: Any) -> RegistrationNetwork:
    """A network by its name or alias, with random weights.

    Args:
        name: one of `names()`, or an alias of the authors' code such as `vm`.
        overrides: fields of `NetworkConfig` to change.

    Raises:
        ValueError: no such network, no such field, or a value that cannot be.
    """
    return build(configure(name, **overrides))
