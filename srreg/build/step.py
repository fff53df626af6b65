"""A step of the build: a pure function of one subject, and the key of what it gives."""

import hashlib
import json
from collections.abc import Mapping
from typing import ClassVar, Literal, Protocol

from srreg.subject import Subject

Field = Literal["mr", "ct", "brain", "labels", "bias", "to_reference"]


class Step(Protocol):
    """Takes a subject and gives it with something added. Reads no file, knows no path, keeps no state."""

    name: ClassVar[str]  # also its folder in the cache
    version: ClassVar[int]  # raise it when the same input would give another output
    reads: ClassVar[tuple[Field, ...]]  # what its output depends on
    adds: ClassVar[tuple[Field, ...]]  # what it gives

    def parameters(self, subject_id: str) -> Mapping[str, object]:
        """Whatever else its output depends on: settings, the version of a tool, the digest of its weights."""
        ...

    def __call__(self, subject: Subject) -> Subject:
        """The subject, with the fields of `adds` filled."""
        ...


def digest(value: object) -> str:
    """sha256 of a value's JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def step_fingerprint(step: Step, subject_id: str) -> str:
    """Digest of name, version and parameters: what of the step itself decides its output."""
    return digest([step.name, step.version, dict(step.parameters(subject_id))])


def cache_key(step: Step, subject: Subject) -> str:
    """Digest of the step and of the content it reads; where the subject came from plays no part."""
    content = {field: field_digest(subject, field) for field in step.reads}
    return digest([step_fingerprint(step, subject.id), content])


def field_digest(subject: Subject, field: Field) -> str | None:
    """Digest of one field's content; None where it is not there yet."""
    value = getattr(subject, field)
    if value is None:
        return None
    if field == "to_reference":
        return digest(value.tolist())
    found: str = value.digest
    return found
