"""The conventional registration the paper cites: symmetric normalization by ANTs."""

import importlib.util
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from benchmark.method import MethodContext
from srreg import io
from srreg.displacement import Displacement
from srreg.geometry import to_ants
from srreg.volume import Volume


@dataclass(frozen=True)
class SyN:
    """ANTs SyN with Mattes mutual information; as it is made without arguments, with antspyx's defaults.

    `SyNOnly` is antspyx's `SyN` without its affine stages: the data set is affinely aligned already, every other
    method starts from there too, and the affine stage draws random samples, which would make two runs differ.
    It runs on the CPU whatever the device is, on as many threads as ITK sees cores. ANTs hands its field over
    in a file only, so writing and reading that file is in the time.

    Args:
        name: as in `METHODS`.
        steps: at most, at shrink factors 4, 2, 1.
    """

    name: str = "syn"
    steps: tuple[int, int, int] = (40, 20, 0)
    parameters: ClassVar[int | None] = None

    def check(self) -> list[str]:
        """Whether antspyx is installed."""
        is_there = importlib.util.find_spec("ants") is not None
        return [] if is_there else ["antspyx is missing: pip install antspyx"]

    def prepare(self, device: str) -> None:
        """Import antspyx, which takes seconds, and register two small images, for ANTs' first call is its slowest."""
        noise = np.random.default_rng(0).uniform(size=(2, 16, 16, 16))
        self.register(Volume(noise[0], np.eye(4)), Volume(noise[1], np.eye(4)))

    def register(self, moving: Volume, fixed: Volume) -> Displacement:
        """Run SyN and read the forward warp that ANTs wrote."""
        import ants

        with tempfile.TemporaryDirectory() as folder:
            found = ants.registration(
                to_ants(fixed),
                to_ants(moving),
                type_of_transform="SyNOnly",
                reg_iterations=self.steps,
                outprefix=str(Path(folder) / "syn"),
            )
            return Displacement(io.read_displacement(_warp_file(found["fwdtransforms"])).data, fixed.affine)


def make(context: MethodContext) -> SyN:
    """With antspyx's defaults; it needs nothing from the context."""
    return SyN()


def make_tuned(context: MethodContext) -> SyN:
    """With the settings that did best on validation pairs (docs/decisions/0017-syn-tuned.md)."""
    return SyN("syn-tuned", steps=(100, 70, 50))


def _warp_file(transforms: list[str]) -> Path:
    """The one deformation; beside it lies the matrix it began with, the identity."""
    (warp,) = (Path(name) for name in transforms if name.endswith("Warp.nii.gz"))
    return warp
