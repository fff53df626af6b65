"""A server on this machine that gives one file over https, well or badly, and remembers what it was asked."""

import contextlib
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme


@dataclass
class Behaviour:
    """What the server does next; tests set it."""

    content: bytes = b""
    etag: str | None = '"one"'
    status: int = 200
    location: str = ""
    kind: str = "application/zip"
    stops_after: int | None = None  # bytes, then the connection breaks
    says_length: bool = True
    pause_s: float = 0.0  # between bytes
    goes_on_elsewhere: bool = False  # answers a range with another one
    asked: list[dict[str, str]] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    behaviour: Behaviour

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base class
        pass

    def do_GET(self) -> None:
        told = self.behaviour
        told.asked.append(dict(self.headers))
        start = self._start()
        self.send_response(told.status if told.status != 200 or not start else 206)
        if told.location:
            self.send_header("Location", told.location)
        if told.etag:
            self.send_header("ETag", told.etag)
        self.send_header("Content-Type", told.kind)
        if told.says_length:
            self.send_header("Content-Length", str(len(told.content) - start))
        if start:
            first = start + told.goes_on_elsewhere
            self.send_header("Content-Range", f"bytes {first}-{len(told.content) - 1}/{len(told.content)}")
        self.end_headers()
        with contextlib.suppress(OSError):  # whoever asked has gone
            self._send(told.content[start:][: told.stops_after])

    def _start(self) -> int:
        told, asked = self.behaviour, self.headers.get("Range")
        if asked is None or self.headers.get("If-Range") != told.etag:
            return 0
        return int(asked.removeprefix("bytes=").removesuffix("-"))

    def _send(self, content: bytes) -> None:
        for part in [content] if not self.behaviour.pause_s else [content[i : i + 1] for i in range(len(content))]:
            self.wfile.write(part)
            self.wfile.flush()
            time.sleep(self.behaviour.pause_s)
        self.close_connection = True


@contextmanager
def serving(behaviour: Behaviour, folder: Path, monkeypatch: pytest.MonkeyPatch, is_secure: bool = True) -> Iterator[str]:
    """Serve until the end of the block; gives the address. Our side trusts its certificate, as a person's system would.

    Args:
        behaviour: what it does; may be changed between requests.
        folder: where the certificate of its authority is put.
        monkeypatch: makes it trusted and keeps proxies out.
        is_secure: https, or plain http.
    """
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"behaviour": behaviour}))
    server.daemon_threads = True
    if is_secure:
        authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        authority.cert_pem.write_to_path(str(folder / "authority.pem"))
        monkeypatch.setenv("SSL_CERT_FILE", str(folder / "authority.pem"))
        server.socket = context.wrap_socket(server.socket, server_side=True)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http{'s' if is_secure else ''}://localhost:{server.server_address[1]}/weights.zip"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
