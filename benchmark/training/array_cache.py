"""Subjects as networks take them, uncompressed on disk and mapped into memory: reading a training pair costs a copy.

<data set>/.arrays/<ID>.{mr,ct,labels}.npy   <ID>.json (what they were made from, their sizes and digests)

Images are kept as int16 from 0 to `LEVELS`, so that one in [0, 1] is off by at most 1.6e-5; labels as uint8.
Each file is there whole or not at all, and counts only with a note that agrees with it; two processes that
make the same entry write the same bytes. An entry belongs to its subject's key: that of one built anew is replaced.
"""

import contextlib
import hashlib
import io
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.network_input import min_max, padded
from srreg.dataset import Dataset
from srreg.errors import DataError, NoRoom
from srreg.files import read_json, write_json, write_whole
from srreg.subject import ImageRef, Modality

log = logging.getLogger(__name__)

LEVELS = np.float32(32767)  # the largest int16
_FORMAT = 1  # raise it when the same subject would give other arrays
_MODALITIES: tuple[Modality, ...] = ("mr", "ct")
_PARTS = (*_MODALITIES, "labels")
_ABANDONED_S = 3600.0  # no file takes an hour to write


@dataclass(frozen=True, eq=False)
class Arrays:
    """What a subject gives, padded to what networks take; not to be written to.

    Args:
        mr: [D, H, W] int16, 0 to `LEVELS` where the image is 0 to 1.
        ct: as mr.
        labels: [D, H, W] uint8.
    """

    mr: NDArray[np.int16]
    ct: NDArray[np.int16]
    labels: NDArray[np.uint8]


class ArrayCache:
    """Gives each subject's arrays, mapped from files that are made the first time.

    Args:
        dataset: where the subjects lie, and their arrays. Where its folder cannot be written to, or has no room, that costs
            time alone: the subjects are then read from their compressed files, to the same numbers.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._dataset, self._folder = dataset, dataset.root / ".arrays"
        self._known: dict[str, Arrays] = {}
        self._lock = Lock()
        self._is_writable = True
        _clear(self._folder, dataset)

    def of(self, subject_id: str) -> Arrays:
        """One subject's arrays.

        Raises:
            UnknownName: no such subject is built.
            DataError: its files are missing, damaged or hold labels above 255.
        """
        with self._lock:
            if subject_id not in self._known:
                key = self._dataset.subject_key(subject_id)
                mapped = self._mapped(subject_id, key)
                if mapped is None:
                    made = _made(self._dataset, subject_id)
                    self._keep(subject_id, key, made)
                    mapped = self._mapped(subject_id, key)
                if mapped is None:
                    return made
                self._known[subject_id] = mapped
            return self._known[subject_id]

    def _mapped(self, subject_id: str, key: str) -> Arrays | None:
        """From the files, if they are those of the key and agree with their note."""
        try:
            note = read_json(self._note(subject_id))
            if (note["key"], note["format"]) != (key, _FORMAT):
                return None
            mr, ct, labels = (_mapped(self._file(subject_id, part), note[part]) for part in _PARTS)
            return Arrays(mr, ct, labels)
        except (DataError, KeyError):
            return None

    def _keep(self, subject_id: str, key: str, arrays: Arrays) -> None:
        if not self._is_writable:
            return
        try:
            notes = {part: _write(self._file(subject_id, part), getattr(arrays, part)) for part in _PARTS}
            write_json(self._note(subject_id), {"key": key, "format": _FORMAT, **notes})
        except (OSError, NoRoom) as error:
            self._is_writable = False
            log.warning("%s cannot hold the subjects uncompressed (%s); training reads them slower", self._folder, error)

    def _file(self, subject_id: str, part: str) -> Path:
        return self._folder / f"{subject_id}.{part}.npy"

    def _note(self, subject_id: str) -> Path:
        return self._folder / f"{subject_id}.json"


def _made(dataset: Dataset, subject_id: str) -> Arrays:
    mr, ct = (_levels(dataset, ImageRef(subject_id, modality)) for modality in _MODALITIES)
    labels = dataset.labels(subject_id)
    if max(labels.values) > np.iinfo(np.uint8).max:
        raise DataError(f"{dataset.file(subject_id, 'labels')}: expected labels up to 255, got {max(labels.values)}")
    return Arrays(mr, ct, padded(labels.data.astype(np.uint8)))


def _levels(dataset: Dataset, ref: ImageRef) -> NDArray[np.int16]:
    scaled = min_max(dataset.image(ref).data) * LEVELS
    levels: NDArray[np.int16] = padded(np.rint(scaled).astype(np.int16))
    return levels


def _write(path: Path, array: NDArray[Any]) -> dict[str, object]:
    """Write an array whole; gives its note."""
    content = io.BytesIO()
    np.save(content, array, allow_pickle=False)
    write_whole(path, content.getvalue())
    return {"size": content.tell(), "sha256": _digest(array)}


def _mapped(path: Path, note: object) -> NDArray[Any]:
    """The array of a file that agrees with its note.

    Raises:
        DataError: it does not agree.
    """
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        found = {"size": path.stat().st_size, "sha256": _digest(array)}
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: is not an array ({error})") from error
    if found != note:
        raise DataError(f"{path}: is not what was written")
    return array


def _digest(array: NDArray[Any]) -> str:
    hasher = hashlib.sha256(f"{array.dtype.str} {array.shape} ".encode())
    hasher.update(np.ascontiguousarray(array).data)
    return hasher.hexdigest()


def _clear(folder: Path, dataset: Dataset) -> None:
    """Remove what belongs to no subject of the data set any more, and what a killed process left half-written."""
    endings = [".json", *(f".{part}.npy" for part in _PARTS)]
    wanted = {f"{subject_id}{ending}" for subject_id in dataset.subjects for ending in endings}
    for path in folder.glob("*"):
        with contextlib.suppress(OSError):  # another process removed it first, or nothing may be removed
            is_being_written = path.suffix == ".part" and time.time() - path.stat().st_mtime < _ABANDONED_S
            if path.name not in wanted and not is_being_written:
                path.unlink()
