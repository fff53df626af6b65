"""What a registration method looks like to the benchmark, and the table of those there are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from srreg.displacement import Displacement
from srreg.errors import DataError
from srreg.registry import Registry
from srreg.volume import Grid, Volume


@dataclass(frozen=True)
class MethodContext:
    """What a method may be given when it is made.

    Args:
        weights: file of trained weights, for a method that learns.
        grid: the grid that will be registered, for a method that must warm up on it.
    """

    weights: Path | None = None
    grid: Grid | None = None


class Method(Protocol):
    """One row of the table: from a moving and a fixed image to a displacement."""

    @property
    def name(self) -> str:
        """As in `METHODS`."""
        ...

    @property
    def parameters(self) -> int | None:
        """How many numbers it has learned; None for a method that learns nothing."""
        ...

    def check(self) -> Sequence[str]:
        """What is missing, each with the line to type; empty if it can run. Never downloads."""
        ...

    def prepare(self, device: str) -> None:
        """Weights, compilation, warm-up: what the clock must not count. `device` is torch's name for one."""
        ...

    def register(self, moving: Volume, fixed: Volume) -> Displacement:
        """The displacement on the fixed grid that brings the moving image onto the fixed one: the timed part.

        Args:
            moving: in [0, 1], 0 outside the brain.
            fixed: in [0, 1], 0 outside the brain.
        """
        ...


class CannotTrain(DataError):
    """The data set has nobody to train or to validate on; a run goes on without the method."""


class Factory(Protocol):
    """Makes a method. Importing and calling it is cheap; `prepare` does the work."""

    def __call__(self, context: MethodContext) -> Method:
        """The method, not yet prepared."""
        ...


_LEARNED = "benchmark.methods.learned:"  # and a network's name, as in `models.names()`
_ENTRIES: Mapping[str, str] = {  # in the order of the tables; imported when asked for
    "initial": "benchmark.methods.initial:make",
    "syn": "benchmark.methods.syn:make",
    "syn-tuned": "benchmark.methods.syn:make_tuned",
    "voxelmorph": f"{_LEARNED}voxelmorph",
    "voxelmorph-features": f"{_LEARNED}voxelmorph-features",
    "transmorph": f"{_LEARNED}transmorph",
    "transmorph-features": f"{_LEARNED}transmorph-features",
    "mambamorph-original": f"{_LEARNED}mambamorph-original",
    "mambamorph-plain": f"{_LEARNED}mambamorph-plain",
    "mambamorph": f"{_LEARNED}mambamorph",
}
_ALIASES: Mapping[str, str] = {  # the names of the authors' code; here, so that naming a method imports no torch
    "vm": "voxelmorph",
    "vm-feat": "voxelmorph-features",
    "tm": "transmorph",
    "tm-feat": "transmorph-features",
    "mm-ori": "mambamorph-original",
    "mm": "mambamorph-plain",
    "mm-feat": "mambamorph",
}
_NO_ROW_OF_THE_PAPER = ("syn-tuned",)  # run when named; `all` is what the paper compares
METHODS: Registry[Factory] = Registry("method", _ENTRIES, aliases=_ALIASES, only_by_name=_NO_ROW_OF_THE_PAPER)

# These learn: without weights they are trained first.
TRAINABLE: frozenset[str] = frozenset(name for name, entry in _ENTRIES.items() if entry.startswith(_LEARNED))
