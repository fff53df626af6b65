from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from srreg.backends.protocol import Backend
from srreg.build.step import Field
from srreg.subject import Subject


@dataclass(frozen=True)
class SegmentBrain:
    """Label the regions on the whole-head MR; the map serves the CT too, as the two are aligned (paper, sec. 3.3)."""

    backend: Backend

    name: ClassVar[str] = "segment_brain"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[Field, ...]] = ("mr",)
    adds: ClassVar[tuple[Field, ...]] = ("labels",)

    def parameters(self, subject_id: str) -> Mapping[str, object]:
        """The tool and its weights, or the labels that were made before."""
        return {"backend": self.backend.name, "fingerprint": self.backend.fingerprint(subject_id)}

    def __call__(self, subject: Subject) -> Subject:
        """Adds `labels`."""
        return replace(subject, labels=self.backend(subject))
