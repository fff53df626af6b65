"""What a full disk and too little memory are called, whichever library found out."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from psutil import virtual_memory

from srreg.errors import NoRoom

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def room_for(what: str) -> Iterator[None]:
    """Turn what is raised inside where there is too little room into one error.

    Args:
        what: needs the room; stands in the message.

    Raises:
        NoRoom: the disk, a quota or the memory is full.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise NoRoom(f"no room for {what} ({error.strerror}). Free some and run again.") from error
    except (MemoryError, RuntimeError) as error:
        if not _lacks_memory(error):
            raise
        raise NoRoom(
            f"too little memory for {what} ({_wanted(error)}; {virtual_memory().available / 1024**3:.1f} GiB of the machine's "
            "are free). Take a smaller data set (srreg build --size half), a lower --precision, or a larger device; "
            "bench plan tells what each method needs."
        ) from error


def _wanted(error: Exception) -> str:
    """What was asked for, and of a device what it has, in the first line of the library's own words."""
    return (str(error).strip().splitlines() or ["out of memory"])[0].rstrip(".")


def _lacks_memory(error: Exception) -> bool:
    """True for Python's error and for torch's: a class of its own on a device, plain text on a CPU."""
    is_torchs = type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)
    return isinstance(error, MemoryError) or is_torchs
