"""The affine initialization: the data set as it is aligned."""

from dataclasses import dataclass
from typing import ClassVar

from benchmark.method import MethodContext
from srreg.displacement import Displacement
from srreg.volume import Volume


@dataclass(frozen=True)
class Initial:
    """The zero field: the data set's images are affinely aligned to one frame."""

    name: ClassVar[str] = "initial"
    parameters: ClassVar[int | None] = None

    def check(self) -> list[str]:
        """Needs nothing."""
        return []

    def prepare(self, device: str) -> None:
        """Nothing to prepare, on any device."""

    def register(self, moving: Volume, fixed: Volume) -> Displacement:
        """No displacement anywhere."""
        return Displacement.zero(fixed.grid)


def make(context: MethodContext) -> Initial:
    """The method; it needs nothing from the context."""
    return Initial()
