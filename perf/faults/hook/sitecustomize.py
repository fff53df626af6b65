"""Strike at the n-th write, flush or rename below a folder: kill the whole process group, or fill the disk from then on.

On the path of a trial's processes alone; python imports it at its start.

FAULT: `kill:N` or `full:N`; FAULT_BELOW: the folder; FAULT_EVENTS: a file that grows by a byte an event.
"""

import errno
import os
import signal

_KIND, _, _AT = os.environ.get("FAULT", "").partition(":")
_BELOW = os.environ.get("FAULT_BELOW", "")
_EVENTS = os.environ.get("FAULT_EVENTS", "")
_fdopen, _fsync, _replace, _rename = os.fdopen, os.fsync, os.replace, os.rename


def _is_hit() -> bool:
    """Count one more event, over all processes; whether the fault is due."""
    handle = os.open(_EVENTS, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(handle, b".")
    number = os.fstat(handle).st_size
    os.close(handle)
    return (_KIND == "kill" and number == int(_AT)) or (_KIND == "full" and number >= int(_AT))


def _strike() -> None:
    if _KIND == "kill":
        os.killpg(0, signal.SIGKILL)
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _is_below(handle: int) -> bool:
    return os.path.realpath(f"/proc/self/fd/{handle}").startswith(_BELOW)


class _Torn:
    """A file whose write, when the fault is due, brings half of it to the disk."""

    def __init__(self, file):
        self._file = file

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._file.close()

    def __getattr__(self, name):
        return getattr(self._file, name)

    def write(self, content):
        if not _is_hit():
            return self._file.write(content)
        self._file.write(content[: len(content) // 2])
        self._file.flush()
        return _strike()


def _torn_fdopen(handle, *arguments, **more):
    file = _fdopen(handle, *arguments, **more)
    return _Torn(file) if file.writable() and _is_below(handle) else file


def _struck_fsync(handle):
    if _is_below(handle) and _is_hit():
        _strike()
    _fsync(handle)


def _struck(move):
    def moved(source, target, **more):
        if not str(os.path.abspath(target)).startswith(_BELOW):
            return move(source, target, **more)
        if _is_hit():
            _strike()
        move(source, target, **more)
        if _KIND == "kill" and _is_hit():  # once more, now that it has its final name
            _strike()
        return None

    return moved


if _KIND:
    os.fdopen, os.fsync = _torn_fdopen, _struck_fsync
    os.replace, os.rename = _struck(_replace), _struck(_rename)
