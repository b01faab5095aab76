"""The route to one http or https address: direct or through an HTTP proxy, with or without TLS."""

from __future__ import annotations

import os
import re
import selectors
import ssl
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from lumen_proxy.config.parsers import DEFAULT_PORTS
from lumen_proxy.net import happy_eyeballs, proxies, trust
from lumen_proxy.net.failure import ConnectFailed, connect_timeout
from lumen_proxy.net.names import Name

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

    from lumen_proxy.net.time_limits import TimeLimits

TARGET_SAFE = "/?=&%~:@!$'()*+,;"  # RFC 3986: path and query; anything else is percent-encoded
OK, AUTH_REQUIRED, SERVER_ERROR = 200, 407, 500
HEAD_BYTES = 65_536  # the longest head of a proxy's answer that is read
UNTRUSTED = "if its certificate is right, name the authority that signed it in SSL_CERT_FILE or REQUESTS_CA_BUNDLE"
STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})")


class Route:
    """The route to `url`. Raises Fatal (78) for a proxy or a bundle of the environment that cannot be used."""

    def __init__(self, url: str, environ: Mapping[str, str] = os.environ) -> None:
        self._url = urlsplit(url)
        self._environ = environ
        self.proxy = proxies.proxy_for(self._url, environ)
        self._is_tls = self._url.scheme == "https"
        self.is_forwarded = self.proxy is not None and not self._is_tls
        """Whether the proxy reads the request, and may answer it itself. It does not read the bytes of a tunnel."""
        if self._is_tls:
            trust.check(environ)
        target = self.proxy or self._url
        host = (target.hostname or "").encode("idna").decode()
        self.name = Name(host, target.port or DEFAULT_PORTS[target.scheme.lower()])

    def head(self, method: str, headers: Mapping[str, str]) -> bytes:
        """The head of a request, without the line end of its last header."""
        host = self._host()
        parts = self._url._replace(scheme="", netloc="", path=self._url.path or "/", fragment="")
        target = quote(parts.geturl(), safe=TARGET_SAFE)
        fields = {"Host": host, **headers}
        if self.proxy and self.is_forwarded:
            target = f"http://{host}{target}"
            fields |= proxies.authorization(self.proxy)
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
        return "\r\n".join(lines).encode("latin-1")

    def _host(self) -> str:
        name = (self._url.hostname or "").encode("idna").decode()
        name = f"[{name}]" if ":" in name else name
        return f"{name}:{self._url.port}" if self._url.port else name

    def open(self, limits: TimeLimits) -> socket.socket:
        """Connect; return a blocking socket for the request. Raises ConnectFailed."""
        try:
            addresses = self.name.addresses(limits)
            until = limits.until(limits.connect_s)
            sock, failed = happy_eyeballs.connect(addresses, limits, until)
        except ConnectFailed as failure:
            self.name.forget()
            raise failure.prefixed(self._via()) from None
        self.name.failed(failed)
        try:
            sock = self._with_layers(sock, limits, until)
            sock.settimeout(None)  # the caller ends it at the deadline: a time-out costs a poll() for each call
        except BaseException:
            sock.close()
            raise
        return sock

    def _via(self) -> str:
        return f"proxy {proxies.host_and_port(self.proxy)}: " if self.proxy else ""

    def _with_layers(self, sock: socket.socket, limits: TimeLimits, until: float) -> socket.socket:
        if not self._is_tls:
            return sock
        if self.proxy:
            self._tunnel(sock, limits, until)
        try:
            return self._encrypted(sock, limits, until)
        except ConnectFailed:
            raise
        except OSError as error:
            raise _tls_failure(error) from None

    def _encrypted(self, sock: socket.socket, limits: TimeLimits, until: float) -> ssl.SSLSocket:
        too_late = partial(connect_timeout, "the TLS handshake did not end", limits.connect_s)
        secure = trust.context(self._environ).wrap_socket(
            sock, server_hostname=self._url.hostname, do_handshake_on_connect=False
        )
        try:
            while True:
                try:
                    secure.do_handshake()
                except ssl.SSLWantReadError:
                    limits.ready(secure, selectors.EVENT_READ, until, too_late)
                except ssl.SSLWantWriteError:
                    limits.ready(secure, selectors.EVENT_WRITE, until, too_late)
                else:
                    return secure
        except BaseException:
            secure.close()
            raise

    def _tunnel(self, sock: socket.socket, limits: TimeLimits, until: float) -> None:
        """CONNECT through the proxy (RFC 9110, 9.3.6)."""
        host = self._host()
        target = host if self._url.port else f"{host}:{DEFAULT_PORTS['https']}"
        fields = {"Host": target, **proxies.authorization(self.proxy)} if self.proxy else {}
        lines = [f"CONNECT {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "\r\n"]
        try:
            sock.send("\r\n".join(lines).encode("latin-1"))  # some hundred bytes and an empty buffer: no partial write
            status = _status(sock, limits, until)
        except OSError as error:
            if isinstance(error, ConnectFailed):
                raise error.prefixed(self._via()) from None
            raise ConnectFailed("lost", f"{self._via()}it closed the connection") from None
        if not OK <= status < OK + 100:
            raise self.refused(status)

    def refused(self, status: int) -> ConnectFailed:
        """The failure for a status of the proxy itself."""
        if status == AUTH_REQUIRED:
            text = f"{self._via()}it asks for credentials (407)"
            return ConnectFailed("proxy_auth", text, "put them into its variable: http://USER:PASSWORD@HOST:PORT")
        if status >= SERVER_ERROR:
            return ConnectFailed("proxy_failed", f"{self._via()}it could not reach the address ({status})")
        return ConnectFailed("proxy_refused", f"{self._via()}it refuses this address ({status})")


def _tls_failure(error: OSError) -> ConnectFailed:
    """The failure: an untrusted certificate, no TLS, or a lost connection."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return ConnectFailed("tls", f"no trusted TLS connection: {error.verify_message.lower()}", UNTRUSTED)
    if not isinstance(error, ssl.SSLError) or isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return ConnectFailed("lost", "the connection was closed during the TLS handshake")
    why = (error.reason or str(error)).replace("_", " ").lower()
    return ConnectFailed("tls", f"no TLS connection: {why}", "check that the address speaks https")


def _status(sock: socket.socket, limits: TimeLimits, until: float) -> int:
    """The status of the proxy's answer. Read its head, and no byte after it."""
    too_late = partial(connect_timeout, "it did not answer", limits.connect_s)
    head = bytearray()
    while not head.endswith(b"\r\n\r\n"):
        try:
            received = sock.recv(1)  # one byte at a time: the next ones are from the server behind the proxy
        except BlockingIOError:
            limits.ready(sock, selectors.EVENT_READ, until, too_late)
            continue
        if not received or len(head) >= HEAD_BYTES:
            raise ConnectionResetError
        head += received
    match = STATUS.match(head)
    if not match:
        raise ConnectionResetError
    return int(match[1])
