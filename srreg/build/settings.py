"""What a build is asked to do."""

import re
from dataclasses import dataclass
from pathlib import Path

from srreg.backends.protocol import Backend
from srreg.build.recipe import sr_reg_recipe
from srreg.build.reference import Size
from srreg.build.step import Step
from srreg.build.steps.align import Alignment
from srreg.errors import UsageError


@dataclass(frozen=True)
class Shard:
    """One part of a build that several processes share: the `index`-th of `count`, from 1."""

    index: int
    count: int

    @classmethod
    def of(cls, text: str) -> "Shard":
        """From `i/N`.

        Raises:
            UsageError: it is not that, or i is not within 1 to N.
        """
        match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise UsageError(f"--shard: expected i/N with i from 1 to N, for instance 3/10, got {text!r}")
        return cls(int(match[1]), int(match[2]))


@dataclass(frozen=True)
class BuildSettings:
    """What to build, from what, with what.

    Args:
        source: a SynthRAD 2023 Task 1 brain folder.
        out: the data set's folder.
        skull_stripper: finds the brain.
        segmenter: finds the regions.
        size: which grid the data set has.
        align: how subjects are brought into the common frame.
        subjects: ids to build; empty: all.
        exclude: ids to leave out; a later build without it takes them in again.
        limit: at most so many; None: all.
        n_procs: subjects at a time.
        threads: of each.
        scheduler: address of a Dask cluster that builds instead of this machine.
        seed: of the splits.
        splits: a table of somebody else's splits; None: they are drawn.
        allow_missing: take such a table though it names people the source does not have.
        resplit: draw the splits anew, or take others than those that are there.
        shard: the part of the subjects that is this process's; None: all.
        deep: hash all files again instead of trusting size and time.

    Raises:
        UsageError: the data set would lie in the source folder, or a shard should split anew.
    """

    source: Path
    out: Path
    skull_stripper: Backend
    segmenter: Backend
    size: Size = "full"
    align: Alignment = "affine"
    subjects: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    limit: int | None = None
    n_procs: int = 1
    threads: int = 1
    scheduler: str | None = None
    seed: int = 0
    splits: Path | None = None
    allow_missing: bool = False
    resplit: bool = False
    shard: Shard | None = None
    deep: bool = False

    def __post_init__(self) -> None:
        if self.shard is not None and self.resplit:
            raise UsageError("--resplit is for everybody, --shard for a part: build without --shard for the new splits")
        out, source = self.out.resolve(), self.source.resolve()
        if out == source or source in out.parents:
            raise UsageError(f"--out {self.out} lies in the source folder, which is never written to; choose another")

    @property
    def recipe(self) -> tuple[Step, ...]:
        """The steps."""
        return sr_reg_recipe(self.skull_stripper, self.segmenter, self.size, self.align)

    def described(self) -> dict[str, object]:
        """What of it makes one data set another, in plain words."""
        return {
            "skull_stripper": self.skull_stripper.name,
            "segmenter": self.segmenter.name,
            "align": self.align,
            "size": self.size,
        }
