"""One bounded question to /health of a proxy, whoever answers."""

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

ANSWER_BYTES = 65_536  # far above any health answer of ours
SERVICE = "lumen-proxy"  # in our /health; anybody can say so


def ask(url: str, patience_s: float) -> dict[str, Any]:
    """What /health says in time, or nothing. No proxy variables, no redirects."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=patience_s)
    try:
        connection.connect()
        with _hung_up_after(patience_s, connection.sock):
            connection.request("GET", "/health")
            return json_object(connection.getresponse().read(ANSWER_BYTES))
    except (OSError, http.client.HTTPException, ValueError):  # ValueError: a header that is none
        return {}
    finally:
        connection.close()


@contextlib.contextmanager
def _hung_up_after(patience_s: float, sock: socket.socket) -> Iterator[None]:
    """A connection's own time-out starts anew with every byte."""

    def hang_up() -> None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)

    too_late = threading.Timer(patience_s, hang_up)
    too_late.start()
    try:
        yield
    finally:
        too_late.cancel()
