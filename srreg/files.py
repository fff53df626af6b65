"""Files that appear whole or not at all, and what a file's bytes are."""

import errno
import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from pathlib import Path

from srreg.errors import DataError, NoRoom


def write_whole(path: Path, content: bytes) -> None:
    """Write aside, flush to disk, compare with what was to be written, rename, flush the folder.

    Args:
        path: the final name; its folder is made where it is missing.
        content: the whole file.

    Raises:
        NoRoom: the disk or a quota is full; nothing is left behind.
        DataError: it reads back otherwise; nothing is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = aside_of(path)
    try:
        _write_through(aside, content)
        _check_written(aside, path, content)
        aside.replace(path)
        _flush_folder(path.parent)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise NoRoom(f"{path}: no room for {len(content)} bytes ({error.strerror}). Free some and run again.") from error
        raise
    finally:
        aside.unlink(missing_ok=True)


def _check_written(aside: Path, path: Path, content: bytes) -> None:
    if aside.stat().st_size != len(content):
        raise NoRoom(f"{path}: only {aside.stat().st_size} of {len(content)} bytes reached the disk")
    if aside.read_bytes() != content:
        raise DataError(f"{path}: reads back otherwise than it was written; is the disk or the network folder failing?")


_ASIDE = re.compile(r"\..+\.(\d+)\.[0-9a-f]{32}\.part")


def aside_of(path: Path) -> Path:
    """A name beside a file or folder, this process's own, under which it is written until it is whole."""
    return path.parent / f".{path.name}.{os.getpid()}.{uuid.uuid4().hex}.part"


def remove_unfinished(folder: Path, process_id: int | None = None) -> None:
    """Remove, anywhere below a folder, what a process that was killed had not yet written whole.

    Args:
        folder: where nobody else writes now.
        process_id: whose; None: anybody's.
    """
    for path in [*folder.rglob(".*.part")]:
        match = _ASIDE.fullmatch(path.name)
        if match is None or process_id not in (None, int(match[1])):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _write_through(path: Path, content: bytes) -> None:
    # O_EXCL and O_NOFOLLOW: never through a link that someone else has put there.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    with os.fdopen(os.open(path, flags, 0o644), "wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())


def _flush_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open a folder to flush it
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text whole; line ends stay as they are."""
    write_whole(path, text.encode("utf-8"))


def read_text(path: Path) -> str:
    """Read UTF-8 text; the mark that some editors put before it is dropped.

    Raises:
        DataError: not there, or not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 text ({error.reason} at byte {error.start}). Save it as UTF-8.") from error


def to_json(value: object) -> str:
    """JSON whose bytes depend on the value alone."""
    return json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False) + "\n"


def write_json(path: Path, value: object) -> None:
    """Write a value as JSON, whole."""
    write_text(path, to_json(value))


def read_json(path: Path) -> dict[str, object]:
    """Read a JSON object.

    Raises:
        DataError: not there, not JSON, or not an object.
    """
    try:
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise DataError(f"{path}: is not JSON ({error})") from error
    if not isinstance(value, dict):
        raise DataError(f"{path}: expected a JSON object")
    return value


def tsv(columns: Iterable[str], rows: Iterable[Mapping[str, object]]) -> str:
    """Tab-separated text with a header line; a missing or None value is `n/a`, as in BIDS."""
    names = list(columns)
    lines = ["\t".join(names)]
    for row in rows:
        cells = (row.get(name) for name in names)
        lines.append("\t".join("n/a" if cell is None else " ".join(str(cell).split()) for cell in cells))
    return "\n".join(lines) + "\n"


def read_tsv(path: Path, required: Collection[str] = ()) -> list[dict[str, str]]:
    """Rows of a file that `tsv` wrote; `n/a` stays text.

    Args:
        path: the file.
        required: columns without which it is of no use; others may stand beside them.

    Raises:
        DataError: not there, not UTF-8, without a required column, or a line with another number of cells than the header.
    """
    lines = read_text(path).splitlines()
    header = lines[0].split("\t") if lines else []
    check_columns(path, header, required)
    rows = [line.split("\t") for line in lines[1:] if line]
    for number, cells in enumerate(rows, start=2):
        if len(cells) != len(header):
            raise DataError(f"{path}, line {number}: expected {len(header)} columns, got {len(cells)}")
    return [dict(zip(header, cells, strict=True)) for cells in rows]


def check_columns(path: Path, found: Collection[str], required: Collection[str]) -> None:
    """Refuse a table without its columns.

    Raises:
        DataError: naming those that are missing.
    """
    missing = [name for name in required if name not in found]
    if missing:
        raise DataError(f"{path}: has no column {', '.join(missing)}; expected {', '.join(required)}, got {', '.join(found)}")


def sha256(path: Path) -> str:
    """Digest of a file's bytes, as hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def sha256_once(path: Path) -> str:
    """As `sha256`, but a process reads a file once, as long as its size and time stay."""
    status = path.stat()
    return _sha256_of_state(path, status.st_size, status.st_mtime_ns)


@cache
def _sha256_of_state(path: Path, size: int, changed_ns: int) -> str:
    return sha256(path)
