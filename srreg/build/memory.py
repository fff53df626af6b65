"""Whether another subject fits into memory beside those that are being built."""

import contextlib
from collections.abc import Iterable
from pathlib import Path

import psutil

from srreg.backends.protocol import Backend

_GIB = 1024**3
_STEPS_GIB = 2.0  # N4, affine and resampling of a head at 1 mm, with something to spare
_CGROUP = Path("/sys/fs/cgroup")


def needed_bytes(*backends: Backend) -> int:
    """What a subject takes at its peak: the hungriest tool, or the steps of our own."""
    return int(max(_STEPS_GIB, *(backend.about.memory_gib for backend in backends)) * _GIB)


def available_bytes() -> int:
    """What can be had without swapping; in a container, what its limit leaves."""
    free = int(psutil.virtual_memory().available)
    with contextlib.suppress(OSError, ValueError):  # no limit is the word `max`; other systems have no such files
        limit, used = (int((_CGROUP / f"memory.{name}").read_text()) for name in ("max", "current"))
        free = min(free, limit - used + _cached_bytes())
    return free


def _cached_bytes() -> int:
    """What a container's limit counts but the system gives back when asked: files that were read."""
    lines = (_CGROUP / "memory.stat").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("inactive_file ", "active_file ")))


def fits(needed: int, running: Iterable[int]) -> bool:
    """Whether one more fits.

    Args:
        needed: bytes a subject takes at its peak.
        running: processes that have not reached theirs yet; what they still lack is theirs.
    """
    promised = sum(max(0, needed - _taken_bytes(pid)) for pid in running)
    return available_bytes() - promised >= needed


def _taken_bytes(pid: int) -> int:
    try:
        process = psutil.Process(pid)
        return sum(int(part.memory_info().rss) for part in (process, *process.children(recursive=True)))
    except psutil.Error:
        return 0
