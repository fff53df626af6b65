"""The report's server: on the loopback interface, for as long as somebody looks."""

import errno
import os
import secrets
import socket
from collections.abc import Callable

import uvicorn

from srreg.errors import UsageError
from srreg.qc.serve.site import Site, application

_ADDRESS = "127.0.0.1"
_GRACE_S = 2


def serve(site: Site, port: int, told: Callable[[str], None]) -> None:
    """Serve until a signal ends it.

    Args:
        site: what is served.
        port: of this machine; 0: any that is free.
        told: called with the address, token and all, once it can be opened.

    Raises:
        UsageError: the port is taken, or not ours to take.
    """
    token = secrets.token_urlsafe(32)
    with listening(port) as listener:
        config = uvicorn.Config(
            application(site, token),
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,  # its warnings go where ours go
            log_level="warning",
            access_log=False,  # addresses hold the token
            server_header=False,
            timeout_graceful_shutdown=_GRACE_S,
        )
        told(f"http://{_ADDRESS}:{listener.getsockname()[1]}/{token}/")
        uvicorn.Server(config).run(sockets=[listener])


def listening(port: int) -> socket.socket:
    """A socket that this machine alone can reach.

    Raises:
        UsageError: the port is taken, or not ours to take.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if os.name != "nt":  # Windows would share a taken port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((_ADDRESS, port))
        listener.listen()
    except OSError as error:
        listener.close()
        why = "another program has it" if error.errno == errno.EADDRINUSE else error.strerror
        raise UsageError(
            f"port {port} cannot be used ({why}); name another with --port, or leave it out for a free one"
        ) from error
    return listener
