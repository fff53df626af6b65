"""Who may write in a data set's folder: one build or report alone, or several shards of a build side by side."""

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock
import psutil

from srreg.build.claims import Claims, clear_void, live
from srreg.build.worker import claims_folder, scratch_folder, work_folder
from srreg.errors import DataError, FolderBusy
from srreg.files import read_json, remove_unfinished, write_json

_LONGEST_MOMENT_S = 300.0  # what shards do one after another takes seconds, on a slow network file system more
_PATIENCE_S = 0.2


@contextmanager
def held(dataset: Path) -> Iterator[None]:
    """Hold a data set against other processes; what a killed one left half-written, or in the scratch folder, is cleared.

    Raises:
        FolderBusy: another process holds it, or shards of a build run in it; the message names one.
    """
    with _locked(dataset, wait_s=0):
        clear_void(claims_folder(dataset))
        at_work = live(claims_folder(dataset))
        if at_work:
            name, claimant = next(iter(at_work.items()))
            who = f"shards of a build run in it ({claimant or 'unknown'} builds {name})"
            raise FolderBusy(f"{dataset}: {who}; wait for them, or choose another folder")
        _clear(dataset)
        write_json(_holder(dataset), {"pid": os.getpid()})
        try:
            yield
        finally:
            shutil.rmtree(scratch_folder(dataset), ignore_errors=True)


@contextmanager
def shared(dataset: Path) -> Iterator[Claims]:
    """Work beside other shards; what belongs to this one is said by its claims, which end with the `with`.

    Raises:
        FolderBusy: a process holds the whole folder.
    """
    try:
        with Claims(claims_folder(dataset)) as claims:
            yield claims
    finally:
        with contextlib.suppress(FolderBusy), alone_for_a_moment(dataset):  # the last to leave clears the scratch folder
            pass


@contextmanager
def alone_for_a_moment(dataset: Path) -> Iterator[None]:
    """For what shards do one after another: share out the subjects, write the lists. Clears up if nobody is at work.

    Raises:
        FolderBusy: a process holds the whole folder, or one moment is too long.
    """
    with _locked(dataset, _LONGEST_MOMENT_S):
        clear_void(claims_folder(dataset))
        if not live(claims_folder(dataset)):
            _clear(dataset)
        yield


def _clear(dataset: Path) -> None:
    remove_unfinished(dataset)
    shutil.rmtree(scratch_folder(dataset), ignore_errors=True)


@contextmanager
def _locked(dataset: Path, wait_s: float) -> Iterator[None]:
    folder, holder = work_folder(dataset), _holder(dataset)
    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / "lock")
    deadline = time.monotonic() + wait_s
    while not _taken(lock):
        if time.monotonic() >= deadline or _is_held_whole(holder):
            who = f"held by another process ({_pid(holder)})"
            raise FolderBusy(f"{dataset} is {who}; wait for it, or choose another folder")
    try:
        holder.unlink(missing_ok=True)  # of one that was killed
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _taken(lock: filelock.BaseFileLock) -> bool:
    try:
        lock.acquire(timeout=_PATIENCE_S)
    except filelock.Timeout:
        return False
    return True


def _is_held_whole(holder: Path) -> bool:
    pid = _pid(holder)
    return isinstance(pid, int) and psutil.pid_exists(pid)


def _holder(dataset: Path) -> Path:
    return work_folder(dataset) / "holder.json"


def _pid(holder: Path) -> object:
    try:
        return read_json(holder).get("pid", "unknown")
    except DataError:
        return "unknown"
