"""The one HTTP client of the suite: a raw socket and an h11 parser.

It writes requests byte for byte as asked, legal or not, and records bytes and times of whatever comes back. Network
trouble is part of the record, never an exception: a refused connection is an observation like any other.
The deadline is total, so a server that drips one byte a second cannot stretch it.
"""

import json as jsonlib
import select
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self
from urllib.parse import SplitResult, urlsplit

import h11

from lumen_conformance.http.capture import WITNESS, Capture, Ended
from lumen_conformance.http.framing import cut_off, is_foreign, parser_of, persists

__all__ = ["Capture", "Connection", "Ended", "OnBody", "call", "request_bytes", "send"]

Headers = Iterable[tuple[str, str]]
OnBody = Callable[[bytearray], object]
"""Called with the whole body so far (not a copy) after each arrival; a true result hangs up (``ended="left"``)."""

READ_BYTES = 65_536
# A megabyte of text in 20,000 chunks is 6 MB: whoever sends five times that repeats itself, and would fill our memory.
MAX_BODY_BYTES = 32 * 1_048_576
MAX_BYTES = 2 * MAX_BODY_BYTES  # with heads and framing: those 6 MB in chunks of one byte each are 36 MB
TIMEOUT_S = 10.0  # check 4.4 allows ten seconds for an answer; nothing else may take longer


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
    """One request on a connection of its own; see ``request_bytes`` for what is sent."""
    request = request_bytes(base_url, method, path, json=json, body=body, headers=headers)
    return send(base_url, request, timeout_s=timeout_s, on_body=on_body)


def send(base_url: str, request: bytes, *, timeout_s: float = TIMEOUT_S, on_body: OnBody | None = None) -> Capture:
    """Send these very bytes on a connection of its own."""
    with Connection(base_url) as connection:
        return connection.send(request, timeout_s=timeout_s, on_body=on_body)


def request_bytes(
    base_url: str,
    method: str,
    path: str,
    *,
    json: Any = None,  # noqa: ANN401 -- whatever a client could send
    body: bytes | None = None,
    headers: Headers = (),
) -> bytes:
    """What an ordinary client would send; a header given here replaces the default of the same name.

    ``json`` is written as UTF-8 and brings its media type; ``body`` is sent as it is and brings none.
    """
    given = list(headers)
    defaults = {"Host": urlsplit(base_url).netloc, "Accept": "*/*", "User-Agent": "lumen-e2e"}
    defaults["Accept-Encoding"] = "identity"  # without it any coding is welcome (RFC 9110, 12.5.3), and we read none
    if json is not None:
        body = jsonlib.dumps(json, ensure_ascii=False).encode("utf-8", errors="surrogatepass")
        defaults["Content-Type"] = "application/json"
    if body is not None or method in {"POST", "PUT", "PATCH"}:
        body = body or b""
        defaults["Content-Length"] = str(len(body))
    named = {name.lower() for name, _ in given}
    lines = [(name, value) for name, value in defaults.items() if name.lower() not in named] + given
    target = urlsplit(base_url).path.rstrip("/") + path
    head = "".join(f"{name}: {value}\r\n" for name, value in lines)
    return f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode("utf-8") + (body or b"")  # noqa: UP012 -- said aloud


