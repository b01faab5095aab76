"""Reach an address: name, proxy, TLS. Whatever fails here, no byte of a call was written."""

from __future__ import annotations

import base64
import ssl
import threading
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, quote, unquote, urlsplit

from lumen_proxy.config import shown
from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.values import DEFAULT_PORTS, address
from lumen_proxy.wire.address import is_loopback
from lumen_proxy.wire.problems import problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lumen_proxy.errors import ApiError
    from lumen_proxy.worker.calls import Call

TARGET_SAFE = "/?=&%~:@!$'()*+,;"  # RFC 3986: path and query; anything else is percent-encoded


class NotSent(Exception):  # noqa: N818 - a fact about the call, not an error of its own
    """The call failed, and no byte of it was written."""

    def __init__(self, error: ApiError, *, again: bool) -> None:
        super().__init__(error.code)
        self.error = error
        self.again = again
        """Whether another attempt could help."""


class Route:
    """The way to the `http` or `https` address `url`, perhaps through a proxy of the environment."""

    def __init__(self, url: str, connect_timeout_s: float) -> None:
        self._url = urlsplit(url)
        self._timeout_s = connect_timeout_s
        self._proxy = environment_proxy(self._url)
        self._tls: ssl.SSLContext | None = None

    def head(self, headers: Mapping[str, str]) -> bytes:
        """The head of a POST by this route, up to the end of its last header."""
        host = self._host()
        target = quote(self._url._replace(scheme="", netloc="", fragment="").geturl() or "/", safe=TARGET_SAFE)
        fields = {"Host": host, **headers}
        if self._proxy and self._url.scheme == "http":
            target = f"http://{host}{target}"
            fields |= proxy_authorization(self._proxy)
        lines = [f"POST {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
        return "\r\n".join(lines).encode("latin-1")

    def _host(self) -> str:
        name = (self._url.hostname or "").encode("idna").decode()
        name = f"[{name}]" if ":" in name else name
        return f"{name}:{self._url.port}" if self._url.port else name

    def open(self, call: Call) -> HTTPConnection:
        """Connect, within the time for connecting and the call's deadline. Raises NotSent, or ApiError if it has ended.

        In a thread, because looking up a name has no time-out and cannot be aborted.
        """
        attempt = _Connecting(self._connection())
        with call.aborting(attempt.done.set, "gateway_unreachable"):
            attempt.start()
            attempt.done.wait(min(self._timeout_s, call.remaining_s()))
        return attempt.result()

    def _connection(self) -> HTTPConnection:
        target = self._proxy or self._url
        host, port = target.hostname or "", target.port or DEFAULT_PORTS[target.scheme]
        if self._url.scheme == "http":
            return HTTPConnection(host, port, timeout=self._timeout_s)
        self._tls = self._tls or ssl.create_default_context()
        connection = HTTPSConnection(host, port, timeout=self._timeout_s, context=self._tls)
        if self._proxy:
            port = self._url.port or DEFAULT_PORTS["https"]
            connection.set_tunnel(self._url.hostname or "", port, proxy_authorization(self._proxy))
        return connection


class _Connecting(threading.Thread):
    """Opens a connection; whoever waits for `done` may leave before."""

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
            # From here on the call keeps the time; a time-out of the socket's own would cost a poll() each step.
            self._connection.sock.settimeout(None)
        except (OSError, HTTPException, ValueError) as error:  # ValueError: a name that IDNA cannot encode
            self._error = error
        with self._lock:
            self._finished = True
            if self._abandoned:
                self._connection.close()
        self.done.set()

    def result(self) -> HTTPConnection:
        with self._lock:
            self._abandoned = not self._finished
        if self._abandoned:
            raise NotSent(problem("gateway_unreachable", "The gateway accepted no connection in time."), again=True)
        if isinstance(self._error, ssl.SSLError):
            error = problem("gateway_misconfigured", "No trusted TLS connection to the gateway can be made.")
            raise NotSent(error, again=False)
        if self._error:
            raise NotSent(problem("gateway_unreachable"), again=True)
        return self._connection


def environment_proxy(url: SplitResult) -> SplitResult | None:
    """The proxy that `*_PROXY` names for this address; never one for a loopback address. Raises Fatal (78)."""
    host = url.hostname or ""
    if is_loopback(host):
        return None
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415 - 10 ms that a loopback gateway saves

    proxies = getproxies()
    found = proxies.get(url.scheme) or proxies.get("all")
    if not found or proxy_bypass(host):
        return None
    found = found if "://" in found else f"http://{found}"
    if found.partition("://")[0].lower() not in DEFAULT_PORTS:
        return None  # SOCKS is not spoken
    try:
        return address(found)
    except ValueError as wanted:
        variable = f"{url.scheme if proxies.get(url.scheme) else 'all'}_proxy"
        problem = f"{variable} is {shown(found)}, which is not {wanted}; mend or unset the variable"
        raise Fatal(problem, Exit.CONFIG) from None


def proxy_authorization(proxy: SplitResult) -> dict[str, str]:
    """The header for a proxy whose address carries a user and a password."""
    if not proxy.username:
        return {}
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}".encode()
    return {"Proxy-Authorization": f"Basic {base64.b64encode(pair).decode()}"}
