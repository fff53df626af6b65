"""A built data set on disk: where its files lie, its subjects, splits and pairs.

sr-reg/
  dataset_description.json  participants.tsv  labels.tsv  manifest.jsonl
  splits/{train,val,test}.txt   pairs/{val,test}.csv
  sub-<ID>/anat/sub-<ID>_desc-preproc_T1w.nii.gz ...
"""

import csv
import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

from srreg import io
from srreg.errors import DataError, UnknownName
from srreg.files import check_columns, read_json, read_text, read_tsv
from srreg.subject import ImageRef, Modality, Pair, Subject
from srreg.volume import Grid, LabelMap, Volume

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
Protocol = Literal["paper", "all"]

_PAIR_COLUMNS = ("moving", "fixed", "protocol")
# What the digest of a data set covers beside its subjects; whatever else lies in these folders says nothing about results.
_LISTS = (*(f"splits/{name}.txt" for name in SPLITS), "pairs/val.csv", "pairs/test.csv")

# Field of a subject -> how its file's name ends.
SUFFIXES: dict[str, str] = {
    "mr": "desc-preproc_T1w",
    "ct": "desc-preproc_ct",
    "brain": "desc-brain_mask",
    "labels": "dseg",
}


def file_of(root: Path, subject_id: str, kind: str, ending: str = ".nii.gz") -> Path:
    """Where one file of one subject lies; `kind` is a key of `SUFFIXES`."""
    return root / f"sub-{subject_id}" / "anat" / f"sub-{subject_id}_{SUFFIXES[kind]}{ending}"


@dataclass(frozen=True)
class Participant:
    """A line of `participants.tsv`."""

    id: str
    person: str
    centre: str
    status: str  # built, rejected (built, but out by a rating), failed, excluded, or pending while a build has not come to it
    reason: str
    brain_ml: float | None
    qc: str  # pass, warn, fail or n/a

    COLUMNS = ("participant_id", "person", "centre", "status", "reason", "brain_ml", "qc")

    @property
    def is_published(self) -> bool:
        """True if its files are there."""
        return self.status in ("built", "rejected")

    def row(self) -> dict[str, object]:
        """The cells, by column."""
        brain = None if self.brain_ml is None else f"{self.brain_ml:.1f}"
        values = (f"sub-{self.id}", self.person, self.centre, self.status, self.reason or None, brain, self.qc)
        return dict(zip(self.COLUMNS, values, strict=True))

    @classmethod
    def from_row(cls, row: dict[str, str]) -> "Participant":
        """From the cells of a line.

        Raises:
            DataError: a column is missing, or the brain volume is no number.
        """
        try:
            subject, person, centre, status, reason, brain, qc = (row[name] for name in cls.COLUMNS)
            brain_ml = None if brain == "n/a" else float(brain)
        except KeyError as error:
            raise DataError(f"has no column {error.args[0]}") from error
        except ValueError as error:
            raise DataError(f"{subject}: expected a number or n/a as brain_ml, got {brain!r}") from error
        return cls(subject.removeprefix("sub-"), person, centre, status, "" if reason == "n/a" else reason, brain_ml, qc)


def read_participants(path: Path) -> tuple[Participant, ...]:
    """The lines of a `participants.tsv`.

    Raises:
        DataError: not there, not a table, or not one of participants.
    """
    rows = read_tsv(path, required=Participant.COLUMNS)
    try:
        return tuple(map(Participant.from_row, rows))
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


