"""What can go wrong, and the exit code each kind of trouble ends a command with.

    SrregError              1   anything below that has no better code
    |-- UsageError          2   the command line asks for something impossible
    |   `-- UnknownName     2   no method, back end or subject of that name
    |-- DataError           3   an input file is missing, damaged or out of range
    |   `-- GeometryError   3   a grid or an orientation that cannot be trusted
    |-- StepFailed          1   one subject could not be built
    |-- BackendUnavailable  4   an optional package or its weights are missing
    |-- FolderBusy          5   another process holds the folder
    `-- NoRoom              6   too little disk or memory

Every message is one or two lines: what was expected, what came, which file, what to do.
`cli.py` prints it and exits with the code; any other exception is a bug and keeps its traceback.
"""

from typing import ClassVar


class SrregError(Exception):
    """Base of every error a user can cause."""

    exit_code: ClassVar[int] = 1


class UsageError(SrregError):
    """The command line or the call asks for something impossible."""

    exit_code = 2


class UnknownName(UsageError):
    """A name that is in no registry; the message suggests the nearest."""


class DataError(SrregError):
    """An input file is missing, damaged or holds values out of range."""

    exit_code = 3


class GeometryError(DataError):
    """A grid, an affine or an orientation that cannot be trusted."""


class StepFailed(SrregError):
    """One subject could not be taken through a step; the others go on."""


class BackendUnavailable(SrregError):
    """An optional package or its weights are missing; the message has the line to type."""

    exit_code = 4


class FolderBusy(SrregError):
    """Another process holds the folder."""

    exit_code = 5


class NoRoom(SrregError):
    """Too little disk or memory."""

    exit_code = 6
