"""Who is let in: a browser of this machine that was given the address, and no other site's page through it."""

import secrets

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Names under which this machine reaches itself. A site that has its own name point here (DNS rebinding) sends its own name.
_OWN_NAMES = ("127.0.0.1", "localhost")
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'self'",  # the rest stands in each page, as in the report on disk
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Guard:
    """Refuses, with 403 and a reason, a host that is not this machine, another origin, and a path that lacks the token."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        objection = self._objection(Request(scope))
        answer = PlainTextResponse(objection, 403) if objection else self._app
        await answer(scope, receive, _with_headers(send))

    def _objection(self, request: Request) -> str:
        host = request.headers.get("host", "")
        name, _, port = host.partition(":")
        if name not in _OWN_NAMES or not (port.isdigit() or not port):
            return "This report is served to its own machine alone; use the address that srreg printed."
        if request.headers.get("origin", f"http://{host}") != f"http://{host}":
            return "Another site's page asked; only the report's own pages may."
        given = request.scope["path"].removeprefix("/").partition("/")[0]
        if not secrets.compare_digest(given.encode(), self._token.encode()):
            return "The address has not the token of this report; use the one that srreg printed."
        return ""


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(_HEADERS)
        await send(message)

    return send_with_headers
