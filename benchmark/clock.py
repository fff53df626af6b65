"""Seconds and memory of one call, measured honestly.

What is counted is the call alone: `Method.prepare` has loaded, compiled and warmed up before. A device is
synchronized before and after, for its work runs on behind the host's back.
"""

import ctypes
import math
import os
import platform
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TypeVar

from srreg.errors import UsageError

T = TypeVar("T")

_GIB = 1024**3
_PROCESS = Path("/proc/self")


@dataclass(frozen=True)
class Cost:
    """What a registration took, and how busy the machine was.

    Args:
        seconds: wall time.
        peak_gib: where the method allocates on a CUDA device, the peak of what was allocated there, weights
            included; otherwise by how much the resident memory of the process grew at its peak. `nan` where
            that cannot be measured (not on Linux).
        load: processes at work on the machine, this one with its threads included: the mean of the minute before; `nan`
            where the system does not tell.
    """

    seconds: float
    peak_gib: float
    load: float = math.nan


def timed(call: Callable[[], T], device: str) -> tuple[T, Cost]:
    """Run a call and measure it.

    Args:
        call: what to measure.
        device: torch's name for where it may run: `cpu`, `cuda`, `cuda:1`, `mps`.

    Returns:
        What the call gave, and its cost.
    """
    _synchronize(device)
    allocated, resident = _reset_allocated_peak(device), _reset_resident_peak()
    start = perf_counter()
    result = call()
    _synchronize(device)
    seconds = perf_counter() - start
    peak = _allocated_peak(device)
    # A method that runs on the CPU whatever the device is leaves the device's peak where it was.
    peak_gib = peak / _GIB if peak > allocated else (_resident_peak() - resident) / _GIB
    return result, Cost(seconds, peak_gib, _load())


def device_name(device: str) -> str:
    """What the device is called by its maker; numbers of two devices do not share a table.

    Raises:
        UsageError: no such device, or none here.
    """
    if device.startswith("cuda"):
        import torch

        if not torch.cuda.is_available():
            raise UsageError(f"device {device} was asked for, but torch sees no GPU here; use --device cpu")
        try:
            return str(torch.cuda.get_device_name(device))
        except (AssertionError, RuntimeError, ValueError) as error:
            raise UsageError(f"torch sees no device {device} here; it sees {torch.cuda.device_count()}, from cuda:0") from error
    if device not in ("cpu", "mps"):
        raise UsageError(f"expected a device cpu, cuda, cuda:N or mps, got {device!r}")
    if device == "mps" and not _has_mps():
        raise UsageError("device mps was asked for, but torch sees no Apple GPU here; use --device cpu")
    return f"{device.upper()}: {_processor()}, {os.cpu_count()} cores"


def _has_mps() -> bool:
    import torch

    return bool(torch.backends.mps.is_available())


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def _load() -> float:
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):  # not on Windows
        return math.nan


def _synchronize(device: str) -> None:
    if device != "cpu":
        import torch

        torch.accelerator.synchronize(torch.device(device))


def _reset_allocated_peak(device: str) -> int:
    """Start the peak anew; bytes allocated on the device now, 0 where it is not a CUDA device."""
    if not device.startswith("cuda"):
        return 0
    import torch

    torch.cuda.reset_peak_memory_stats(device)
    return int(torch.cuda.memory_allocated(device))


def _allocated_peak(device: str) -> int:
    if not device.startswith("cuda"):
        return 0
    import torch

    return int(torch.cuda.max_memory_allocated(device))


def _reset_resident_peak() -> float:
    """Start the kernel's peak of resident memory anew; the bytes resident now, `nan` where there is no such peak.

    What earlier calls have freed is given back first: a call that found its memory there would seem to need none.
    """
    _give_back_freed_memory()
    try:
        (_PROCESS / "clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return float("nan")
    return _resident_peak()


def _give_back_freed_memory() -> None:
    with suppress(OSError, AttributeError):  # glibc alone has it
        ctypes.CDLL(None).malloc_trim(0)


def _resident_peak() -> float:
    """The kernel's own record: a sampling thread would see nothing while native code holds the interpreter."""
    try:
        status = (_PROCESS / "status").read_text(encoding="ascii")
    except OSError:
        return float("nan")
    lines = [line.split() for line in status.splitlines() if line.startswith("VmHWM:")]
    return float(lines[0][1]) * 1024 if lines else float("nan")