class Connection:
    """A connection that stays open between requests. Opened by the first of them; closed by the ``with`` block.

    Bytes that came behind an answer are read as the beginning of the next one, as clients do.

    When an answer ends its connection, the next request opens another: ``Capture.connection`` counts them.
    `headers` are sent with every call, unless it gives one of the same name; a call ends within `timeout_s`, unless it
    gives its own. With `paused` that is the time for each pause, not for the whole.
    """

    def __init__(
        self, base_url: str, headers: Headers = (), timeout_s: float = TIMEOUT_S, *, paused: bool = False
    ) -> None:
        self._url = urlsplit(base_url)
        self._timeout_s, self._paused = timeout_s, paused
        self._headers = tuple(headers)
        self._socket: socket.socket | None = None
        self._early = b""  # what came behind the last answer
        self._number, self._spent = 0, False  # of connections so far; whether no other request may follow on this one

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up. Unread bytes make this a reset, as with any client that goes away."""
        self._early = b""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def hang_up(self) -> None:
        """Leave from another thread while a call is waiting; that call ends as ``aborted``."""
        if self._socket is not None:
            self._socket.shutdown(socket.SHUT_RDWR)

    def stays_open(self, for_s: float) -> bool:
        """Wait this long for the server to hang up; True when it did not (or has not been called yet)."""
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
        """Like the function ``call``, on this connection."""
        given = list(headers)
        named = {name.lower() for name, _ in given}
        headers = [*given, *(pair for pair in self._headers if pair[0].lower() not in named)]
        request = request_bytes(self._url.geturl(), method, path, json=json, body=body, headers=headers)
        return self.send(request, timeout_s=timeout_s, on_body=on_body)

    def send(self, request: bytes, *, timeout_s: float | None = None, on_body: OnBody | None = None) -> Capture:
        """Send these very bytes and read one response."""
        exchange = _Exchange(self._url, request, timeout_s or self._timeout_s, on_body)
        exchange.paused = self._paused
        try:
            sock = self._opened(exchange)
            exchange.write(sock)
            exchange.read(sock, self._early)
        except (OSError, UnicodeError) as error:  # UnicodeError: a name that no look-up takes
            exchange.fail(error, connected=self._socket is not None)
        self._early = exchange.behind
        self._spent = not exchange.leaves_open()
        if exchange.ended != "complete":
            self.close()
        return WITNESS.saw(exchange.record(self._number))

    def _opened(self, exchange: "_Exchange") -> socket.socket:
        if self._spent:
            self.close()
        if self._socket is None:
            self._number += 1
            self._socket = _connect(self._url, exchange.wait_disconnect_s())
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


class _Exchange:
    """One request and its response while they happen."""

    def __init__(self, url: SplitResult, request: bytes, timeout_s: float, on_body: OnBody | None) -> None:
        self.ended: Ended | None = None
        self.paused = False
        self.behind = b""  # what came after the end of the message
        self._origin = f"{url.scheme}://{url.netloc}"
        self._request = request
        self._on_body = on_body
        self._start_s = self._timed_s = self._sent_s = time.monotonic()
        self._timeout_s = timeout_s
        self._taken_unix_s = time.time()
        self._error: str | None = None
        self._cut = False  # the connection was lost while the request was sent
        self._raw, self._body = bytearray(), bytearray()
        self._head_bytes: int | None = None
        self._response: h11.Response | None = None
        self._arrivals: list[tuple[float, int]] = []
        self._parser = parser_of(request)
        self._at_end = False  # of the connection

    def wait_disconnect_s(self) -> float:
        """Seconds until the deadline; raises TimeoutError when there are none."""
        left_s = self._timed_s + self._timeout_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError(f"no {'byte' if self.paused else 'end'} after {self._timeout_s} s")
        return left_s

    def write(self, sock: socket.socket) -> None:
        """A server may answer and close before it has read everything: noted, then its answer is read."""
        try:
            sock.settimeout(self.wait_disconnect_s())
            sock.sendall(self._request)
        except ConnectionError as error:
            self._error, self._cut = f"while sending: {error.strerror or error}", True
        self._sent_s = time.monotonic()
        self._taken_unix_s = time.time()

    def read(self, sock: socket.socket, early: bytes = b"") -> None:
        if early:
            self._received(early)
        while self.ended is None:
            sock.settimeout(self.wait_disconnect_s())
            self._received(sock.recv(READ_BYTES))

    def fail(self, error: OSError | UnicodeError, *, connected: bool) -> None:
        self._error = "; ".join(filter(None, [self._error, f"{type(error).__name__}: {error}"]))
        if isinstance(error, TimeoutError):
            self.ended = "timeout"
        elif isinstance(error, ConnectionRefusedError):
            self.ended = "refused"
        elif isinstance(error, ConnectionError):
            self.ended = "reset"  # also while it connects: a reset right after the accept may be seen as early as that
        else:
            self.ended = "reset" if connected else "unreachable"

    def leaves_open(self) -> bool:
        return not (self._at_end or self._cut) and persists(self._request, self._response)

    def record(self, connection: int) -> Capture:
        now_s, response = time.monotonic(), self._response
        target = self._request.split(b" ", 2)[1].decode("latin-1") if b" " in self._request else ""
        head_bytes = len(self._raw) if self._head_bytes is None else self._head_bytes
        return Capture(
            url=self._origin + target,
            request=self._request,
            status=response.status_code if response else None,
            headers=tuple((k.decode("latin-1"), v.decode("latin-1")) for k, v in response.headers) if response else (),
            raw=bytes(self._raw),
            raw_head=bytes(self._raw[:head_bytes]),
            body=bytes(self._body),
            arrivals=tuple(self._arrivals),
            ended="reset" if self._cut and self.ended == "aborted" else self.ended or "aborted",
            error=self._error,
            elapsed_s=now_s - self._start_s,
            ended_s=now_s - self._sent_s,
            sent_mono_s=self._sent_s,
            taken_unix_s=self._taken_unix_s,
            connection=connection,
        )

    def _received(self, data: bytes) -> None:
        """Feed one read; an empty one is the end of the connection."""
        self._raw += data
        self._timed_s = time.monotonic() if self.paused else self._start_s
        self._at_end = not data
        before = len(self._body)
        try:
            self._parser.receive_data(data)
            self._take_events()
        except h11.RemoteProtocolError as error:
            self.ended = "invalid" if data or is_foreign(self._raw) else "aborted"
            told = cut_off(self._raw, self._response) if is_foreign(self._raw) or not data else str(error)
            self._error = "; ".join(filter(None, [self._error, told]))
        if self.ended is None and len(self._raw) > MAX_BYTES:
            self.ended, self._error = "invalid", f"too large: more than {MAX_BYTES} bytes without an end"
        if len(self._body) == before:
            return
        self._arrivals.append((time.monotonic() - self._sent_s, len(self._body)))
        if self._on_body is not None and self._on_body(self._body) and self.ended is None:
            self.ended = "left"

    def _take_events(self) -> None:
        while True:
            event = self._parser.next_event()
            if isinstance(event, h11.Response):
                self._response = event
                self._head_bytes = len(self._raw) - len(self._parser.trailing_data[0])
            elif isinstance(event, h11.Data):
                self._body += event.data
                if len(self._body) > MAX_BODY_BYTES:
                    self.ended = "invalid"
                    self._error = f"too large: more than {MAX_BODY_BYTES} bytes of body"
                    return
            elif isinstance(event, h11.EndOfMessage):
                self.ended, self.behind = "complete", self._parser.trailing_data[0]
                return
            elif event is h11.PAUSED or isinstance(event, h11.ConnectionClosed):
                self.ended = "aborted"
                return
            elif not isinstance(event, h11.InformationalResponse):  # h11.NEED_DATA
                return
