"""The steps of the build, in the order of the paper: strip, segment, correct, align, conform."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

from srreg.backends.protocol import Backend
from srreg.build.cache import Cache
from srreg.build.reference import Size
from srreg.build.step import Field, Step, cache_key, digest, field_digest, step_fingerprint
from srreg.build.steps.align import Align, Alignment
from srreg.build.steps.conform import Conform
from srreg.build.steps.correct_intensity import CorrectIntensity
from srreg.build.steps.segment_brain import SegmentBrain
from srreg.build.steps.strip_skull import StripSkull
from srreg.subject import Subject


@dataclass(frozen=True)
class StepRecord:
    """What a step did to a subject: a line of the manifest."""

    step: str
    key: str
    cached: bool
    seconds: float
    outputs: Mapping[Field, str | None]  # field -> digest of its content


def sr_reg_recipe(skull_stripper: Backend, segmenter: Backend, size: Size, alignment: Alignment) -> tuple[Step, ...]:
    """The recipe of SR-Reg (paper, sec. 3.3), with the tools that find brain and regions."""
    return (
        StripSkull(skull_stripper),
        SegmentBrain(segmenter),
        CorrectIntensity(),
        Align(alignment),
        Conform(size),
    )


def recipe_fingerprint(recipe: Sequence[Step], subject_id: str) -> str:
    """Digest of everything that decides what the recipe makes of given files."""
    return digest([step_fingerprint(step, subject_id) for step in recipe])


def build_subject(subject: Subject, recipe: Sequence[Step], cache: Cache) -> Iterator[tuple[Subject, StepRecord]]:
    """Take one subject through the recipe; what was built before is read back.

    The last step's result is the data set itself and is not cached.
    """
    for step in recipe:
        started = perf_counter()
        key = cache_key(step, subject)
        known = cache.load(step, key, subject)
        if known is not None:
            subject = known
        else:
            made = step(subject)
            subject = made if step is recipe[-1] else cache.save(step, key, made)
        outputs = {field: field_digest(subject, field) for field in step.adds}
        yield subject, StepRecord(step.name, key, known is not None, perf_counter() - started, outputs)
