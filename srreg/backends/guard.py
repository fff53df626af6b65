"""Stand between this process and a tool: end when the tool ends, and end the tool when we are gone.

Run as a script with the tool's command as its arguments. Its standard input is a pipe nobody writes
to; the pipe closes when the process at its other end dies, however it dies, and then the whole
process group is killed. Otherwise the guard ends as the tool did: same exit code, same signal.
What the tool leaves running is killed before, also what has left its group: orphans become the guard's.
"""

import contextlib
import ctypes
import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_CANNOT_START = 127  # as a shell says it


def _adopt_orphans() -> None:
    """Whoever loses its parent becomes our child, so that nothing a tool starts gets out of reach; Linux alone has this."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _kill_children() -> None:
    """Until there are none: the children of a killed child become ours."""
    while children := [int(pid) for path in Path("/proc/self/task").glob("*/children") for pid in path.read_text().split()]:
        for pid in children:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def _end_with_parent() -> None:
    os.read(0, 1)
    _kill_children()
    os.killpg(0, signal.SIGKILL)


def main(command: list[str]) -> int:
    """Run the command and end as it ends."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash leaves no core file behind
    _adopt_orphans()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        code = subprocess.Popen(command, stdin=subprocess.DEVNULL).wait()
    except OSError as error:
        sys.stderr.write(f"cannot start {command[0]}: {error.strerror}\n")
        return _CANNOT_START
    _kill_children()
    if code < 0:
        with contextlib.suppress(OSError):  # SIGKILL has no handler to take away
            signal.signal(-code, signal.SIG_DFL)
        signal.raise_signal(-code)
    return code


if __name__ == "__main__":
    exit_code = main(sys.argv[1:])
    sys.stderr.flush()
    os._exit(exit_code)  # at once: the thread still waits on the pipe
