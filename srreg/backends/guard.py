"""Stand between this process and a tool: end when the tool ends, and end the tool when we are gone.

Run as a script with the tool's command as its arguments. Its standard input is a pipe nobody writes
to; the pipe closes when the process at its other end dies, however it dies, and then the whole
process group is killed. Otherwise the guard ends as the tool did: same exit code, same signal.
"""

import contextlib
import os
import resource
import signal
import subprocess
import sys
import threading

_CANNOT_START = 127  # as a shell says it


def _end_with_parent() -> None:
    os.read(0, 1)
    os.killpg(0, signal.SIGKILL)


def main(command: list[str]) -> int:
    """Run the command and end as it ends."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash leaves no core file behind
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        code = subprocess.Popen(command, stdin=subprocess.DEVNULL).wait()
    except OSError as error:
        sys.stderr.write(f"cannot start {command[0]}: {error.strerror}\n")
        return _CANNOT_START
    if code < 0:
        with contextlib.suppress(OSError):  # SIGKILL has no handler to take away
            signal.signal(-code, signal.SIG_DFL)
        signal.raise_signal(-code)
    return code


if __name__ == "__main__":
    exit_code = main(sys.argv[1:])
    sys.stderr.flush()
    os._exit(exit_code)  # at once: the thread still waits on the pipe
