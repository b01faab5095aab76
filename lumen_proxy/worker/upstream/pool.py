"""HTTP to one address: a small last-in first-out pool of connections, read by http.client.

Its point is to know exactly whether a byte of the request was written: before, a call may be tried
again; after, never, since an answer may have been paid for. See docs/adr/0002-http-client.md.
"""

from __future__ import annotations

import json
import socket
import threading
from http.client import HTTPException
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from lumen_proxy.net.response import Response
from lumen_proxy.net.route import AUTH_REQUIRED, Route
from lumen_proxy.net.shutdown import DONT_WAIT, limit_reads, shut
from lumen_proxy.wire.api_errors import problem
from lumen_proxy.worker.upstream.connect import connect, unreached

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lumen_proxy.errors import ApiError
    from lumen_proxy.worker.call import Call

IDLE_S = 15.0  # a connection unused for longer is dropped; load balancers keep theirs 60 s and more
KEPT = 8  # idle connections kept: the default concurrency
HTTP_OK = 200
HEADERS = {
    "User-Agent": "lumen-proxy",
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "Content-Type": "application/json; charset=utf-8",
}


class Reply(NamedTuple):
    """What came back: status, the Retry-After header, body (at most the pool's limit, else `too large`)."""

    status: int
    retry_after: str | None
    body: bytes


class Pool:
    """Connections to the address `url`, where JSON is posted with `headers` beside the usual ones."""

    def __init__(
        self, url: str, *, connect_timeout_s: float, max_response_bytes: int, headers: Mapping[str, str] | None = None
    ) -> None:
        self._route = Route(url)
        self._connect_timeout_s = connect_timeout_s
        self._max_bytes = max_response_bytes
        self._idle: list[tuple[socket.socket, float]] = []
        self._lock = threading.Lock()
        self._head = self._route.head("POST", {**HEADERS, **(headers or {})})

    def post(self, call: Call, body: Mapping[str, str]) -> Reply:
        """Send JSON, read the answer, within the call's deadline.

        Raises NotSent, or ApiError once a byte was written or when the call has ended.
        """
        content = json.dumps(body, ensure_ascii=False).encode()
        connection = self._idle_connection() or connect(self._route, call, self._connect_timeout_s)
        try:
            head = self._head + b"\r\nContent-Length: %d\r\n\r\n" % len(content)
            return self._exchange(connection, call, head + content)  # in one write: one packet for most calls
        except BaseException:
            connection.close()
            raise

    def _exchange(self, sock: socket.socket, call: Call, request: bytes) -> Reply:
        with call.aborting(lambda: shut(sock), "gateway_unreachable"):
            try:
                limit_reads(sock, call.remaining_s())
                sock.sendall(request)
                with Response(sock, method="POST") as response:
                    response.begin()
                    reply = self._read(response)
                    reusable = response.isclosed() and not (response.will_close or _is_unclear(response, sock))
            except (OSError, HTTPException, ValueError) as error:  # ValueError: a number or a header that is none
                raise call.error("gateway_timeout") if call.ending else _broken(error) from None
        if reusable:
            self._keep(sock)
        else:
            sock.close()
        if reply.status == AUTH_REQUIRED and self._route.is_forwarded:
            raise unreached(self._route.refused(reply.status))  # the proxy's own answer: it passed nothing on
        return reply

    def _read(self, response: Response) -> Reply:
        retry_after = response.headers.get("Retry-After")
        if response.status != HTTP_OK:  # its body is not read, so the connection will not be kept
            return Reply(response.status, retry_after, b"")
        body = response.read(self._max_bytes + 1)
        if len(body) > self._max_bytes:
            raise problem("gateway_invalid_response", f"Invalid response: larger than {self._max_bytes} bytes.")
        if response.length:
            raise ConnectionResetError("the body ended early")
        response.read()  # the end of a chunked body, or nothing
        return Reply(response.status, retry_after, body)

    def _idle_connection(self) -> socket.socket | None:
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection, since = self._idle.pop()
            if monotonic() - since < IDLE_S and _still_open(connection):
                return connection
            connection.close()

    def _keep(self, connection: socket.socket) -> None:
        with self._lock:
            self._idle.append((connection, monotonic()))
            surplus = self._idle[:-KEPT]
            del self._idle[:-KEPT]
        for old, _ in surplus:
            old.close()

    def close(self) -> None:
        """Close the idle connections."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection, _ in idle:
            connection.close()


def _broken(error: OSError | HTTPException | ValueError) -> ApiError:
    """The error of an exchange that had begun."""
    if isinstance(error, TimeoutError):
        return problem("gateway_timeout")
    if isinstance(error, OSError):  # http.client's RemoteDisconnected is one, too
        return problem("gateway_connection_lost")
    partial = getattr(error, "partial", None)  # of IncompleteRead
    return problem("gateway_invalid_response" if partial is None else "gateway_connection_lost")


def _is_unclear(response: Response, sock: socket.socket) -> bool:
    """Whether more was received than the answer, or another reader could take another end for its end."""
    pending = getattr(sock, "pending", int)()  # decrypted by TLS, but not read
    return response.has_surplus or response.has_two_lengths or bool(pending)


def _still_open(sock: socket.socket) -> bool:
    """Whether an idle connection has nothing to read: neither its end nor an answer that nobody asked for."""
    try:
        if not DONT_WAIT:
            sock.settimeout(0)
        socket.socket.recv(sock, 1, socket.MSG_PEEK | DONT_WAIT)
    except (BlockingIOError, InterruptedError):
        return True
    except OSError:
        pass
    return False
