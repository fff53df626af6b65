"""A step that kills its own process, as the system does when memory runs out; child processes import it from here."""

import os
import signal
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class KilledFor:
    """Ends its process for one subject, gives every other as it came."""

    victim: str

    name: ClassVar[str] = "deadly"
    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = ()
    adds: ClassVar[tuple[str, ...]] = ()

    def parameters(self, subject_id):
        return {}

    def __call__(self, subject):
        if subject.id == self.victim:
            os.kill(os.getpid(), signal.SIGKILL)
        return subject
