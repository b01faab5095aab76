"""Sends one request and reads its response: a raw socket and an h11 parser."""

import select
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import SplitResult

import h11

from lumen_conformance.http.capture import Capture, Ended
from lumen_conformance.http.framing import (
    allows_reuse,
    create_parser,
    describe_early_end,
    describe_invalid,
    is_not_http,
    split_apart,
    split_expectation,
)

OnBody = Callable[[bytearray], object]
"""Called with the body so far (not a copy) after each read; a true result ends the exchange (``ended="left"``)."""

READ_BYTES = 65_536
# One megabyte of text in 20,000 chunks is 6 MB. The limit is five times that, so that no response fills the memory.
MAX_BODY_BYTES = 32 * 1_048_576
MAX_BYTES = 2 * MAX_BODY_BYTES  # with heads and framing: those 6 MB in chunks of one byte each are 36 MB


# How long a request with Expect: 100-continue waits for it before its body is sent. curl waits 1 s; a server that sends
# it at all does so in milliseconds, and on a busy machine within three times as long.
CONTINUE_S = 3.0
# Between the parts of a request that is sent apart. A server that waits for data reads within milliseconds, on a busy
# machine within tenths of a second; one that reads later gets several parts at once, which hides a defect.
APART_S = 0.3


class ResponseReader:
    """One exchange in progress; ``record()`` returns its capture.

    ``trailing``          bytes after the end of the response
    ``timeout_per_read``  whether the timeout limits the time between two reads, not the whole exchange
    ``apart``             whether the head and two parts of the body are sent with pauses between them
    """

    def __init__(self, url: SplitResult, request: bytes, timeout_s: float, on_body: OnBody | None) -> None:
        self.ended: Ended | None = None
        self.timeout_per_read = self.apart = False
        self.trailing = b""
        self._origin = f"{url.scheme}://{url.netloc}"
        self._request = request
        self._on_body = on_body
        self._start_s = self._timeout_start_s = self._sent_s = time.monotonic()
        self._timeout_s = timeout_s
        self._connected_s = self._start_s
        self._first_byte_s: float | None = None
        self._taken_unix_s = time.time()
        self._error: str | None = None
        self._cut = False  # the connection was lost while the request was sent
        self._raw, self._body = bytearray(), bytearray()
        self._head_bytes: int | None = None
        self._response: h11.Response | None = None
        self._arrivals: list[tuple[float, int]] = []
        self._parser = create_parser(request)
        self._at_end = False  # the server has closed the connection
        self._lacks_body = False  # a response came in place of 100 Continue, so the body was not sent

    def remaining_s(self) -> float:
        """Seconds until the deadline; raises TimeoutError after it."""
        remaining_s = self._timeout_start_s + self._timeout_s - time.monotonic()
        if remaining_s <= 0:
            raise TimeoutError(f"no {'byte' if self.timeout_per_read else 'end'} after {self._timeout_s} s")
        return remaining_s

    def write(self, sock: socket.socket) -> None:
        """Send the request; record a lost connection, because a server may respond before it has read everything."""
        self._connected_s = time.monotonic()
        try:
            sock.settimeout(self.remaining_s())
            head, body = split_expectation(self._request)
            *early, last = split_apart(head) if self.apart else (head,)
            for part in early:
                sock.sendall(part)
                select.select([sock], [], [], APART_S)  # ends early when a response comes
            sock.sendall(last)
            if body and self._may_continue(sock):
                sock.sendall(body)
        except ConnectionError as error:
            self._error, self._cut = f"while sending: {error.strerror or error}", True
        self._sent_s = time.monotonic()
        self._taken_unix_s = time.time()

    def _may_continue(self, sock: socket.socket) -> bool:
        """Wait for 100 Continue, but not forever, as clients do; False when a response came instead."""
        sock.settimeout(min(CONTINUE_S, self.remaining_s()))
        with suppress(TimeoutError):
            self._received(sock.recv(READ_BYTES))
        self._lacks_body = self._response is not None or self._at_end
        sock.settimeout(self.remaining_s())
        return not self._lacks_body

    def read(self, sock: socket.socket, early: bytes = b"") -> None:
        """Read the response; ``early`` has bytes that came after the previous response."""
        if early:
            self._received(early)
        while self.ended is None:
            sock.settimeout(self.remaining_s())
            self._received(sock.recv(READ_BYTES))

    def fail(self, error: OSError | UnicodeError, *, connected: bool) -> None:
        """Record a network error."""
        self._error = "; ".join(filter(None, [self._error, f"{type(error).__name__}: {error}"]))
        if isinstance(error, TimeoutError):
            self.ended = "timeout"
        elif isinstance(error, ConnectionRefusedError):
            self.ended = "refused"
        elif isinstance(error, ConnectionError):
            self.ended = "reset"  # a reset right after the accept can raise while connecting
        else:
            self.ended = "reset" if connected else "unreachable"

    def allows_reuse(self) -> bool:
        """Whether the next request can use the same connection."""
        return not (self._at_end or self._cut or self._lacks_body) and allows_reuse(self._request, self._response)

    def record(self, connection: int, earlier: tuple[bytes, ...]) -> Capture:
        """The capture of the exchange on the connection with this number, after these requests."""
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
            connected_s=self._connected_s - self._start_s,
            first_byte_s=self._first_byte_s,
            ended_s=now_s - self._sent_s,
            sent_mono_s=self._sent_s,
            taken_unix_s=self._taken_unix_s,
            connection=connection,
            earlier=earlier,
        )

    def _received(self, data: bytes) -> None:
        """Parse the bytes of one read; no bytes mean the end of the connection."""
        self._raw += data
        if data and self._first_byte_s is None:
            self._first_byte_s = time.monotonic() - self._sent_s
        self._timeout_start_s = time.monotonic() if self.timeout_per_read else self._start_s
        self._at_end = not data
        before = len(self._body)
        try:
            self._parser.receive_data(data)
            self._take_events()
        except h11.RemoteProtocolError as error:
            self.ended = "invalid" if data or is_not_http(self._raw) else "aborted"
            if is_not_http(self._raw) or not data:
                reason = describe_early_end(self._raw, self._response)
            else:
                reason = describe_invalid(self._raw, error)
            self._error = "; ".join(filter(None, [self._error, reason]))
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
                self.ended, self.trailing = "complete", self._parser.trailing_data[0]
                return
            elif event is h11.PAUSED or isinstance(event, h11.ConnectionClosed):
                self.ended = "aborted"
                return
            elif not isinstance(event, h11.InformationalResponse):  # h11.NEED_DATA
                return
