"""What a skull stripper and a segmenter look like to the build; nothing else knows which tool it was."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from srreg.subject import Subject
from srreg.volume import LabelMap


@dataclass(frozen=True)
class Resources:
    """What a back end may use, and what stood after its name: a folder (`NAME:DIR`) or a command (`NAME:LINE`), if any."""

    directory: Path | None = None
    line: str = ""
    device: str = "cpu"  # or "cuda", "cuda:1"
    threads: int = 1
    timeout_s: float = 4 * 3600
    work: Path | None = None  # where work folders are made and removed; None: the system's temporary folder


@dataclass(frozen=True)
class About:
    """What a person should know of a tool before using it."""

    licence: str
    source: str  # where it comes from
    citation: str
    weights: str  # where its model lies, and whether anything must be downloaded
    memory_gib: float  # peak on a whole head at 1 mm, measured where its file does not say otherwise
    core_minutes: float  # the same head, one core of 2024
    remark: str = ""


class Backend(Protocol):
    """Finds the brain (a mask of 0 and 1) or the regions (values of `srreg.labels`) on a whole head."""

    name: ClassVar[str]
    takes_more: ClassVar[bool]  # whether something may stand behind the name: NAME:DIR, NAME:LINE
    about: ClassVar[About]

    def __init__(self, resources: Resources) -> None: ...

    def fingerprint(self, subject_id: str) -> str:
        """Tool version and digest of its weights, or of the subject's file: part of the cache key."""
        ...

    def check(self) -> Sequence[str]:
        """What is missing, each with the line to type; empty if it can run. Never downloads."""
        ...

    def __call__(self, subject: Subject) -> LabelMap:
        """A mask or labels on the grid of `subject.mr`, which lies in RAS and shows the whole head.

        Raises:
            StepFailed: the tool failed, or what it gave breaks the contract (`srreg.backends.contract`).
            DataError: a precomputed file is missing or damaged.
        """
        ...
