"""One connection: waitress' parser, tasks and channel, and what they lack.

Errors of the server itself come in the OpenAI envelope, headers have a total deadline, a request with two
lengths is refused, and an oversize body still gets its 413. See docs/adr/0001-http-server.md.
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

from lumen_proxy.wire.api_errors import problem
from lumen_proxy.wire.first_bytes import kind_of
from lumen_proxy.wire.openai import request_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from waitress.adjustments import Adjustments

    from lumen_proxy.errors import ApiError
    from lumen_proxy.wire.first_bytes import Kind

BODY_S = 60.0  # total time for a body: 1 MiB at 17 KiB/s
IDLE_S = 75.0  # keep-alive without a request, and an answer that its client does not take; nginx: 75, 60
LAST_WORDS_BYTES = 1024  # [DONE], an error event, the end of a chunked body
DISCARD_S, DISCARD_BYTES = 10.0, 256 * 1024 * 1024  # what an oversize client may go on sending; nginx: 30 s

HEAD_BYTES = 32 * 1024  # all headers of a request together; nginx: 4 x 8 KiB
TRANSFER_ENCODING = re.compile(rb"\r\ntransfer-encoding:([^\r]*)", re.IGNORECASE)
FOLDED = re.compile(rb"\r\n[ \t]")  # RFC 9112, 5.2: a field of several lines may be refused

CODES = {
    400: "invalid_http",
    413: "request_too_large",
    431: "headers_too_large",
    501: "unsupported_encoding",
}


class Refusal(NamedTuple):
    """A request that the server refused itself. `began` is monotonic; `method` is as the client wrote it, or empty."""

    request_id: str
    began: float
    method: str
    error: ApiError


class _Parser(HTTPRequestParser):  # type: ignore[misc]
    """One request as it arrives, stricter than waitress about its length and with a deadline.

    waitress refuses a head at four times `HEAD_BYTES` without having read it. Up to there the head is read to its end,
    so that a refusal has the CORS headers for its Origin, which browsers send among the last.
    """

    path = ""  # waitress reads it even of a request that it could not parse
    body_by = 0.0  # set when the head is there
    error: Any = None
    kind: Kind = "incomplete"

    def __init__(self, adj: Adjustments) -> None:
        super().__init__(adj)
        self.began = monotonic()

    def received(self, data: bytes) -> int:
        if self.kind == "incomplete":
            self.kind = kind_of(self.header_plus + data)
            if self.kind not in {"incomplete", "request"}:  # answered now, and not when the time for a head is over
                self.error, self.completed = BadRequest(self.kind), True
                return len(data)
        consumed: int = super().received(data)
        if self.headers_finished and not self.body_by:
            self.body_by = monotonic() + BODY_S
            if self.header_bytes_received >= HEAD_BYTES and not self.error:
                self.error, self.completed = RequestHeaderFieldsTooLarge("too many"), True
        if self.error:
            self.expect_continue = False  # waitress would invite the body it just refused
        return consumed

    def parse_header(self, header_plus: bytes) -> None:
        try:
            super().parse_header(header_plus)
        except ValueError as error:  # int() of 5,000 digits, urlsplit() of "http://["
            raise ParsingError("unreadable") from error
        codings = [coding.strip(b" \t").lower() for coding in TRANSFER_ENCODING.findall(header_plus)]
        if codings not in ([], [b"chunked"]) or FOLDED.search(header_plus):
            raise ParsingError("ambiguous")  # waitress reads an empty, folded or repeated coding, others do not
        lengths = self.headers.keys() & {"CONTENT_LENGTH", "TRANSFER_ENCODING"}
        if self.version not in {"1.0", "1.1"} or "TRANSFER_ENCODING" in lengths or (self.chunked and lengths):
            raise ParsingError("ambiguous")  # two lengths, or one that HTTP/1.0 does not know: request smuggling
        if self.proxy_netloc:
            self.headers["HOST"] = self.proxy_netloc  # RFC 9112, 3.2.2: the host of the target replaces the header


class _Task(WSGITask):  # type: ignore[misc]
    def write(self, data: bytes) -> None:
        with self.channel.in_one_piece() if not self.wrote_header else nullcontext():
            super().write(data)

    def build_response_header(self) -> bytes:
        self.channel.served = True
        if self.channel.server.short:
            self.request.headers["CONNECTION"] = "close"
        return bytes(super().build_response_header())


class _RefusalTask(ErrorTask):  # type: ignore[misc]
    """An answer of the server itself; no word of the request is repeated in it."""

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
        self.channel.unread = True
        self.channel.server.on_refusal(refusal)
        self.write(b"" if method == "HEAD" else body)

    def _problem(self) -> ApiError:
        kind = self.request.kind
        if kind == "tls":
            return problem("https_not_supported")
        message = "This server speaks HTTP/1.1, not HTTP/2." if kind == "http2" else None
        return problem(CODES.get(self.request.error.code, "internal_error"), message)


class Channel(HTTPChannel):  # type: ignore[misc]
    """One connection."""

    parser_class, task_class, error_task_class = _Parser, _Task, _RefusalTask
    served = False  # at least one answer: between requests it may rest for long
    unread = False  # an error was answered although the request may still be on its way
    discarding = 0.0  # until when what still arrives is thrown away, so that close() is no reset
    discarded_bytes = 0
    held: list[bytes] | None = None  # what is to leave together
    last_words = False  # what is being written is not worth a thread that waits for a slow client
    close_when_flushed: bool

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - those of waitress
        super().__init__(*args, **kwargs)
        self.head_by: float | None = monotonic() + self.adj.header_timeout_s

    @property
    def last_activity(self) -> float:
        """Monotonic seconds, whatever clock waitress reads."""
        return self._last_activity

    @last_activity.setter
    def last_activity(self, _wall_clock: float) -> None:
        self._last_activity = monotonic()

    @contextmanager
    def in_one_piece(self) -> Iterator[None]:
        """What is written inside leaves in one packet: a head and the beginning of its body."""
        held: list[bytes] = []
        self.held = held
        try:
            yield
        finally:
            self.held = None
        self.last_words = True  # a plain answer is all here: its place is free, too
        super().write_soon(b"".join(held))

    def write_soon(self, data: bytes) -> int:
        """Send, or hold back."""
        if self.held is None:
            self.last_words = len(data) < LAST_WORDS_BYTES
            return int(super().write_soon(data))
        self.held.append(data)
        return len(data)

    def _flush_outbufs_below_high_watermark(self) -> None:
        """Keep the thread until a slow client has read, but not for the end of a stream: its place is free by then."""
        if not self.last_words:
            super()._flush_outbufs_below_high_watermark()

    def readable(self) -> bool:
        """Whether the loop should read."""
        return bool(self.discarding or super().readable())

    def received(self, data: bytes) -> bool:
        """Take what arrived. The time for a head runs from the first byte on, were it an empty line."""
        self._begin_head()
        taken = bool(super().received(data))
        if self.request is not None:
            self._begin_head()  # an answer that ended meanwhile has stopped the time
        return taken

    def _begin_head(self) -> None:
        if self.head_by is None:
            self.head_by = monotonic() + self.adj.header_timeout_s

    def service(self) -> None:
        """Answer one request. Afterwards the connection may rest, or the next head has all its time."""
        if self.total_outbufs_len > self.adj.outbuf_high_watermark:
            self._refuse_more()
        else:
            super().service()
        with self.requests_lock:
            self.head_by = None
            if self.request is not None:
                self._begin_head()

    def _refuse_more(self) -> None:
        """End with what was answered: who sent requests ahead and does not read would keep a thread for each."""
        with self.requests_lock:
            self.requests: list[HTTPRequestParser] = []
            self.close_when_flushed = True
        self.server.pull_trigger()

    def handle_read(self) -> None:
        """Read, or discard up to a limit."""
        if not self.discarding:
            super().handle_read()
        else:
            self.discarded_bytes += len(self.recv(64 * 1024))
            if self.discarded_bytes > DISCARD_BYTES:
                self.handle_close()

    def handle_write(self) -> None:
        """Write; after a refusal end our side only, and discard what still comes."""
        if self.unread and self.close_when_flushed and not self.will_close:
            self._flush_exception(self._flush_some)
            if self.total_outbufs_len == 0 and self.socket:
                self.unread = self.close_when_flushed = False
                self.discarding = monotonic() + DISCARD_S
                with suppress(OSError):
                    self.socket.shutdown(socket.SHUT_WR)
        else:
            super().handle_write()

    def overdue(self, now: float) -> bool:
        """Whether the client has taken too long with what it is doing."""
        if self.discarding:
            return now > self.discarding
        if self.total_outbufs_len:
            return now - self._last_activity > IDLE_S
        if self.requests:
            return False  # at work; the application has a deadline of its own
        if self.request is not None and self.request.headers_finished:
            return bool(now > self.request.body_by)
        return now > self.head_by if self.head_by else now - self._last_activity > IDLE_S

    def left(self) -> bool:
        """Whether the client has hung up behind requests that it sent ahead, which are not read for now."""
        return len(self.requests) > self.adj.channel_request_lookahead and _hung_up(self.socket)

    @property
    def waits_for_client(self) -> bool:
        """Whether it has neither a whole request nor an answer to send."""
        return not self.requests and not self.total_outbufs_len

    @property
    def waits_since(self) -> float:
        """When the time for its head began to run, or its last answer was sent; monotonic."""
        return self.head_by - self.adj.header_timeout_s if self.head_by else self._last_activity

    @property
    def busy(self) -> bool:
        """Whether a drain should wait for it."""
        return not self.discarding and bool(self.requests or self.request or self.total_outbufs_len)


def _hung_up(sock: socket.socket) -> bool:
    """Whether the other side has ended, even if there is something to read before that."""
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(sock, getattr(select, "POLLRDHUP", 0))  # Linux; macOS tells without being asked
        return bool(poll.poll(0))
    try:
        return not sock.recv(1, socket.MSG_PEEK)  # only if there is nothing to read before
    except BlockingIOError:
        return False
    except OSError:
        return True
