"""One build, or one report, at a time in a data set's folder."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from srreg.build.worker import scratch_folder, work_folder
from srreg.errors import DataError, FolderBusy
from srreg.files import read_json, remove_unfinished, write_json


@contextmanager
def held(dataset: Path) -> Iterator[None]:
    """Hold a data set against other processes; what a killed one left half-written, or in the scratch folder, is cleared.

    Raises:
        FolderBusy: another process holds it; the message names it.
    """
    folder = work_folder(dataset)
    folder.mkdir(parents=True, exist_ok=True)
    holder = folder / "holder.json"
    try:
        with filelock.FileLock(folder / "lock", timeout=0):
            remove_unfinished(dataset)
            write_json(holder, {"pid": os.getpid()})
            shutil.rmtree(scratch_folder(dataset), ignore_errors=True)
            try:
                yield
            finally:
                shutil.rmtree(scratch_folder(dataset), ignore_errors=True)
                holder.unlink(missing_ok=True)
    except filelock.Timeout as error:
        who = f"held by another process ({_pid(holder)})"
        raise FolderBusy(f"{dataset} is {who}; wait for it, or choose another folder") from error


def _pid(holder: Path) -> object:
    try:
        return read_json(holder).get("pid", "unknown")
    except DataError:
        return "unknown"
