"""HTTP to one address: a small pool of connections, the last used first, read by http.client.

It reports whether a byte of the request was written. Before that a call may be repeated; after it never, since the
gateway may have answered, and the answer is paid for. See docs/adr/0002-http-client.md.
"""

from __future__ import annotations

import json
import socket
import threading
from http.client import HTTPException
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from lumen_proxy.net.failure import TRANSIENT, ConnectFailed
from lumen_proxy.net.response import DONT_WAIT, HttpResponse, limit_reads, shut
from lumen_proxy.net.route import AUTH_REQUIRED, Route
from lumen_proxy.net.time_limits import TimeLimits
from lumen_proxy.wire.api_errors import api_error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lumen_proxy.errors import ApiError
    from lumen_proxy.net.failure import Kind
    from lumen_proxy.worker.call import ClientCall

IDLE_S = 15.0  # an idle connection is closed after this; load balancers close theirs after 60 s or more
MAX_IDLE = 8  # idle connections: the default of LUMEN_MAX_CONCURRENCY
HTTP_OK = 200
HEADERS = {
    "User-Agent": "lumen-proxy",
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "Content-Type": "application/json; charset=utf-8",
}


MISCONFIGURED: frozenset[Kind] = frozenset({"proxy_auth", "proxy_refused", "tls"})
"""Failures that only another setting changes: a repeated attempt fails, too."""


class NotSent(Exception):  # noqa: N818 - the state of a call, not an error of its own
    """The call failed before a byte of it was written. `is_transient`: another attempt may succeed."""

    def __init__(self, error: ApiError, *, is_transient: bool) -> None:
        super().__init__(error.code)
        self.error = error
        self.is_transient = is_transient


class Reply(NamedTuple):
    """The answer: status, Retry-After header, and the body of a 200."""

    status: int
    retry_after: str | None
    body: bytes


class Pool:
    """Connections to `url`. Requests are JSON, with `headers` in addition to the usual ones."""

    def __init__(
        self, url: str, *, connect_timeout_s: float, max_response_bytes: int, headers: Mapping[str, str] | None = None
    ) -> None:
        self._route = Route(url)
        self._connect_timeout_s = connect_timeout_s
        self._max_bytes = max_response_bytes
        self._idle: list[tuple[socket.socket, float]] = []
        self._lock = threading.Lock()
        self._head = self._route.head("POST", {**HEADERS, **(headers or {})})

    def post(self, call: ClientCall, body: Mapping[str, str]) -> Reply:
        """Send JSON and read the answer, within the deadline of the call.

        Raises NotSent, or ApiError if a byte was written or the call has ended.
        """
        content = json.dumps(body, ensure_ascii=False).encode()
        connection = self._idle_connection() or self._connect(call)
        try:
            head = self._head + b"\r\nContent-Length: %d\r\n\r\n" % len(content)
            return self._exchange(connection, call, head + content)  # one write: a single packet for most calls
        except BaseException:
            connection.close()
            raise

    def _connect(self, call: ClientCall) -> socket.socket:
        """Connect within the limits. Raises NotSent, or ApiError if the call has ended."""
        limits = TimeLimits(call.remaining_s(), self._connect_timeout_s)
        try:
            with call.aborting(limits.abort, "gateway_unreachable"):
                return self._route.open(limits)
        except ConnectFailed as failure:
            raise NotSent(_unreachable(failure), is_transient=failure.kind in TRANSIENT) from None

    def _exchange(self, sock: socket.socket, call: ClientCall, request: bytes) -> Reply:
        with call.aborting(lambda: shut(sock), "gateway_unreachable"):
            try:
                limit_reads(sock, call.remaining_s())
                sock.sendall(request)
                with HttpResponse(sock, method="POST") as response:
                    response.begin()
                    reply = self._read(response)
                    reusable = response.isclosed() and not (response.will_close or _is_unclear(response, sock))
            except (OSError, HTTPException, ValueError) as error:  # ValueError: a malformed number or header
                raise call.error("gateway_timeout") if call.ending else _exchange_error(error) from None
        if reusable:
            self._keep(sock)
        else:
            sock.close()
        if reply.status == AUTH_REQUIRED and self._route.is_forwarded:
            raise _unreachable(self._route.refused(reply.status))  # the answer of the HTTP proxy: it sent nothing on
        return reply

    def _read(self, response: HttpResponse) -> Reply:
        retry_after = response.headers.get("Retry-After")
        if response.status != HTTP_OK:  # the body is not read, so the connection cannot be used again
            return Reply(response.status, retry_after, b"")
        body = response.read(self._max_bytes + 1)
        if len(body) > self._max_bytes:
            raise api_error("gateway_invalid_response", f"Invalid response: larger than {self._max_bytes} bytes.")
        if response.length:
            raise ConnectionResetError("incomplete body")
        response.read()  # the end of a chunked body, if there is one
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
            surplus = self._idle[:-MAX_IDLE]
            del self._idle[:-MAX_IDLE]
        for old, _ in surplus:
            old.close()

    def close(self) -> None:
        """Close the idle connections."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection, _ in idle:
            connection.close()


def _unreachable(failure: ConnectFailed) -> ApiError:
    code = "gateway_misconfigured" if failure.kind in MISCONFIGURED else "gateway_unreachable"
    sentences = [f"The gateway cannot be reached: {failure.text}.", failure.remedy and f"To fix it: {failure.remedy}."]
    return api_error(code, " ".join(filter(None, sentences)))


def _exchange_error(error: OSError | HTTPException | ValueError) -> ApiError:
    if isinstance(error, TimeoutError):
        return api_error("gateway_timeout")
    if isinstance(error, OSError):  # includes http.client's RemoteDisconnected
        return api_error("gateway_connection_lost")
    partial = getattr(error, "partial", None)  # of IncompleteRead
    return api_error("gateway_invalid_response" if partial is None else "gateway_connection_lost")


def _is_unclear(response: HttpResponse, sock: socket.socket) -> bool:
    """Whether more than the answer was received, or its end is ambiguous."""
    pending = getattr(sock, "pending", int)()  # decrypted by TLS, not yet read
    return response.has_surplus or response.has_two_lengths or bool(pending)


def _still_open(sock: socket.socket) -> bool:
    """Whether an idle connection has nothing to read: neither its end nor an unexpected answer."""
    try:
        if not DONT_WAIT:
            sock.settimeout(0)
        socket.socket.recv(sock, 1, socket.MSG_PEEK | DONT_WAIT)
    except (BlockingIOError, InterruptedError):
        return True
    except OSError:
        pass
    return False
