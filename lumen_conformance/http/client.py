"""The HTTP client of the suite: it sends the given bytes, valid or not, and records the response.

Network errors are recorded in the capture, not raised. A timeout is a deadline for the whole exchange, so a server that
sends one byte per second cannot extend it.
"""

import json as jsonlib
import select
import socket
import ssl
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self
from urllib.parse import SplitResult, urlsplit

from lumen_conformance.http.capture import LAST_CAPTURE, Capture, Ended
from lumen_conformance.http.parallel import note_alone, running
from lumen_conformance.http.response_reader import OnBody, ResponseReader

__all__ = ["Capture", "Connection", "Ended", "OnBody", "call", "request_bytes", "send"]

Headers = Iterable[tuple[str, str]]

TIMEOUT_S = 10.0  # check 4.4 allows ten seconds for an answer


def call(
    base_url: str,
    method: str,
    path: str,
    *,
    json: Any = None,  # noqa: ANN401 -- whatever a client could send
    body: bytes | None = None,
    headers: Headers = (),
    timeout_s: float = TIMEOUT_S,
    on_body: OnBody | None = None,
) -> Capture:
    """Send one request on a new connection; see ``request_bytes`` for the headers."""
    request = request_bytes(base_url, method, path, json=json, body=body, headers=headers)
    return send(base_url, request, timeout_s=timeout_s, on_body=on_body)


def send(
    base_url: str, request: bytes, *, timeout_s: float = TIMEOUT_S, on_body: OnBody | None = None, apart: bool = False
) -> Capture:
    """Send these bytes on a new connection; ``apart``: the head and two parts of the body with pauses between them."""
    with Connection(base_url) as connection:
        return connection.send(request, timeout_s=timeout_s, on_body=on_body, apart=apart)


def request_bytes(
    base_url: str,
    method: str,
    path: str,
    *,
    json: Any = None,  # noqa: ANN401 -- whatever a client could send
    body: bytes | None = None,
    headers: Headers = (),
) -> bytes:
    """The bytes of a request with common default headers; a given header replaces the default of the same name.

    ``json`` is encoded as UTF-8 and adds the Content-Type; ``body`` is sent unchanged and adds none.
    """
    given = list(headers)
    defaults = {"Host": urlsplit(base_url).netloc, "Accept": "*/*", "User-Agent": "lumen-e2e"}
    # Without it any coding is allowed (RFC 9110, 12.5.3); none is decoded here.
    defaults["Accept-Encoding"] = "identity"
    if json is not None:
        body = jsonlib.dumps(json, ensure_ascii=False).encode("utf-8", errors="surrogatepass")
        defaults["Content-Type"] = "application/json"
    if body is not None or method in {"POST", "PUT", "PATCH"}:
        body = body or b""
        defaults["Content-Length"] = str(len(body))
    named = {name.lower() for name, _ in given}
    if "transfer-encoding" in named:
        defaults.pop("Content-Length", None)  # a request has one of them (RFC 9112, 6.2)
    lines = [(name, value) for name, value in defaults.items() if name.lower() not in named] + given
    target = urlsplit(base_url).path.rstrip("/") + path
    head = "".join(f"{name}: {value}\r\n" for name, value in lines)
    return f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode() + (body or b"")


class Connection:
    """A connection that stays open between requests. The first request opens it; the ``with`` block closes it.

    Bytes after a response are read as the beginning of the next response, as clients do.

    When a response ends the connection, the next request opens a new one: ``Capture.connection`` has its number.
    ``headers`` are sent with every request that has no header of the same name. ``timeout_s`` is the default timeout of
    a request; with ``timeout_per_read`` it limits the time between two reads, not the whole exchange.
    """

    def __init__(
        self, base_url: str, headers: Headers = (), timeout_s: float = TIMEOUT_S, *, timeout_per_read: bool = False
    ) -> None:
        self._url = urlsplit(base_url)
        self._timeout_s, self._timeout_per_read = timeout_s, timeout_per_read
        self._headers = tuple(headers)
        self._socket: socket.socket | None = None
        self._early = b""  # bytes after the last response
        self._number, self._closing = 0, False  # number of connections; whether this one cannot be used again
        self._sent: list[bytes] = []  # the requests on this one

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; when there are unread bytes, the operating system resets it."""
        self._early = b""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def hang_up(self) -> None:
        """Shut down the connection from another thread; a waiting call ends as ``aborted``."""
        if self._socket is not None:
            self._socket.shutdown(socket.SHUT_RDWR)

    def stays_open(self, for_s: float) -> bool:
        """Wait this long for the server to close the connection; True when it does not, or when none is open."""
        readable = select.select([self._socket], [], [], for_s)[0] if self._socket else []
        return not readable

    def call(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,  # noqa: ANN401 -- whatever a client could send
        body: bytes | None = None,
        headers: Headers = (),
        timeout_s: float | None = None,
        on_body: OnBody | None = None,
    ) -> Capture:
        """Send one request on this connection; see the function ``call``."""
        given = list(headers)
        named = {name.lower() for name, _ in given}
        headers = [*given, *(pair for pair in self._headers if pair[0].lower() not in named)]
        request = request_bytes(self._url.geturl(), method, path, json=json, body=body, headers=headers)
        return self.send(request, timeout_s=timeout_s, on_body=on_body)

    def send(
        self, request: bytes, *, timeout_s: float | None = None, on_body: OnBody | None = None, apart: bool = False
    ) -> Capture:
        """Send these bytes and read one response; ``apart`` as in the function ``send``."""
        reader = ResponseReader(self._url, request, timeout_s or self._timeout_s, on_body)
        reader.timeout_per_read, reader.apart = self._timeout_per_read, apart
        with running() as state:
            try:
                sock = self._opened(reader)
                reader.write(sock)
                reader.read(sock, self._early)
            except (OSError, UnicodeError) as error:  # UnicodeError: an invalid host name
                reader.fail(error, connected=self._socket is not None)
        self._early = reader.trailing
        self._closing = not reader.allows_reuse()
        if reader.ended != "complete":
            self.close()
        capture = reader.record(self._number, tuple(self._sent))
        self._sent.append(request)
        return LAST_CAPTURE.record(note_alone(capture, alone=state.alone))

    def _opened(self, reader: ResponseReader) -> socket.socket:
        if self._closing:
            self.close()
        if self._socket is None:
            self._number += 1
            self._sent.clear()
            self._socket = _connect(self._url, reader.remaining_s())
        return self._socket


def _connect(url: SplitResult, timeout_s: float) -> socket.socket:
    port = url.port or (443 if url.scheme == "https" else 80)
    sock = socket.create_connection((url.hostname or "", port), timeout=timeout_s)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if url.scheme != "https":
        return sock
    try:
        return ssl.create_default_context().wrap_socket(sock, server_hostname=url.hostname)
    except OSError:
        sock.close()
        raise
