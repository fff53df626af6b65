"""Run an outside command where it can disturb nobody.

A tool gets a process group of its own, an empty folder that is removed afterwards, a limit of
threads, of time and of memory. What it prints goes to files; whatever it started is killed with it.
"""

import contextlib
import logging
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psutil

from srreg.errors import ToolFailed

log = logging.getLogger(__name__)

STDOUT, STDERR, TEMPORARY = "stdout.txt", "stderr.txt", "tmp"
_GUARD = Path(__file__).with_name("guard.py")
_THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
)
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")  # what terminals take for colours and moves
_TAIL_BYTES = 4096
_LONGEST_LINE = 300
_DEATH_S = 5.0  # a killed process is gone in milliseconds, unless it waits for a disk
_LOOK_S = 0.5  # how often memory is looked at: some milliseconds each
_GIB = 1024**3
_SHARE = 0.9  # of the memory that is there: with more, the system would begin to kill, and not the tool alone
_CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")


@contextlib.contextmanager
def work_folder(parent: Path | None = None) -> Iterator[Path]:
    """An empty folder that is gone afterwards, whatever happened.

    Args:
        parent: where it is made, and made itself where it is missing; None: the system's temporary folder.
    """
    if parent is not None:
        parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="srreg-", dir=parent, ignore_cleanup_errors=True) as name:
        yield Path(name).resolve()
    if Path(name).exists():
        log.warning("%s could not be removed", name)


def run(
    tool: str,
    command: Sequence[str | Path],
    folder: Path,
    *,
    timeout_s: float,
    threads: int = 1,
    environment: Mapping[str, str] | None = None,
    memory_bytes: int | None = None,
) -> None:
    """Run a command to its end, in a folder made by `work_folder`; `STDOUT` and `STDERR` in it hold what it said.

    Args:
        tool: its name, for messages.
        command: program and arguments; no shell sees them. Paths should be absolute: the command runs in `folder`.
        folder: where it runs and keeps its temporary files.
        timeout_s: after that it is killed with all its children.
        threads: what the common libraries are told to use.
        environment: further variables, or others than ours.
        memory_bytes: what it may take with all its children before it is stopped; None: nine tenths of what this
            machine has.

    Raises:
        ToolFailed: it could not be started, took too long or too much memory, was killed or ended with another code
            than 0. One line with the last thing it said; the end of its messages is a note on the error.
    """
    (folder / TEMPORARY).mkdir(exist_ok=True)
    guarded = [sys.executable, "-I", "-S", str(_GUARD), *map(str, command)]
    settings = _environment(folder, threads, environment or {})
    with (folder / STDOUT).open("wb") as out, (folder / STDERR).open("wb") as err:
        process = subprocess.Popen(
            guarded, stdin=subprocess.PIPE, stdout=out, stderr=err, cwd=folder, env=settings, start_new_session=True
        )
        try:
            why = _watched(process, timeout_s, most_bytes() if memory_bytes is None else memory_bytes)
        finally:
            _kill_all(process)
    if why:
        raise _failure(tool, why, folder)


def most_bytes() -> int:
    """What one tool may take on this machine, or in this container."""
    there = psutil.virtual_memory().total
    with contextlib.suppress(OSError, ValueError):  # no limit is the word `max`; other systems have no such file
        there = min(there, int(_CONTAINER_LIMIT.read_text()))
    return int(_SHARE * there)


def _watched(process: "subprocess.Popen[bytes]", timeout_s: float, memory_bytes: int) -> str:
    """Wait for the end; what went wrong, or nothing."""
    end = time.monotonic() + timeout_s
    while (left := end - time.monotonic()) > 0:
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = process.wait(min(_LOOK_S, left))
            return _why(code) if code else ""
        if _taken_bytes(process.pid) > memory_bytes:
            return f"took more than {memory_bytes / _GIB:.1f} GiB of memory and was stopped with everything it started"
    return f"was not done after {timeout_s:g} s and was stopped with everything it started"


def _taken_bytes(pid: int) -> int:
    taken = 0
    with contextlib.suppress(psutil.NoSuchProcess):
        for part in psutil.Process(pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                taken += part.memory_info().rss
    return taken


def _environment(folder: Path, threads: int, more: Mapping[str, str]) -> dict[str, str]:
    temporary = str(folder / TEMPORARY)
    limits = dict.fromkeys(_THREADS, str(threads))
    return {**os.environ, **limits, "TMPDIR": temporary, "TMP": temporary, "TEMP": temporary, **more}


def _kill_all(process: "subprocess.Popen[bytes]") -> None:
    """Kill what is left of a command: its process group, and children that have left the group."""
    children: list[psutil.Process] = []
    with contextlib.suppress(psutil.NoSuchProcess):
        children = psutil.Process(process.pid).children(recursive=True)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    process.wait()
    if process.stdin is not None:
        process.stdin.close()
    psutil.wait_procs(children, timeout=_DEATH_S)


def _why(code: int) -> str:
    if code == -signal.SIGKILL:
        return "was killed (signal 9), probably because memory ran out; try fewer subjects at once (--n-procs)"
    if code < 0:
        return f"crashed (signal {-code}, {signal.Signals(-code).name})"
    return f"failed with exit code {code}"


def _failure(tool: str, why: str, folder: Path) -> ToolFailed:
    said = [text for text in (_tail(folder / STDERR), _tail(folder / STDOUT)) if text]
    error = ToolFailed(f"{tool} {why}" + (f": {said[0].splitlines()[-1][:_LONGEST_LINE]}" if said else ""))
    if said:
        error.add_note(f"The last that {tool} said:\n" + "\n".join(said))
    return error


def _tail(path: Path) -> str:
    """The end of what a tool wrote, as printable text without empty lines."""
    with path.open("rb") as handle:
        handle.seek(max(path.stat().st_size - _TAIL_BYTES, 0))
        text = handle.read().decode("utf-8", errors="replace")
    lines = ("".join(c for c in line if c.isprintable()).strip() for line in _COLOUR.sub("", text).splitlines())
    return "\n".join(line for line in lines if line)
