"""What can go wrong, and the exit code each kind of trouble ends a command with.

    SrregError              1   SRR-100   anything below that has no better code
    |-- UsageError          2   SRR-200   the command line asks for something impossible
    |   `-- UnknownName     2   SRR-210   no method, back end or subject of that name
    |-- DataError           3   SRR-300   an input file is missing, damaged or out of range
    |   `-- GeometryError   3   SRR-310   a grid or an orientation that cannot be trusted
    |-- StepFailed          1   SRR-110   one subject could not be built
    |   |-- ToolFailed      1   SRR-120   an outside tool ended badly, or was ended
    |   `-- ResultRefused   1   SRR-130   what a tool gave cannot be a brain, or lies elsewhere
    |-- BackendUnavailable  4   SRR-400   an optional package or its weights are missing
    |-- FolderBusy          5   SRR-500   another process holds the folder
    `-- NoRoom              6   SRR-600   too little disk or memory

Every message is one or two lines: what was expected, what came, which file, what to do.
`cli.py` prints it with its code and exits; any other exception is a bug (SRR-199) and keeps its traceback.
Scripts may rely on the SRR codes, in messages, logs and `--json`; their first digit is the exit code.
"""

from typing import ClassVar

UNFORESEEN = "SRR-199"


class SrregError(Exception):
    """Base of every error a user can cause."""

    exit_code: ClassVar[int] = 1
    code: ClassVar[str] = "SRR-100"


class UsageError(SrregError):
    """The command line or the call asks for something impossible."""

    exit_code = 2
    code = "SRR-200"


class UnknownName(UsageError):
    """A name that is in no registry; the message suggests the nearest."""

    code = "SRR-210"


class DataError(SrregError):
    """An input file is missing, damaged or holds values out of range."""

    exit_code = 3
    code = "SRR-300"


class GeometryError(DataError):
    """A grid, an affine or an orientation that cannot be trusted."""

    code = "SRR-310"


class StepFailed(SrregError):
    """One subject could not be taken through a step; the others go on."""

    code = "SRR-110"


class ToolFailed(StepFailed):
    """An outside tool could not be started, ended badly, or took too much time or memory."""

    code = "SRR-120"


class ResultRefused(StepFailed):
    """What an outside tool gave breaks the contract: nothing, garbage, another grid, unknown labels, no brain."""

    code = "SRR-130"


class BackendUnavailable(SrregError):
    """An optional package or its weights are missing; the message has the line to type."""

    exit_code = 4
    code = "SRR-400"


class FolderBusy(SrregError):
    """Another process holds the folder."""

    exit_code = 5
    code = "SRR-500"


class NoRoom(SrregError):
    """Too little disk or memory."""

    exit_code = 6
    code = "SRR-600"