@dataclass(frozen=True)
class Dataset:
    """A built data set, read from its folder."""

    root: Path

    @classmethod
    def open(cls, root: Path) -> "Dataset":
        """Take a folder as a data set.

        Raises:
            DataError: the folder was not made by `srreg build`.
        """
        for name in ("dataset_description.json", "participants.tsv"):
            if not (root / name).is_file():
                raise DataError(
                    f"{root} is not a built data set ({name} is missing). Make one: srreg build --synthrad-dir DIR --out {root}"
                )
        return cls(root)

    @cached_property
    def description(self) -> dict[str, object]:
        """What `dataset_description.json` says."""
        return read_json(self.root / "dataset_description.json")

    @cached_property
    def participants(self) -> tuple[Participant, ...]:
        """Every subject the source has, built or not."""
        return read_participants(self.root / "participants.tsv")

    @property
    def subjects(self) -> tuple[str, ...]:
        """Ids of what is built and not rejected, in order."""
        return tuple(p.id for p in self.participants if p.status == "built")

    @property
    def published(self) -> tuple[str, ...]:
        """Ids of whose files are there, in order: a rejected subject keeps them."""
        return tuple(p.id for p in self.participants if p.is_published)

    def file(self, subject_id: str, kind: str, ending: str = ".nii.gz") -> Path:
        """Where one file of one subject lies.

        Raises:
            UnknownName: no such subject is built.
        """
        if subject_id not in self.published:
            raise UnknownName(f"{self.root} holds no built subject {subject_id!r}; see: srreg status {self.root}")
        return file_of(self.root, subject_id, kind, ending)

    def image(self, ref: ImageRef) -> Volume:
        """One image: float32 in [0, 1], RAS, 0 outside the brain."""
        return io.read_volume(self.file(ref.subject, ref.modality))

    def labels(self, subject_id: str) -> LabelMap:
        """The label map that serves both images of a subject."""
        return io.read_labels(self.file(subject_id, "labels"))

    def read(self, subject_id: str) -> Subject:
        """MR, CT, brain and labels of a subject, on the data set's one grid."""
        return Subject(
            id=subject_id,
            mr=self.image(ImageRef(subject_id, "mr")),
            ct=self.image(ImageRef(subject_id, "ct")),
            brain=io.read_labels(self.file(subject_id, "brain")),
            labels=self.labels(subject_id),
        )

    @cached_property
    def grid(self) -> Grid:
        """The grid all subjects share.

        Raises:
            DataError: nothing is built.
        """
        if not self.subjects:
            raise DataError(f"{self.root} holds no built subject; see: srreg status {self.root}")
        return self.labels(self.subjects[0]).grid

    def split(self, name: Split) -> tuple[str, ...]:
        """Ids of a split, in the order of its file; comments (`#`) are left out.

        Raises:
            DataError: its file is missing, or not UTF-8.
        """
        return tuple(_lines(self._listed(f"splits/{name}.txt")))

    def pairs(self, split: Literal["val", "test"], protocol: Protocol) -> tuple[Pair, ...]:
        """What is to be registered to what, as written in `pairs/`.

        Raises:
            DataError: its file is missing, not UTF-8, or no table of pairs.
        """
        path = self._listed(f"pairs/{split}.csv")
        reader = csv.DictReader(_lines(path), restval="")
        check_columns(path, reader.fieldnames or (), _PAIR_COLUMNS)
        try:
            return tuple(_pair(row["moving"], row["fixed"]) for row in reader if row["protocol"] == protocol)
        except DataError as error:
            raise DataError(f"{path}: {error}") from error

    def subject_key(self, subject_id: str) -> str:
        """What tells a subject's files from any others: the digest of the four files' sha256 as they were built.

        Raises:
            UnknownName: no such subject is built.
            DataError: its sidecar is missing or has no key.
        """
        sidecar = self.file(subject_id, "labels", ".json")
        key = read_json(sidecar).get("SubjectKey")
        if not isinstance(key, str):
            raise DataError(f"{sidecar}: has no SubjectKey; run srreg build again")
        return key

    @cached_property
    def digest(self) -> str:
        """What results were made from: sha256 over the subjects' keys and the lists of splits and pairs.

        No voxel is read here.

        Raises:
            DataError: a sidecar or a list is missing, or a sidecar has no key.
        """
        hasher = hashlib.sha256()
        for subject_id in self.subjects:
            hasher.update(f"{subject_id} {self.subject_key(subject_id)}\n".encode())
        for name in _LISTS:
            content = self._listed(name).read_bytes()
            hasher.update(f"{name} {len(content)}\n".encode() + content)
        return hasher.hexdigest()

    def _listed(self, name: str) -> Path:
        path = self.root / name
        if not path.is_file():
            raise DataError(f"{path} is missing; run srreg build again")
        return path


def _lines(path: Path) -> list[str]:
    """Lines that say something: neither empty nor a comment (`#`)."""
    return [line for line in read_text(path).splitlines() if line and not line.startswith("#")]


def _pair(moving: str, fixed: str) -> Pair:
    return Pair(_reference(moving), _reference(fixed))


def _reference(text: str) -> ImageRef:
    subject, _, modality = text.rpartition(":")
    if modality not in get_args(Modality):
        raise DataError(f"expected SUBJECT:mr or SUBJECT:ct in pairs, got {text!r}")
    return ImageRef(subject, modality)  # type: ignore[arg-type]
