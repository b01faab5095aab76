"""One connection: the parser, tasks and channel of waitress, with additions.

Errors of the server itself have the OpenAI envelope, a head has a deadline, a request with two lengths is refused, and
the client of an oversize body receives its 413. See docs/adr/0001-http-server.md.
"""

from __future__ import annotations

import json
import re
import select
import socket
from contextlib import contextmanager, nullcontext, suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.task import ErrorTask, WSGITask
from waitress.utilities import BadRequest, RequestHeaderFieldsTooLarge

from lumen_proxy.wire.api_errors import api_error
from lumen_proxy.wire.first_bytes import protocol_of
from lumen_proxy.wire.openai import request_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from waitress.adjustments import Adjustments

    from lumen_proxy.errors import ApiError
    from lumen_proxy.wire.first_bytes import Protocol

BODY_S = 60.0  # total time for a body: 1 MiB at 17 KiB/s
IDLE_S = 75.0  # keep-alive without a request, and an answer that the client does not read; nginx: 75, 60
FINAL_BYTES = 1024  # a smaller write is taken for the last: [DONE], an error event, the end of a chunked body
DISCARD_S, DISCARD_BYTES = 10.0, 256 * 1024 * 1024  # of a body that was refused; nginx: 30 s

HEAD_BYTES = 32 * 1024  # all headers of a request together; nginx: 4 x 8 KiB
TRANSFER_ENCODING = re.compile(rb"\r\ntransfer-encoding:([^\r]*)", re.IGNORECASE)
FOLDED = re.compile(rb"\r\n[ \t]")  # a field of several lines may be refused (RFC 9112, 5.2)

CODES = {
    400: "invalid_http",
    413: "request_too_large",
    431: "headers_too_large",
    501: "unsupported_encoding",
}


class Refusal(NamedTuple):
    """A request that the server refused itself. `began` is monotonic; `method` is the client's text, or empty."""

    request_id: str
    began: float
    method: str
    error: ApiError


class _Parser(HTTPRequestParser):  # type: ignore[misc]
    """One request while it is received, with a deadline, and stricter than waitress about its length.

    A head above `HEAD_BYTES` is read to its end before it is refused: the refusal needs its Origin, which browsers send
    among the last. waitress itself refuses a head at four times that size, without the rest of it.
    """

    path = ""  # waitress reads it also after a failure to parse
    body_by = 0.0  # set at the end of the head
    error: Any = None
    protocol: Protocol = "incomplete"

    def __init__(self, adj: Adjustments) -> None:
        super().__init__(adj)
        self.began = monotonic()

    def received(self, data: bytes) -> int:
        if self.protocol == "incomplete":
            self.protocol = protocol_of(self.header_plus + data)
            if self.protocol not in {"incomplete", "request"}:  # answered at once, not at the deadline of the head
                self.error, self.completed = BadRequest(self.protocol), True
                return len(data)
        consumed: int = super().received(data)
        if self.headers_finished and not self.body_by:
            self.body_by = monotonic() + BODY_S
            if self.header_bytes_received >= HEAD_BYTES and not self.error:
                self.error, self.completed = RequestHeaderFieldsTooLarge("too many"), True
        if self.error:
            self.expect_continue = False  # waitress would ask for the body that is refused
        return consumed

    def parse_header(self, header_plus: bytes) -> None:
        try:
            super().parse_header(header_plus)
        except ValueError as error:  # int() of 5,000 digits, urlsplit() of "http://["
            raise ParsingError("unreadable") from error
        codings = [coding.strip(b" \t").lower() for coding in TRANSFER_ENCODING.findall(header_plus)]
        if codings not in ([], [b"chunked"]) or FOLDED.search(header_plus):
            raise ParsingError(
                "ambiguous"
            )  # waitress accepts an empty, folded or repeated coding, other servers do not
        lengths = self.headers.keys() & {"CONTENT_LENGTH", "TRANSFER_ENCODING"}
        if self.version not in {"1.0", "1.1"} or "TRANSFER_ENCODING" in lengths or (self.chunked and lengths):
            raise ParsingError("ambiguous")  # two lengths, or one that HTTP/1.0 lacks: request smuggling
        if self.proxy_netloc:
            self.headers["HOST"] = self.proxy_netloc  # the host of the target replaces the header (RFC 9112, 3.2.2)


class _Task(WSGITask):  # type: ignore[misc]
    def write(self, data: bytes) -> None:
        with self.channel.joined_writes() if not self.wrote_header else nullcontext():
            super().write(data)

    def build_response_header(self) -> bytes:
        self.channel.has_answered = True
        if self.channel.server.closes_after_answer:
            self.request.headers["CONNECTION"] = "close"
        return bytes(super().build_response_header())


class _RefusalTask(ErrorTask):  # type: ignore[misc]
    """An answer of the server itself. It repeats no text of the request."""

    def execute(self) -> None:
        error = self._problem()
        body = json.dumps(error.body()).encode() + b"\n"
        self.status = f"{error.status} {self.request.error.reason}"
        self.content_length = len(body)
        method = getattr(self.request, "command", "")
        refusal = Refusal(request_id(self.request.headers.get("X_REQUEST_ID")), self.request.began, method, error)
        self.response_headers += [
            ("Content-Type", "application/json; charset=utf-8"),
            ("X-Request-Id", refusal.request_id),
            *error.headers.items(),
            ("Vary", "Origin"),
            *self.channel.server.cors_headers(self.request.headers.get("ORIGIN")).items(),
        ]
        self.set_close_on_finish()
        self.channel.is_refused = True
        self.channel.server.on_refusal(refusal)
        self.write(b"" if method == "HEAD" else body)

    def _problem(self) -> ApiError:
        if self.request.protocol == "tls":
            return api_error("https_not_supported")
        message = "This server speaks HTTP/1.1, not HTTP/2." if self.request.protocol == "http2" else None
        return api_error(CODES.get(self.request.error.code, "internal_error"), message)


