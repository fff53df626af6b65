"""A registration method of your own is one object: images in, displacement out.

    python examples/add_a_method.py

To have it in the benchmark, put this file into `benchmark/methods/` and a line into `METHODS` (`benchmark/method.py`):

    "centre-of-mass": "benchmark.methods.add_a_method:make",
"""

from dataclasses import dataclass

import numpy as np

from benchmark.method import MethodContext
from srreg.displacement import Displacement, warp
from srreg.volume import Volume


@dataclass(frozen=True)
class CentreOfMass:
    """Moves the centre of mass of the moving image onto that of the fixed one."""

    name: str = "centre-of-mass"
    parameters: int | None = None

    def check(self) -> list[str]:
        """Nothing is missing."""
        return []

    def prepare(self, device: str) -> None:
        """Nothing to prepare."""

    def register(self, moving: Volume, fixed: Volume) -> Displacement:
        """A translation, the same for every voxel."""
        shift = _centre(moving) - _centre(fixed)
        return Displacement(np.broadcast_to(shift, (*fixed.data.shape, 3)), fixed.affine)


def make(context: MethodContext) -> CentreOfMass:
    """The method; one that learns or must warm up takes its weights and the grid from the context."""
    return CentreOfMass()


def _centre(image: Volume) -> np.ndarray:
    weights = image.data / image.data.sum()
    return np.array([float((weights * index).sum()) for index in np.indices(image.data.shape)])


if __name__ == "__main__":
    blob = np.zeros((20, 24, 28), np.float32)
    blob[6:12, 8:14, 10:18] = 1
    fixed = Volume(blob, np.eye(4))
    moving = Volume(np.roll(blob, (2, -3, 4), axis=(0, 1, 2)), np.eye(4))
    moved = warp(moving, CentreOfMass().register(moving, fixed))
    print(f"mean difference before {np.abs(moving.data - blob).mean():.3f}, after {np.abs(moved.data - blob).mean():.3f}")
