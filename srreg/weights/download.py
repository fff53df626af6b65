"""Download a file over https: whole or not at all, and on from where it broke off."""

import contextlib
import errno
import http.client
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from typing import IO

from srreg.errors import BackendUnavailable, DataError, NoRoom
from srreg.files import read_json, write_json

Advance = Callable[[int, int], object]  # is told bytes so far and bytes in all

_PATIENCE_S = 30.0  # without a single byte
# A server that trickles would hold us for ever without breaking any patience.
_WINDOW_S, _LEAST_BYTES = 60.0, 64 * 1024
_CHUNK = 1 << 16
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")


@dataclass(frozen=True)
class _State:
    """What a broken download belongs to: only the same file on the server may go on with it."""

    url: str
    validator: str  # a strong ETag, or the time of the last change
    total: int


def download(
    url: str, path: Path, *, most_bytes: int, size: int | None = None, advance: Advance = lambda done, total: None
) -> None:
    """Fetch a file to `path`; what a broken try leaves lies beside it as `.unfinished` until the next one.

    Args:
        url: https, as is every address the server sends us on to.
        path: where it goes once every byte is there.
        most_bytes: more is refused.
        size: what is expected exactly, where it is known.
        advance: is told how far it is.

    Raises:
        BackendUnavailable: no answer, an error, a web page, another size, too slow, or broken off; with what to do.
        NoRoom: the disk is full.
    """
    _check_https(url)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.unfinished")
    note = path.with_name(f"{path.name}.unfinished.json")
    try:
        with _opened(url, unfinished, note) as answer:
            start, total = _place(answer, unfinished, note)
            _check_offer(url, answer, total, most_bytes, size)
            if start == 0:
                unfinished.unlink(missing_ok=True)  # before the note speaks of another file, and never through a link
            write_json(note, asdict(_State(url, _validator(answer), total)))
            _take(answer, unfinished, start, total or size or 0, most_bytes, advance)
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise NoRoom(f"{path}: no room for the download of {url} ({error}). Free some and run again.") from error
        raise BackendUnavailable(f"{url}: {_why(error)}; the same command goes on from there") from error
    unfinished.replace(path)
    note.unlink(missing_ok=True)


def _check_https(url: str) -> None:
    if not url.lower().startswith("https://"):
        raise BackendUnavailable(f"{url}: is not https, and weights are fetched over nothing else")


class _HttpsAlone(urllib.request.HTTPRedirectHandler):
    """Follows a server to another address of https, and to no other."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        _check_https(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opened(url: str, unfinished: Path, note: Path) -> http.client.HTTPResponse:
    request = urllib.request.Request(url, headers={"User-Agent": "srreg", "Accept-Encoding": "identity"})
    state = _state(note)
    if state is not None and state.url == url and state.validator and unfinished.is_file():
        request.add_header("Range", f"bytes={unfinished.stat().st_size}-")
        request.add_header("If-Range", state.validator)
    try:
        answer: http.client.HTTPResponse = urllib.request.build_opener(_HttpsAlone).open(request, timeout=_PATIENCE_S)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and unfinished.exists():
            unfinished.unlink()  # it has changed, or we have all of it and cannot know
            return _opened(url, unfinished, note)
        raise BackendUnavailable(f"{url}: the server answered {error.code} {error.reason}; try again later") from error
    return answer


def _state(note: Path) -> _State | None:
    with contextlib.suppress(DataError, TypeError):
        return _State(**read_json(note))  # type: ignore[arg-type]
    return None


def _validator(answer: http.client.HTTPResponse) -> str:
    tag = answer.headers.get("ETag", "")
    return answer.headers.get("Last-Modified", "") if not tag or tag.startswith("W/") else tag


def _place(answer: http.client.HTTPResponse, unfinished: Path, note: Path) -> tuple[int, int]:
    """Where in the file the answer begins, and the length of the whole; from 0 unless it fits what we have."""
    length = int(answer.headers.get("Content-Length") or 0)
    if answer.status != http.HTTPStatus.PARTIAL_CONTENT:
        return 0, length
    match, state = _RANGE.fullmatch(answer.headers.get("Content-Range", "")), _state(note)
    start, total = (int(match[1]), int(match[2])) if match else (-1, -1)
    if state is None or start != unfinished.stat().st_size or total != state.total:
        unfinished.unlink(missing_ok=True)
        raise http.client.HTTPException("the server went on with another part than it was asked for")
    return start, total


def _check_offer(url: str, answer: http.client.HTTPResponse, total: int, most_bytes: int, size: int | None) -> None:
    if answer.headers.get_content_type() == "text/html":
        raise BackendUnavailable(f"{url}: a web page came instead of the file; the address may have moved")
    if size is not None and total not in (0, size):
        raise BackendUnavailable(f"{url}: the server has a file of {total} bytes there, expected {size}")
    if total > most_bytes:
        raise BackendUnavailable(f"{url}: the server has a file of {total} bytes there; more than {most_bytes} are not taken")


def _take(
    answer: http.client.HTTPResponse, unfinished: Path, start: int, total: int, most_bytes: int, advance: Advance
) -> None:
    flags = os.O_WRONLY | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    with os.fdopen(os.open(unfinished, flags, 0o644), "wb") as file:
        file.seek(start)
        done, window_start, window_done = start, monotonic(), start
        while chunk := answer.read1(_CHUNK):
            file.write(chunk)
            done += len(chunk)
            advance(done, total)
            if done > (total or most_bytes):
                raise http.client.HTTPException(f"more than {total or most_bytes} bytes came")
            if monotonic() - window_start > _WINDOW_S:
                if done - window_done < _LEAST_BYTES:
                    raise TimeoutError(f"only {done - window_done} bytes came in {_WINDOW_S:g} s")
                window_start, window_done = monotonic(), done
        file.flush()
        os.fsync(file.fileno())
    if total and done != total:
        raise http.client.IncompleteRead(b"", total - done)


def _why(error: Exception) -> str:
    if isinstance(error, http.client.IncompleteRead):
        return f"broke off, {error.expected} bytes are missing"
    reason = getattr(error, "reason", None) or error
    return str(reason) or type(error).__name__
