"""HTTP to one address: a small last-in first-out pool of http.client connections.

Its point is to know exactly whether a byte of the request was written: before, a call may be tried
again; after, never, since an answer may have been paid for. See docs/adr/0002-http-client.md.
"""

from __future__ import annotations

import base64
import json
import socket
import ssl
import threading
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import SplitResult, quote, unquote, urlsplit

from lumen_proxy.wire.address import is_loopback
from lumen_proxy.wire.problems import problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lumen_proxy.errors import ApiError
    from lumen_proxy.worker.calls import Call

IDLE_S = 15.0  # a connection unused for longer is dropped; load balancers keep theirs 60 s and more
KEPT = 8  # idle connections kept: the default concurrency


class NotSent(Exception):  # noqa: N818 - a fact about the call, not an error of its own
    """The call failed, and no byte of it was written."""

    def __init__(self, error: ApiError, *, again: bool) -> None:
        super().__init__(error.code)
        self.error = error
        self.again = again
        """Whether another attempt could help."""


class Reply(NamedTuple):
    """What came back: status, the Retry-After header, body (at most the pool's limit, else `too large`)."""

    status: int
    retry_after: str | None
    body: bytes


class Pool:
    """Connections to the origin of `url`, which is `http` or `https`; requests go to its path."""

    def __init__(self, url: str, *, connect_timeout_s: float, max_response_bytes: int) -> None:
        self._url = urlsplit(url)
        self._connect_timeout_s = connect_timeout_s
        self._max_bytes = max_response_bytes
        self._idle: list[tuple[HTTPConnection, float]] = []
        self._lock = threading.Lock()
        self._proxy = environment_proxy(self._url)
        self._tls: ssl.SSLContext | None = None

    def post(self, call: Call, body: Mapping[str, str], headers: Mapping[str, str] | None = None) -> Reply:
        """Send JSON, read the answer, within the call's deadline.

        Raises NotSent, or ApiError once a byte was written.
        """
        connection = self._idle_connection() or self._connect(call)
        try:
            return self._exchange(connection, call, self._request(body, headers or {}))
        except BaseException:
            connection.close()
            raise

    def _exchange(self, connection: HTTPConnection, call: Call, request: bytes) -> Reply:
        sock = connection.sock
        # Not SSLSocket.shutdown: that would forget the encryption under the reading thread.
        with call.aborting(lambda: _shut(sock), "gateway_unreachable"):
            sock.settimeout(call.remaining_s())
            try:
                sock.sendall(request)
                with HTTPResponse(sock, method="POST") as response:
                    response.begin()
                    reply = self._read(response)
                    reusable = response.isclosed() and not response.will_close
            except (OSError, HTTPException) as error:
                raise call.error("gateway_timeout") if call.ending else _broken(error) from None
        if reusable:
            self._keep(connection)
        else:
            connection.close()
        return reply

    def _read(self, response: HTTPResponse) -> Reply:
        retry_after = response.headers.get("Retry-After")
        if response.status != 200:  # noqa: PLR2004
            return Reply(response.status, retry_after, b"")
        body = response.read(self._max_bytes + 1)
        if len(body) > self._max_bytes:
            raise problem("gateway_invalid_response", "The gateway's answer is too large.")
        if response.length:
            raise ConnectionResetError("the body ended early")
        response.read()  # the end of a chunked body, or nothing
        return Reply(response.status, retry_after, body)

    def _request(self, body: Mapping[str, str], headers: Mapping[str, str]) -> bytes:
        content = json.dumps(body, ensure_ascii=False).encode()
        fields = {
            "Host": self._url.netloc.encode("idna").decode(),
            "User-Agent": "lumen-proxy",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "Content-Type": "application/json; charset=utf-8",
            "Content-Length": str(len(content)),
            **headers,
        }
        target = quote(self._url._replace(scheme="", netloc="", fragment="").geturl() or "/", safe="/?=&%~:@!$'()*+,;")
        if self._proxy and self._url.scheme == "http":
            target = f"http://{fields['Host']}{target}"
            fields |= proxy_authorization(self._proxy)
        head = f"POST {target} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return head.encode("latin-1") + b"\r\n" + content  # in one write: one packet for most calls

    def _idle_connection(self) -> HTTPConnection | None:
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection, since = self._idle.pop()
            if monotonic() - since < IDLE_S and _still_open(connection.sock):
                return connection
            connection.close()

    def _keep(self, connection: HTTPConnection) -> None:
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

    def _connect(self, call: Call) -> HTTPConnection:
        """Name, address, TLS: in a thread, because looking up a name has no time-out and cannot be aborted."""
        attempt = _Connecting(self._connection())
        with call.aborting(attempt.give_up, "gateway_unreachable"):
            attempt.start()
            attempt.done.wait(min(self._connect_timeout_s, call.remaining_s()))
        return attempt.result()

    def _connection(self) -> HTTPConnection:
        target = self._proxy or self._url
        host, secure = target.hostname or "", self._url.scheme == "https"
        port = target.port or (443 if target.scheme == "https" else 80)
        if not secure:
            return HTTPConnection(host, port, timeout=self._connect_timeout_s)
        self._tls = self._tls or ssl.create_default_context()
        connection = HTTPSConnection(host, port, timeout=self._connect_timeout_s, context=self._tls)
        if self._proxy:
            connection.set_tunnel(self._url.hostname or "", self._url.port or 443, proxy_authorization(self._proxy))
        return connection


