"""One GET of /health with a deadline for the whole response."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lumen_proxy.wire.text import json_object

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES = 65_536  # far above any response of this program
SERVICE = "lumen-proxy"  # in /health of this program; any other program can claim it


def get(url: str, within_s: float) -> dict[str, Any]:
    """The JSON object of /health; empty if there is none in time. Uses no proxy variables and follows no redirects."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=within_s)
    try:
        connection.connect()
        with _shut_down_after(within_s, connection.sock):
            connection.request("GET", "/health")
            return json_object(connection.getresponse().read(MAX_BYTES))
    except (OSError, http.client.HTTPException, ValueError):  # ValueError: an invalid header
        return {}
    finally:
        connection.close()


@contextlib.contextmanager
def _shut_down_after(within_s: float, sock: socket.socket) -> Iterator[None]:
    """Bound the block: the time-out of the connection starts again with every byte."""

    def shut_down() -> None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(within_s, shut_down)
    try:
        timer.start()
        yield
    finally:
        timer.cancel()
