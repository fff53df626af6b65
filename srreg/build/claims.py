"""Which subjects a process is building: a file a subject, made by one process alone and touched while that process runs.

The rule for one whose maker may have died: on the machine it was made on, it is void once that process is gone; made
elsewhere, or where another process has got the number since, it is void after ten minutes without a touch. Nothing
ever needs to be deleted by hand, and no clock but the file system's own is asked.
"""

import contextlib
import hashlib
import json
import os
import platform
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

import psutil

from srreg.errors import DataError
from srreg.files import read_json

BEAT_S, SILENCE_S = 30.0, 600.0


@dataclass(frozen=True)
class Claimant:
    """Who holds a claim."""

    host: str
    machine: str  # tells one boot, and one container, from another of the same name
    pid: int

    @classmethod
    def me(cls) -> "Claimant":
        """This process."""
        return cls(platform.node(), _machine(), os.getpid())

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def _machine() -> str:
    """Digest of what process numbers are unique in: a host since it was booted, and its process namespace."""
    parts = [platform.node()]
    with contextlib.suppress(OSError):  # only Linux has them
        parts += [Path("/proc/sys/kernel/random/boot_id").read_text(), str(Path("/proc/self/ns/pid").readlink())]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


class Claims:
    """The subjects this process has claimed; given back at the end of the `with`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mine: list[Path] = []
        self._is_over = threading.Event()
        self._beat = threading.Thread(target=self._keep_alive, daemon=True)

    def __enter__(self) -> "Claims":
        self._folder.mkdir(parents=True, exist_ok=True)
        self._beat.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release()

    def take(self, name: str) -> bool:
        """Claim a subject; False if somebody has."""
        path = self._folder / f"{name}.json"
        try:
            # O_EXCL decides between two who come at once, on network file systems too, where a lock may be lost.
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o644)
        except FileExistsError:
            return False
        self._mine.append(path)
        with os.fdopen(handle, "w") as file:
            json.dump(asdict(Claimant.me()), file)
        return True

    def release(self) -> None:
        """Give back what is ours; a claim that was taken over for void is left alone."""
        self._is_over.set()
        for path in self._mine:
            if _claimant(path) in (Claimant.me(), None):
                path.unlink(missing_ok=True)
        self._mine.clear()

    def _keep_alive(self) -> None:
        while not self._is_over.wait(BEAT_S):
            for path in [*self._mine]:
                with contextlib.suppress(OSError):
                    os.utime(path)


def live(folder: Path) -> dict[str, Claimant | None]:
    """Subject -> who is building it; None where the claim cannot be read (yet)."""
    claims = sorted(folder.glob("*.json")) if folder.is_dir() else []
    return {path.stem: _claimant(path) for path in claims if _is_alive(path)}


def clear_void(folder: Path) -> None:
    """Remove claims whose makers have died; call it under the folder's lock alone, so that nobody clears a new one."""
    for path in folder.glob("*.json"):
        if not _is_alive(path):
            path.unlink(missing_ok=True)


def _is_alive(path: Path) -> bool:
    claimant = _claimant(path)
    if claimant is not None and claimant.machine == _machine() and not psutil.pid_exists(claimant.pid):
        return False
    return _silence_s(path) < SILENCE_S


def _claimant(path: Path) -> Claimant | None:
    try:
        found = read_json(path)
        return Claimant(str(found["host"]), str(found["machine"]), int(str(found["pid"])))
    except (DataError, KeyError, ValueError):
        return None


def _silence_s(path: Path) -> float:
    """Time since a claim was touched, both by the file system's clock: those of two machines differ."""
    try:
        touched = path.stat().st_mtime
    except FileNotFoundError:  # given back just now
        return SILENCE_S
    try:
        with tempfile.TemporaryFile(dir=path.parent) as now:
            now.write(b".")
            now.flush()
            return os.fstat(now.fileno()).st_mtime - touched
    except OSError:  # one who may only look
        return time.time() - touched
