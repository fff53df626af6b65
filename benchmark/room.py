"""What a full disk and too little memory are called, whichever library found out."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

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
        raise NoRoom(f"too little memory for {what}. Free some, or take smaller images or a larger device.") from error


def _lacks_memory(error: Exception) -> bool:
    """True for Python's error and for torch's: a class of its own on a device, plain text on a CPU."""
    is_torchs = type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)
    return isinstance(error, MemoryError) or is_torchs
