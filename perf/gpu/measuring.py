"""What all parts share: the machine, and how a call is timed."""

import platform
import shutil
import subprocess
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import torch

Row = dict[str, object]
_PACKAGES = ("torch", "triton", "numpy", "accelerate", "mamba-ssm")


def environment(device: torch.device) -> Row:
    """Device, versions and commit."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    packages = {package: _version(package) for package in _PACKAGES}
    return {"device": name, "cuda": torch.version.cuda, "python": platform.python_version(), "commit": _commit(), **packages}


def timed(call: Callable[[], object], device: torch.device, repeats: int = 5) -> tuple[float, float | None]:
    """Median seconds and, on a GPU, peak allocated GiB; one warm-up before, synchronised."""
    is_cuda = device.type == "cuda"
    synchronize: Callable[[], None] = torch.cuda.synchronize if is_cuda else (lambda: None)
    call()
    synchronize()
    if is_cuda:
        torch.cuda.reset_peak_memory_stats(device)
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        synchronize()
        seconds.append(time.perf_counter() - started)
    peak = torch.cuda.max_memory_allocated(device) / 1024**3 if is_cuda else None
    return float(np.median(seconds)), peak


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str:
    if shutil.which("git") is None:
        return "unknown"
    words = ["git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude", "*"]
    told = subprocess.run(words, capture_output=True, text=True, check=False)
    return told.stdout.strip() or "unknown"
