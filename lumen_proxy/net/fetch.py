"""One HTTP request on a new connection, within one deadline. For probes and alerts; the worker has a pool."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from http.client import HTTPException
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from lumen_proxy.net.response import HttpResponse, limit_reads, shut
from lumen_proxy.net.route import AUTH_REQUIRED, Route
from lumen_proxy.net.time_limits import CONNECT_S, TimeLimits
from lumen_proxy.wire.compression import decompress

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator, Mapping
    from http.client import HTTPMessage

ANSWER_BYTES = 65_536  # far above the size of a health page
READ_BYTES = 8_192
HEADERS = {
    "User-Agent": "lumen-proxy",
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "Connection": "close",
}


class FetchRequest(NamedTuple):
    """A request; `headers` are in addition to the usual ones."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


class FetchLimits(NamedTuple):
    """Seconds in total, seconds of them to connect, and about how many bytes of the body are read."""

    within_s: float
    connect_s: float = CONNECT_S
    max_bytes: int = ANSWER_BYTES


class Fetched(NamedTuple):
    """A response; its body has at most `max_bytes` and one read."""

    status: int
    headers: HTTPMessage
    body: bytes


class Lost(OSError):  # noqa: N818 - the outcome of a request, not an error of this program
    """The connection or the time ended after the request was written; `late` means the time."""

    def __init__(self, *, late: bool) -> None:
        super().__init__("no answer in time" if late else "the connection was lost")
        self.late = late


def fetch(request: FetchRequest, limits: FetchLimits, environ: Mapping[str, str] = os.environ) -> Fetched:
    """Send the request once, without redirects or retries. Raises ConnectFailed, Lost, or Fatal (settings)."""
    until = monotonic() + limits.within_s
    route = Route(request.url, environ)
    length = {"Content-Length": str(len(request.body))} if request.body or request.method == "POST" else {}
    head = route.head(request.method, {**HEADERS, **length, **request.headers})
    with route.open(TimeLimits(limits.within_s, limits.connect_s)) as sock, _shut_at(until, sock) as late:
        try:
            limit_reads(sock, until - monotonic())
            sock.sendall(head + b"\r\n\r\n" + request.body)
            with HttpResponse(sock, method=request.method) as response:
                response.begin()
                body = decompress(_read(response, limits.max_bytes), limits.max_bytes)
                fetched = Fetched(response.status, response.headers, body)
        except (OSError, HTTPException, ValueError) as error:  # ValueError: a malformed number or header
            raise Lost(late=late.is_set() or isinstance(error, TimeoutError)) from None
    if late.is_set():  # the response may be incomplete
        raise Lost(late=True)
    if fetched.status == AUTH_REQUIRED and route.is_forwarded:
        raise route.refused(fetched.status)
    return fetched


def _read(response: HttpResponse, max_bytes: int) -> bytes:
    body = bytearray()
    while len(body) <= max_bytes and (piece := response.read1(READ_BYTES)):
        body += piece
    if response.length and len(body) <= max_bytes:
        raise ConnectionResetError("incomplete body")
    return bytes(body)


@contextmanager
def _shut_at(until: float, sock: socket.socket) -> Iterator[threading.Event]:
    """End the exchange at the deadline. A time-out of the socket would begin again with each byte."""
    late = threading.Event()

    def end() -> None:
        late.set()
        shut(sock)

    timer = threading.Timer(max(until - monotonic(), 0), end)
    timer.daemon = True
    try:
        timer.start()
        yield late
    finally:
        timer.cancel()
