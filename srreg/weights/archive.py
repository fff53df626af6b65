"""Weights that are downloaded as a zip: fetched once, proved against a digest, unpacked whole or not at all.

    weights/hd-bet/...             what was in the zip, and record.json: where it came from, digests of zip and files
    weights/first-seen.json        digests of zips nobody publishes a digest of, as the first fetch found them
    weights/release_v1.5.0.zip     while it is fetched; one that a person puts there is taken as it is

Trust on first use: where no digest is published, the first fetch takes what https brings and writes its digest
down; from then on every fetch and every use must match it. That finds damage, and a file that is exchanged later.
It does not find a file that was exchanged before the first fetch; compare the digest with another person's for that.
"""

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import filelock

from srreg.errors import BackendUnavailable, DataError, FolderBusy
from srreg.files import aside_of, read_json, remove_unfinished, sha256, sha256_once, write_json
from srreg.weights.download import Advance, download
from srreg.weights.unpack import unpack

RECORD, FIRST_SEEN = "record.json", "first-seen.json"


def weights_folder() -> Path:
    """Where weights are kept: beside what other programs keep for this user."""
    told = os.environ.get("XDG_DATA_HOME")
    return (Path(told) if told else Path.home() / ".local" / "share") / "srreg" / "weights"


@dataclass(frozen=True)
class Archive:
    """A zip of weights.

    Args:
        name: of the back end, and of the folder.
        url: where it lies, over https.
        file_name: of the zip.
        holds: files that must be in it.
        most_bytes: it is not larger.
        sha256: of the zip as published; None: nobody publishes one, and the first fetch is trusted.
        size: in bytes, where it is known.
    """

    name: str
    url: str
    file_name: str
    holds: tuple[str, ...]
    most_bytes: int
    sha256: str | None = None
    size: int | None = None

    @property
    def folder(self) -> Path:
        """Where the files are once they are there."""
        return weights_folder() / self.name

    def fetch(self, advance: Advance = lambda done, total: None) -> None:
        """Make the folder; one that is whole already is left as it is.

        Raises:
            BackendUnavailable: the download failed, is not what was published or first seen, or no such archive.
            FolderBusy: another process fetches weights.
            NoRoom: the disk is full.
        """
        with _alone():
            with contextlib.suppress(BackendUnavailable):
                self.verify()
                return
            zipped = weights_folder() / self.file_name
            if not zipped.is_file():
                download(self.url, zipped, most_bytes=self.most_bytes, size=self.size, advance=advance)
            try:
                self._install(zipped, self._trusted(zipped))
            except DataError as error:
                raise BackendUnavailable(f"{error}. Delete it; {self.remedy}") from error
            zipped.unlink()

    def verify(self) -> str:
        """Compare every file with the digests that were written down when they came.

        Returns:
            The digest of the zip, and why it is trusted.

        Raises:
            BackendUnavailable: something is missing or damaged; with the line to type.
        """
        try:
            record = read_json(self.folder / RECORD)
            files = {str(name): str(digest) for name, digest in dict(record["files"]).items()}  # type: ignore[call-overload]
            found, when = str(record["sha256"]), str(record["fetched"])
        except (DataError, KeyError, TypeError, ValueError):
            raise BackendUnavailable(f"{self.name} has no weights yet: {self.remedy}") from None
        damaged = [name for name, digest in files.items() if not self._is_whole(name, digest)]
        if damaged or not set(self.holds) <= set(files) or self.sha256 not in (None, found):
            what = damaged[0] if damaged else RECORD
            raise BackendUnavailable(f"{self.name} has damaged weights ({what}): srreg weights fetch {self.name}")
        return f"{found} ({'as published' if self.sha256 else f'not published; trusted as first seen on {when}'})"

    @property
    def remedy(self) -> str:
        """The line to type, and what to do without a network."""
        return (
            f"srreg weights fetch {self.name}; without a network put {self.origin} "
            f"into {weights_folder()} as {self.file_name} and type the same"
        )

    @property
    def origin(self) -> str:
        """Where it lies, its size and its digest, as far as they are published."""
        size = f"{self.size} bytes" if self.size else "size not published"
        return f"{self.url} ({size}, sha256 {self.sha256 or 'not published'})"

    def _is_whole(self, name: str, digest: str) -> bool:
        path = self.folder / name
        return path.is_file() and sha256_once(path) == digest

    def _trusted(self, zipped: Path) -> str:
        """The zip's digest, if it is the published one, the one first seen, or the first ever."""
        found = sha256(zipped)
        known, since = self.sha256, "published"
        if known is None:
            seen = _first_seen().setdefault(self.name, {})
            if seen.get("url") == self.url:
                known, since = seen.get("sha256"), f"first seen on {seen.get('date')}"
        if known not in (None, found):
            zipped.unlink()
            advice = f"if you know why it changed, delete {weights_folder() / FIRST_SEEN}; else try again later"
            raise BackendUnavailable(
                f"{self.name}: {self.url} has sha256 {found}, but {known} was {since}; it was not unpacked and is gone again; "
                + (advice if self.sha256 is None else "try again later")
            )
        return found

    def _install(self, zipped: Path, digest: str) -> None:
        made = aside_of(self.folder)
        try:
            unpack(zipped, made)
            lacking = [name for name in self.holds if not (made / name).is_file()]
            if lacking:
                raise DataError(f"{zipped}: holds no {', '.join(lacking)}")
            files = {str(path.relative_to(made)): sha256(path) for path in sorted(made.rglob("*")) if path.is_file()}
            today = time.strftime("%Y-%m-%d")
            origin = {"url": self.url, "sha256": digest, "size": zipped.stat().st_size, "fetched": today}
            write_json(made / RECORD, {**origin, "files": files})
            shutil.rmtree(self.folder, ignore_errors=True)  # a damaged one
            made.replace(self.folder)
            if self.sha256 is None:
                seen = {"url": self.url, "sha256": digest, "date": today}
                write_json(weights_folder() / FIRST_SEEN, {self.name: seen} | _first_seen())
        finally:
            shutil.rmtree(made, ignore_errors=True)


def _first_seen() -> dict[str, dict[str, str]]:
    path = weights_folder() / FIRST_SEEN
    try:
        return {name: dict(seen) for name, seen in read_json(path).items()} if path.exists() else {}  # type: ignore[call-overload]
    except (DataError, TypeError, ValueError) as error:
        raise BackendUnavailable(f"{path} is damaged ({error}); delete it to trust what comes next") from error


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """One process at a time; what a killed one had not finished is cleared, but for the part of a download."""
    folder = weights_folder()
    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / ".lock", timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout as error:
        raise FolderBusy(f"{folder}: another srreg weights fetch is at work there; wait for it") from error
    try:
        remove_unfinished(folder)
        yield
    finally:
        lock.release()
