"""The C++ kernel as a library: compiled on first use, afterwards found in the user's cache."""

import ctypes
import hashlib
import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

_SOURCE = Path(__file__).with_name("scan.cpp")
_COMPILERS = ("c++", "g++", "clang++")
# Contraction makes fused multiply-adds. Not -ffast-math: it loses nan, and flushes denormals in the whole process.
_FLAGS = ("-std=c++17", "-O2", "-ffp-contract=fast", "-pthread", "-fPIC", "-shared", "-Wno-psabi")
_PROCESSORS = (("-march=native",), ("-mcpu=native",), ())  # the first that the compiler knows is taken
_PATIENCE_S = 120.0


class CannotCompile(Exception):
    """There is no library; the message says why."""


@cache
def library() -> ctypes.CDLL:
    """The kernel's functions, for this processor.

    Raises:
        CannotCompile: no compiler, or one that does not work here.
    """
    command, digest = _command(_compiler())
    cached = _cache_folder() / f"scan-{digest}.so"
    try:
        return ctypes.CDLL(str(cached))
    except OSError:  # not there, or damaged
        return _compile(command, cached)


def _compiler() -> list[str]:
    """The one that the environment names as CXX, as everywhere; else the first that is installed."""
    named = shlex.split(os.environ.get("CXX", ""))
    found = [[path] for name in _COMPILERS if (path := shutil.which(name))]
    if not (named or found):
        raise CannotCompile(f"no C++ compiler ({', '.join(_COMPILERS)}) was found; install one, or name yours in CXX")
    return named or found[0]


def _command(compiler: Sequence[str]) -> tuple[list[str], str]:
    """The compiler with its flags, and a digest of all that decides what comes out.

    The macros that a compiler defines tell its version and every instruction it will use: a cache that
    machines share holds a library for each kind of processor.
    """
    for processor in _PROCESSORS:
        command = [*compiler, *_FLAGS, *processor]
        try:
            macros = _run([*command, "-x", "c++", "-dM", "-E", os.devnull])
        except CannotCompile as error:
            reason = str(error)
            continue
        return command, hashlib.sha256(b"\0".join([_SOURCE.read_bytes(), repr(_FLAGS).encode(), macros])).hexdigest()[:20]
    raise CannotCompile(f"{reason}; install another, or name it in CXX")


def _cache_folder() -> Path:
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "srreg"
    except RuntimeError:  # a user without a home
        return Path(os.devnull) / "srreg"  # cannot be written, so that nothing is kept


def _compile(command: Sequence[str], target: Path) -> ctypes.CDLL:
    """Compile aside, load, then rename: a library is in the cache whole or not at all, whoever else compiles it now."""
    with _workplace(target.parent) as folder:
        aside = Path(folder) / target.name
        _run([*command, "-o", str(aside), str(_SOURCE)])
        try:
            loaded = ctypes.CDLL(str(aside))
        except OSError as error:
            raise CannotCompile(f"the compiled scan cannot be loaded ({error})") from error
        with suppress(OSError):  # a cache that cannot be written is done without
            aside.replace(target)
        return loaded


def _workplace(cache_folder: Path) -> TemporaryDirectory[str]:
    """A folder of this process's own; in the cache where that can be written, so that renaming works."""
    with suppress(OSError):
        cache_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return TemporaryDirectory(prefix=".compiling-", dir=cache_folder, ignore_cleanup_errors=True)
    return TemporaryDirectory(prefix="srreg-scan-", ignore_cleanup_errors=True)


def _run(command: Sequence[str]) -> bytes:
    try:
        return subprocess.run(command, capture_output=True, timeout=_PATIENCE_S, check=True).stdout
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines() or ["without a word"]
        raise CannotCompile(f"the C++ compiler {command[0]!r} failed: {said[0]}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotCompile(f"the C++ compiler {command[0]!r} cannot be run: {error}") from error
