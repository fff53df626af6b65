from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from srreg.backends.protocol import Backend
from srreg.build.step import Field
from srreg.subject import Subject


@dataclass(frozen=True)
class StripSkull:
    """Find the brain on the whole-head MR (paper, sec. 3.3). Images stay whole; they are masked at the end."""

    backend: Backend

    name: ClassVar[str] = "strip_skull"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[Field, ...]] = ("mr",)
    adds: ClassVar[tuple[Field, ...]] = ("brain",)

    def parameters(self, subject_id: str) -> Mapping[str, object]:
        """The tool and its weights, or the mask that was made before."""
        return {"backend": self.backend.name, "fingerprint": self.backend.fingerprint(subject_id)}

    def __call__(self, subject: Subject) -> Subject:
        """Adds `brain`."""
        return replace(subject, brain=self.backend(subject))
