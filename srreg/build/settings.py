"""What a build is asked to do."""

from dataclasses import dataclass
from pathlib import Path

from srreg.backends.protocol import Backend
from srreg.build.recipe import sr_reg_recipe
from srreg.build.reference import Size
from srreg.build.step import Step
from srreg.build.steps.align import Alignment
from srreg.errors import UsageError


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
        seed: of the splits.
        resplit: draw the splits anew.
        deep: hash all files again instead of trusting size and time.

    Raises:
        UsageError: the data set would lie in the source folder.
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
    seed: int = 0
    resplit: bool = False
    deep: bool = False

    def __post_init__(self) -> None:
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
