"""Unpack a zip that may be hostile: everything is looked at before anything is written."""

import os
import stat
import struct
import unicodedata
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from srreg.errors import DataError

_END, _END_OF_64 = b"PK\x05\x06", b"PK\x06\x07"
_END_BYTES, _LONGEST_COMMENT = 22, 65535
_CHUNK = 1 << 20
_SLACK_BYTES = 1 << 20  # a small file of zeros has any ratio
_LONGEST_PART, _LONGEST_NAME = 255, 1000


@dataclass(frozen=True)
class Limits:
    """What an archive of weights may be at most.

    Args:
        entries: files and folders in it.
        unpacked_bytes: of all files together.
        ratio: unpacked to packed.
    """

    entries: int = 1000
    unpacked_bytes: int = 4 * 1024**3
    ratio: int = 200


def unpack(archive: Path, folder: Path, limits: Limits = Limits()) -> None:
    """Unpack into a folder that is not there yet; nothing is written if any entry is refused.

    Refused: names that lead out of the folder, absolute ones, drive letters, links, devices, names twice or alike but
    for case, files that are folders of others, encryption, entries that share their bytes, and more than the limits.

    Raises:
        DataError: no zip, a damaged one, or one that is refused, with the entry.
    """
    _check_directory(archive, limits)
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = opened.infolist()
            paths = [_path(archive, entry) for entry in entries]
            _check_sizes(archive, entries, limits)
            _check_names(archive, entries, paths)
            folder.mkdir(parents=True)
            for entry, path in zip(entries, paths, strict=True):
                _write(opened, entry, folder / path)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, struct.error) as error:
        raise DataError(f"{archive}: is damaged or no zip ({error})") from error


def _check_directory(archive: Path, limits: Limits) -> None:
    """Before the list of entries is read at all: a million of them would take gigabytes of memory."""
    with archive.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - _END_BYTES - _LONGEST_COMMENT - 20, 0))
        tail = file.read()
    at = tail.rfind(_END)
    if at < 0 or len(tail) - at < _END_BYTES:
        raise DataError(f"{archive}: is no zip, or cut off (it has no list of entries)")
    count, directory_bytes = struct.unpack_from("<HI", tail, at + 10)
    if _END_OF_64 in tail[max(at - 20, 0) : at] or count > limits.entries or directory_bytes > limits.entries * _LONGEST_NAME:
        raise DataError(f"{archive}: has too many entries; at most {limits.entries} are unpacked")


def _path(archive: Path, entry: zipfile.ZipInfo) -> PurePosixPath:
    """The entry's place below the folder."""
    name = entry.orig_filename
    parts = name.removesuffix("/").split("/")
    is_odd = any(character in name for character in "\\:") or not name.isprintable() or len(name) > _LONGEST_NAME
    if is_odd or any(part in ("", ".", "..") or len(part.encode()) > _LONGEST_PART for part in parts):
        raise DataError(
            f"{archive}: the entry {name[:80]!r} would not lie in the folder it is unpacked to; nothing was unpacked"
        )
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise DataError(f"{archive}: the entry {name[:80]!r} is a link or a device; nothing was unpacked")
    if entry.flag_bits & 1 or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError(f"{archive}: the entry {name[:80]!r} is encrypted or packed in an unusual way; nothing was unpacked")
    return PurePosixPath(*parts)


def _check_sizes(archive: Path, entries: list[zipfile.ZipInfo], limits: Limits) -> None:
    unpacked, packed = sum(e.file_size for e in entries), sum(e.compress_size for e in entries)
    if packed > archive.stat().st_size:
        raise DataError(f"{archive}: its entries share their bytes; nothing was unpacked")
    if len(entries) > limits.entries or unpacked > limits.unpacked_bytes:
        raise DataError(
            f"{archive}: has {len(entries)} entries of {unpacked} bytes; at most {limits.entries} of {limits.unpacked_bytes} "
            "are unpacked"
        )
    for entry in entries:
        if entry.file_size > limits.ratio * entry.compress_size + _SLACK_BYTES:
            raise DataError(
                f"{archive}: the entry {entry.filename[:80]!r} grows more than {limits.ratio} times; nothing was unpacked"
            )


def _check_names(archive: Path, entries: list[zipfile.ZipInfo], paths: list[PurePosixPath]) -> None:
    """No name twice, also not where case or accents do not count, and no file with something below it."""
    seen: dict[str, bool] = {}  # name -> is it a folder
    for entry, path in zip(entries, paths, strict=True):
        name = _folded(path)
        if name in seen and not (seen[name] and entry.is_dir()):
            raise DataError(f"{archive}: the entry {entry.filename[:80]!r} is there twice; nothing was unpacked")
        seen[name] = entry.is_dir()
    for path in paths:
        if any(not seen.get(_folded(parent), True) for parent in path.parents):
            raise DataError(f"{archive}: the entry {str(path)[:80]!r} lies below a file; nothing was unpacked")


def _folded(path: PurePosixPath) -> str:
    return unicodedata.normalize("NFC", str(path)).casefold()


def _write(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> None:
    if entry.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    with opened.open(entry) as packed, os.fdopen(os.open(path, flags, 0o644), "wb") as file:
        while chunk := packed.read(_CHUNK):  # never more than the size that was announced; the checksum is zipfile's
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
