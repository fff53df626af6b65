"""The layouts a data set can be written in, one file each."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from srreg.dataset import Dataset
from srreg.registry import Registry

Tell = Callable[[str, int, int], None]


class Layout(Protocol):
    """Writes a data set as another tool reads it."""

    def __call__(self, dataset: Dataset, out: Path, tell: Tell | None = None) -> None:
        """Write what is not there yet.

        Args:
            dataset: what to write; stays as it is.
            out: a folder of its own.
            tell: called after each subject with its id, how many are done and how many there are.

        Raises:
            DataError: a file of the data set is missing or damaged.
            UsageError: a folder that holds something else.
            FolderBusy: another process holds the folder.
            NoRoom: the disk is full.
        """
        ...


LAYOUTS: Registry[Layout] = Registry(
    "layout",
    {
        "mambamorph": "srreg.export.mambamorph:export",
        "learn2reg": "srreg.export.learn2reg:export",
    },
)
