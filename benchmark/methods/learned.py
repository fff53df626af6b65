"""Methods that learn: a network of `models` with trained weights."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmark.method import Factory, MethodContext
from benchmark.network_input import min_max, padded
from benchmark.training.profiles import computes_in_bf16
from srreg.displacement import Displacement
from srreg.errors import BackendUnavailable, DataError, GeometryError
from srreg.volume import Grid, Volume

if TYPE_CHECKING:
    from torch import Tensor

    from models import RegistrationNetwork


class Learned:
    """A trained network.

    Args:
        name: of the network, as in `models.names()`.
        context: holds the weights file, and the grid to warm up on.
    """

    def __init__(self, name: str, context: MethodContext) -> None:
        self.name, self._weights, self._grid = name, context.weights, context.grid
        self._device = "cpu"

    @cached_property
    def _network(self) -> "RegistrationNetwork":
        """With random weights until `prepare` has read the trained ones."""
        import models

        return models.create(self.name)

    @property
    def parameters(self) -> int:
        """All of the network's, as the paper counts them."""
        return sum(parameter.numel() for parameter in self._network.parameters())

    def check(self) -> list[str]:
        """Whether there are weights."""
        if self._weights is None:
            return [f"{self.name} has no weights yet: bench train --method {self.name}"]
        if not self._weights.is_file():
            return [f"{self.name}: {self._weights} is missing; train it: bench train --method {self.name}"]
        return []

    def prepare(self, device: str) -> None:
        """Read the weights and register two empty images.

        Raises:
            BackendUnavailable: no weights.
            DataError: weights that are damaged or of another network.
        """
        for missing in self.check():
            raise BackendUnavailable(missing)
        assert self._weights is not None
        self._network = _with_weights(self.name, self._weights)
        ready(self._network, device)
        self._device = device
        grid = self._grid or Grid((32, 32, 32), np.eye(4))
        empty = Volume(np.zeros(grid.shape, np.float32), grid.affine)
        self.register(empty, empty)

    def register(self, moving: Volume, fixed: Volume) -> Displacement:
        """Scale, pad, run the network, crop the field.

        Raises:
            GeometryError: the images lie on two grids.
        """
        if not moving.grid.matches(fixed.grid):
            raise GeometryError(f"{self.name} registers images on one grid, got moving {moving.grid} and fixed {fixed.grid}")
        with inference(self._device):
            found = self._network(self._tensor(moving), self._tensor(fixed)).displacement[0]  # [3, D', H', W']
            field = found.permute(1, 2, 3, 0).cpu().numpy()  # [D', H', W', 3]
        d, h, w = fixed.grid.shape
        return Displacement(field[:d, :h, :w], fixed.affine)

    def _tensor(self, image: Volume) -> "Tensor":
        """[1, 1, D', H', W'] on the device."""
        import torch

        return torch.from_numpy(padded(min_max(image.data)))[None, None].to(self._device)


def ready(network: "RegistrationNetwork", device: str) -> None:
    """Move a network to where it registers, in the layout in which convolutions are fastest."""
    import torch

    network.to(device).eval().to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]


@contextmanager
def inference(device: str) -> Iterator[None]:
    """No gradients; on a CPU that computes in bf16 the convolutions do, on a GPU float32, not TF32.

    The field is float32 either way. bf16 more than halves time and memory and leaves the Dice within 0.001 (perf/networks.py).
    """
    import torch

    is_half = device == "cpu" and computes_in_bf16()
    exact = torch.backends.cudnn.flags(allow_tf32=False) if device.startswith("cuda") else nullcontext()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=is_half), exact:
        yield


def _with_weights(name: str, weights: Path) -> "RegistrationNetwork":
    """From a file that `bench train` wrote, or from one of the authors' checkpoints (`.pt`, `.pth`)."""
    import models
    from models import checkpoint
    from models.variants import build, configure

    try:
        if weights.suffix in (".pt", ".pth"):
            return models.load_official(name, weights)
        network = build(configure(name))
        checkpoint.load(weights, network, configure(name))
    except ValueError as error:
        raise DataError(str(error)) from error
    return network


def __getattr__(name: str) -> Factory:
    """The factory of a network by the network's name: `benchmark.methods.learned:voxelmorph`."""
    if name.startswith("_"):
        raise AttributeError(name)
    return partial(Learned, name)
