"""The folder of an export: one data set in one layout, gone on with where it was stopped."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from srreg.dataset import Dataset
from srreg.errors import FolderBusy, UsageError
from srreg.files import read_json, remove_unfinished, write_json

RECORD = "export.json"


@contextmanager
def target(dataset: Dataset, out: Path, layout: str) -> Iterator[None]:
    """Hold a folder for an export; its record says of what, in which layout, and whether it was finished.

    Raises:
        UsageError: a folder in the data set, or one that holds something else.
        FolderBusy: another process holds it.
    """
    _check_apart(dataset, out)
    this = {"layout": layout, "dataset": dataset.digest}
    _check_own(out, this)
    out.mkdir(parents=True, exist_ok=True)
    try:
        with filelock.FileLock(out / ".lock", timeout=0):
            remove_unfinished(out)
            write_json(out / RECORD, this | {"status": "running"})
            yield
            write_json(out / RECORD, this | {"status": "finished"})
    except filelock.Timeout as error:
        raise FolderBusy(f"{out} is held by another export; wait for it, or choose another --out") from error


def once(path: Path, write: Callable[[Path], None]) -> None:
    """Write a file unless it is there: files appear whole or not at all, and the folder belongs to one data set."""
    if not path.is_file():
        write(path)


def _check_apart(dataset: Dataset, out: Path) -> None:
    root, folder = dataset.root.resolve(), out.resolve()
    if folder == root or root in folder.parents:
        raise UsageError(f"--out {out} lies in the data set; choose another folder")


def _check_own(out: Path, this: dict[str, str]) -> None:
    if not out.is_dir() or all(path.name == ".lock" for path in out.iterdir()):
        return
    if not (out / RECORD).is_file():
        raise UsageError(f"{out} is not empty, and holds no export; choose another --out")
    known = read_json(out / RECORD)
    for name, wanted in this.items():
        if known.get(name) != wanted:
            raise UsageError(f"{out} holds an export of another {name} ({known.get(name)}); choose another --out")
