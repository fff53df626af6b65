"""What steps have added, kept by content: a folder a key, there whole or not at all."""

import contextlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from srreg import io
from srreg.build.step import Field, Step
from srreg.errors import DataError
from srreg.files import aside_of, read_json, write_json
from srreg.subject import Subject
from srreg.volume import Grid, LabelMap, Volume


@dataclass(frozen=True)
class Cache:
    """A folder `<root>/<step>/<key>/<field>.nii.gz` (a matrix as JSON).

    Holds only what a step adds (a mask, labels, a bias field, a matrix); images are written once, at the end.
    """

    root: Path

    def load(self, step: Step, key: str, subject: Subject) -> Subject | None:
        """The subject with what the step once added; None if it never did, or the entry is damaged."""
        folder = self.root / step.name / key
        if not folder.is_dir():
            return None
        try:
            return _read(folder, step.adds, subject)
        except DataError:
            shutil.rmtree(folder)
            return None

    def save(self, step: Step, key: str, subject: Subject) -> Subject:
        """Keep what the step added, and give it as it reads back: so a fresh run and a cached one go on from the same numbers.

        Written aside, then renamed.
        """
        folder = self.root / step.name / key
        aside = aside_of(folder)
        try:
            for field in step.adds:
                _write_field(aside, field, subject)
            folder.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(OSError):  # another process made the same entry first
                aside.rename(folder)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        return _read(folder, step.adds, subject)


def _read(folder: Path, fields: Sequence[Field], subject: Subject) -> Subject:
    for field in fields:
        if field == "to_reference":
            matrix = np.array(read_json(folder / f"{field}.json")["matrix"], dtype=np.float64)
            subject = replace(subject, to_reference=Grid((1, 1, 1), matrix).affine)
        elif field == "bias":
            subject = replace(subject, bias=io.read_volume(folder / f"{field}.nii.gz"))
        elif field == "brain":
            subject = replace(subject, brain=_on_grid_of(subject.mr, io.read_labels(folder / f"{field}.nii.gz")))
        elif field == "labels":
            subject = replace(subject, labels=_on_grid_of(subject.mr, io.read_labels(folder / f"{field}.nii.gz")))
    return subject


def _on_grid_of(mr: Volume, labels: LabelMap) -> LabelMap:
    """With the MR's own affine: a file rounds it to float32, which ITK takes for another place.

    Raises:
        DataError: they never lay on one grid.
    """
    if not labels.grid.matches(mr.grid, tolerance_mm=0.01):
        raise DataError(f"expected labels on the MR's grid ({mr.grid}), got {labels.grid}")
    return LabelMap(labels.data, mr.affine)


def _write_field(folder: Path, field: Field, subject: Subject) -> None:
    value = getattr(subject, field)
    if field == "to_reference":
        write_json(folder / f"{field}.json", {"matrix": value.tolist()})
    elif field == "bias":
        io.write_volume(folder / f"{field}.nii.gz", value)
    else:
        io.write_labels(folder / f"{field}.nii.gz", value)