class Channel(HTTPChannel):  # type: ignore[misc]
    """One connection."""

    parser_class, task_class, error_task_class = _Parser, _Task, _RefusalTask
    has_answered = False
    is_refused = False  # the answer is an error of the server; the client may still send the request
    discard_until = 0.0  # what arrives is discarded until then, since close() with unread bytes resets the connection
    discarded_bytes = 0
    joined: list[bytes] | None = None  # writes that are sent together
    is_final_write = False  # no thread waits until a slow client has read it
    close_when_flushed: bool

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - those of waitress
        super().__init__(*args, **kwargs)
        self.head_by: float | None = monotonic() + self.adj.header_timeout_s

    @property
    def last_activity(self) -> float:
        """Monotonic seconds; waitress uses the wall clock."""
        return self._last_activity

    @last_activity.setter
    def last_activity(self, _wall_clock: float) -> None:
        self._last_activity = monotonic()

    @contextmanager
    def joined_writes(self) -> Iterator[None]:
        """Send the writes inside in one packet: a head and the beginning of its body."""
        joined: list[bytes] = []
        self.joined = joined
        try:
            yield
        finally:
            self.joined = None
        self.is_final_write = True  # it holds all of an answer that is not streamed
        super().write_soon(b"".join(joined))

    def write_soon(self, data: bytes) -> int:
        """Send the data, or keep them for `joined_writes`."""
        if self.joined is None:
            self.is_final_write = len(data) < FINAL_BYTES
            return int(super().write_soon(data))
        self.joined.append(data)
        return len(data)

    def _flush_outbufs_below_high_watermark(self) -> None:
        """Wait until a slow client has read, except for the end of an answer: its admission has ended."""
        if not self.is_final_write:
            super()._flush_outbufs_below_high_watermark()

    def readable(self) -> bool:
        """Whether the loop should read."""
        return bool(self.discard_until or super().readable())

    def received(self, data: bytes) -> bool:
        """Parse what arrived. The time for a head begins with the first byte, even of an empty line."""
        self._begin_head()
        accepted = bool(super().received(data))
        if self.request is not None:
            self._begin_head()  # `service` may have ended meanwhile and reset the time
        return accepted

    def _begin_head(self) -> None:
        if self.head_by is None:
            self.head_by = monotonic() + self.adj.header_timeout_s

    def service(self) -> None:
        """Answer one request. Afterwards the connection is idle, or the time for the next head begins."""
        if self.total_outbufs_len > self.adj.outbuf_high_watermark:
            self._refuse_more()
        else:
            super().service()
        with self.requests_lock:
            self.head_by = None
            if self.request is not None:
                self._begin_head()

    def _refuse_more(self) -> None:
        """Drop further requests, and close after the answers so far: the client sends requests, but does not read."""
        with self.requests_lock:
            self.requests: list[HTTPRequestParser] = []
            self.close_when_flushed = True
        self.server.pull_trigger()

    def handle_read(self) -> None:
        """Read, or discard up to a limit."""
        self.server.heartbeat.send_if_due()
        if not self.discard_until:
            super().handle_read()
        else:
            self.discarded_bytes += len(self.recv(64 * 1024))
            if self.discarded_bytes > DISCARD_BYTES:
                self.handle_close()

    def handle_write(self) -> None:
        """Write; after a refusal close the sending side only, and discard what arrives."""
        self.server.heartbeat.send_if_due()
        if self.is_refused and self.close_when_flushed and not self.will_close:
            self._flush_exception(self._flush_some)
            if self.total_outbufs_len == 0 and self.socket:
                self.is_refused = self.close_when_flushed = False
                self.discard_until = monotonic() + DISCARD_S
                with suppress(OSError):
                    self.socket.shutdown(socket.SHUT_WR)
        else:
            super().handle_write()

    def is_overdue(self, now: float) -> bool:
        """Whether the client has exceeded the time for what it sends or reads."""
        if self.discard_until:
            return now > self.discard_until
        if self.total_outbufs_len:
            return now - self._last_activity > IDLE_S
        if self.requests:
            return False  # in progress; the application has its own deadline
        if self.request is not None and self.request.headers_finished:
            return bool(now > self.request.body_by)
        return now > self.head_by if self.head_by else now - self._last_activity > IDLE_S

    def is_abandoned(self) -> bool:
        """Whether the client has disconnected while requests wait that it sent ahead: the socket is not read then."""
        return len(self.requests) > self.adj.channel_request_lookahead and _is_disconnected(self.socket)

    @property
    def waits_for_client(self) -> bool:
        """Whether there is neither a complete request nor an answer to send."""
        return not self.requests and not self.total_outbufs_len

    @property
    def waits_since(self) -> float:
        """When the time for the head began, or the last answer was sent; monotonic."""
        return self.head_by - self.adj.header_timeout_s if self.head_by else self._last_activity

    @property
    def is_busy(self) -> bool:
        """Whether a drain waits for it."""
        return not self.discard_until and bool(self.requests or self.request or self.total_outbufs_len)


def _is_disconnected(sock: socket.socket) -> bool:
    """Whether the client has closed the connection, even with bytes to read before the end."""
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(sock, getattr(select, "POLLRDHUP", 0))  # Linux; macOS reports it always
        return bool(poll.poll(0))
    try:
        return not sock.recv(1, socket.MSG_PEEK)  # detects it only without bytes to read before
    except BlockingIOError:
        return False
    except OSError:
        return True
