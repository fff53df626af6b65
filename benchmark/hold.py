"""One run at a time in a folder, and one process at a training: several trainings of one run may go on at once."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import filelock

from srreg.errors import FolderBusy, UsageError
from srreg.files import remove_unfinished


def held(out: Path) -> AbstractContextManager[None]:
    """Hold a run's folder, made where it is missing, against other processes; who holds it already may hold it again.

    Of the processes that a launcher starts for one training, the first holds it for all.

    Raises:
        FolderBusy: another process holds it.
        UsageError: there can be no such folder, or nothing can be written to it.
    """
    return _held(out, _clear)


def training_held(folder: Path) -> AbstractContextManager[None]:
    """Hold the folder of one training, `weights/<method>/seed<k>`, as `held` does a run's, with the same errors."""
    return _held(folder, remove_unfinished)


def is_first_process() -> bool:
    """Whether this is the one that writes, of the processes that a launcher starts for one training."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def _held(folder: Path, clear: Callable[[Path], None]) -> Iterator[None]:
    """Held, and cleared of what a process that was killed left half-written."""
    if not is_first_process():
        yield
        return
    with _acquired(folder):
        clear(folder)
        yield


def _acquired(out: Path) -> AbstractContextManager[object]:
    try:
        out.mkdir(parents=True, exist_ok=True)
        return filelock.FileLock(out / ".lock", timeout=0, is_singleton=True).acquire()
    except filelock.Timeout as error:
        raise FolderBusy(f"{out} is held by another bench run or train; wait for it, or choose another --out") from error
    except OSError as error:
        raise UsageError(f"{out} cannot be written to ({error.strerror}); give --out a folder that can") from error


def _clear(out: Path) -> None:
    """Remove what a process that was killed left half-written, where runs write and nowhere else; trainings clear their own."""
    remove_unfinished(out / "fields")
    for name in ("run.json", "results.csv"):
        for path in out.glob(f".{name}.*.part"):
            path.unlink(missing_ok=True)