class _Connecting(threading.Thread):
    """Opens a connection; whoever waits may leave before it is done."""

    def __init__(self, connection: HTTPConnection) -> None:
        super().__init__(name="connect", daemon=True)
        self.done = threading.Event()
        self._connection = connection
        self._error: Exception | None = None
        self._lock = threading.Lock()
        self._finished = self._abandoned = False

    def run(self) -> None:
        try:
            self._connection.connect()
        except (OSError, HTTPException, ValueError) as error:  # ValueError: a name that IDNA cannot encode
            self._error = error
        with self._lock:
            self._finished = True
            if self._abandoned:
                self._connection.close()
        self.done.set()

    def give_up(self) -> None:
        self.done.set()

    def result(self) -> HTTPConnection:
        with self._lock:
            self._abandoned = not self._finished
        if self._abandoned:
            raise NotSent(problem("gateway_unreachable", "The gateway accepted no connection in time."), again=True)
        if isinstance(self._error, ssl.SSLError):
            raise NotSent(problem("gateway_misconfigured", "No trusted TLS connection to the gateway can be made."), again=False)
        if self._error:
            raise NotSent(problem("gateway_unreachable"), again=True)
        return self._connection


def _broken(error: OSError | HTTPException) -> ApiError:
    """The error of an exchange that had begun."""
    if isinstance(error, TimeoutError):
        return problem("gateway_timeout")
    if isinstance(error, OSError):  # http.client's RemoteDisconnected is one, too
        return problem("gateway_connection_lost")
    partial = getattr(error, "partial", None)  # of IncompleteRead
    return problem("gateway_invalid_response" if partial is None else "gateway_connection_lost")


def _shut(sock: socket.socket) -> None:
    with suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _still_open(sock: socket.socket) -> bool:
    """Whether an idle connection has nothing to read: neither its end nor an answer that nobody asked for."""
    try:
        sock.settimeout(0)
        socket.socket.recv(sock, 1, socket.MSG_PEEK)
    except (BlockingIOError, InterruptedError):
        return True
    except OSError:
        pass
    return False


def environment_proxy(url: SplitResult) -> SplitResult | None:
    """The proxy that `*_PROXY` names for this address; never one for a loopback address."""
    host = url.hostname or ""
    if is_loopback(host):
        return None
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415 - 10 ms that a loopback gateway saves

    proxies = getproxies()
    found = proxies.get(url.scheme) or proxies.get("all")
    if not found or proxy_bypass(host):
        return None
    return urlsplit(found if "://" in found else f"http://{found}")


def proxy_authorization(proxy: SplitResult) -> dict[str, str]:
    """The header for a proxy whose address carries a user and a password."""
    if not proxy.username:
        return {}
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}".encode()
    return {"Proxy-Authorization": f"Basic {base64.b64encode(pair).decode()}"}
