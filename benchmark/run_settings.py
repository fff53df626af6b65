"""What to run, who is told how far it is, and how it ended."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from benchmark.record import RunRecord
from srreg.dataset import Protocol

if TYPE_CHECKING:
    from models.training_settings import Progress as TrainingProgress


@dataclass(frozen=True)
class Progress:
    """Who is told how far a run is.

    Args:
        pairs: called before and after each pair with the method, the pairs done and the pairs in all.
        training: called after each step of a training.
    """

    pairs: Callable[[str, int, int], None] | None = None
    training: "Callable[[TrainingProgress], None] | None" = None

    def tell(self, method: str, done: int, total: int) -> None:
        """Tell how many pairs are done."""
        if self.pairs is not None:
            self.pairs(method, done, total)


@dataclass(frozen=True)
class RunSettings:
    """What to run.

    Args:
        methods: names of `METHODS`.
        protocol: which list of pairs; None: the paper's, or `all` where the paper's has fewer than 10.
        seeds: one training each; a method that learns nothing runs once.
        device: torch's name for it.
        profile: how to train; a key of `PROFILES`.
        precision: of the training, other than the profile's.
        epochs: other than the profile's.
        gradient_surgery: of the training; for networks that have a read-out.
        weights: method -> file, instead of training.
        keep_fields: keep every field and not only those of the paper's pairs.
    """

    methods: Sequence[str]
    protocol: Protocol | None = None
    seeds: Sequence[int] = (0,)
    device: str = "cpu"
    profile: str = "standard"
    precision: Literal["fp32", "bf16", "fp16"] | None = None
    epochs: int | None = None
    gradient_surgery: bool = False
    weights: Mapping[str, Path] = field(default_factory=dict)
    keep_fields: bool = False


@dataclass
class RunReport:
    """How a run ended.

    Args:
        record: as in `run.json`; its `skipped` and `failed` are what the user must hear.
        scored: method -> pairs that were registered or scored in this run.
    """

    record: RunRecord
    scored: dict[str, int] = field(default_factory=dict)
