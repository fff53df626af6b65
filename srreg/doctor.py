"""What works on this machine, and the line to type for what does not."""

import importlib.metadata
import os
import platform
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from srreg.backends.protocol import Backend, Resources
from srreg.backends.registry import OF_YOUR_OWN, SEGMENTERS, SKULL_STRIPPERS
from srreg.backends.torch_probe import probe_torch
from srreg.registry import Registry

State = Literal["ok", "missing", "limited"]

_GIB = 1024**3
_ENOUGH_MEMORY_GIB = 8.0  # SAMSEG takes up to 6.3 GiB on a whole head at 1 mm
_ENOUGH_DISK_GIB = 50.0  # 180 subjects: about 100 MB each built, half as much again in the cache, and runs
_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Finding:
    """One line of what `srreg doctor` says.

    Args:
        area: what it belongs to: system, package, device, skull stripper, segmenter.
        name: what was looked at.
        state: `limited` works, but less well or only in part.
        detail: what was found.
        remedy: the line to type, or what to do; empty where nothing is needed.
    """

    area: str
    name: str
    state: State
    detail: str
    remedy: str = ""


def examine(folder: Path | None = None) -> list[Finding]:
    """Look at everything; takes some seconds, changes nothing, asks no network.

    Args:
        folder: where data would go, for the free disk; None: the current folder.
    """
    return [
        *_system(folder or Path.cwd()),
        *_packages(),
        *_devices(),
        *_back_ends(SKULL_STRIPPERS),
        *_back_ends(SEGMENTERS),
    ]


def _system(folder: Path) -> Iterator[Finding]:
    yield Finding("system", "Python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    yield Finding("system", "cores", "ok", f"{_usable_cores()} usable")
    yield _room("memory", psutil.virtual_memory().available, _ENOUGH_MEMORY_GIB, "build fewer subjects at once: --n-procs 1")
    yield _room(
        "disk here", shutil.disk_usage(folder).free, _ENOUGH_DISK_GIB, "enough for part of SynthRAD, or for --size half"
    )
    compiler = next(filter(None, map(shutil.which, ("c++", "g++", "clang++"))), None)
    yield Finding("system", "C++ compiler", "ok", "present" if compiler else "none; the scan then runs in plain torch")


def _usable_cores() -> int:
    """Cores this process may run on; fewer than the machine has under a batch system."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _room(name: str, free_bytes: int, enough_gib: float, remedy: str) -> Finding:
    free_gib = free_bytes / _GIB
    is_enough = free_gib >= enough_gib
    return Finding("system", name, "ok" if is_enough else "limited", f"{free_gib:.1f} GiB free", "" if is_enough else remedy)


def _packages() -> Iterator[Finding]:
    for name in _required():
        version = _version(name)
        remedy = "" if version else f"pip install {name}"
        yield Finding("package", name, "ok" if version else "missing", version or "not installed", remedy)
    kernels = _version("mamba-ssm")
    yield Finding(
        "package",
        "mamba-ssm",
        "ok" if kernels else "limited",
        kernels or "not installed; the scan has back ends of its own",
        "" if kernels else 'pip install "srreg[mamba]" (needs a CUDA device and nvcc; optional)',
    )


def _required() -> list[str]:
    """Names of the packages an installation must have, this one first."""
    wanted = importlib.metadata.requires("srreg") or []
    return ["srreg", *(match.group() for line in wanted if "extra ==" not in line and (match := _PACKAGE.match(line)))]


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _devices() -> Iterator[Finding]:
    found = probe_torch()
    if found.error:
        yield Finding("device", "torch", "missing", f"cannot be imported: {found.error}", "pip install --force-reinstall torch")
        return
    for number, name in enumerate(found.devices):
        yield Finding("device", f"cuda:{number}", "ok", f"{name}, torch {found.version}")
    if not found.devices:
        why = "torch finds no CUDA device" if found.cuda else "torch is built for the CPU alone"
        yield Finding("device", "cuda", "limited", f"{why}; networks run on the CPU, training takes long")


def _back_ends(registry: Registry[type[Backend]]) -> Iterator[Finding]:
    for name in registry:
        try:
            kind = registry.load(name)
            missing = [] if name in OF_YOUR_OWN else list(kind(Resources()).check())
        except Exception as error:  # whatever a tool's package raises, the others are still looked at
            yield Finding(registry.kind, name, "missing", f"cannot be loaded: {type(error).__name__}: {error}")
            continue
        about = kind.about
        detail = "; ".join(filter(None, (f"licence: {about.licence}", f"weights: {about.weights}", about.remark)))
        yield Finding(registry.kind, name, "missing" if missing else "ok", detail, "; ".join(missing))
