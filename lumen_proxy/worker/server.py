"""The HTTP server: waitress behind a thin adapter.

waitress reads requests and queues them for a pool of threads; what it lacks is added here: errors of
its own in the OpenAI envelope, a total deadline for a client's headers, an oversize body that still
gets its 413, no spinning when descriptors run out, and a drain. See docs/adr/0001-http-server.md.
"""

from __future__ import annotations

import json
import select
import socket
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, ThreadedTaskDispatcher, WSGITask

from lumen_proxy.wire.openai import request_id
from lumen_proxy.wire.problems import problem

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from wsgiref.types import WSGIApplication

TICK_S = 0.25  # longest wait of the loop, hence the precision of every deadline below
BODY_S = 60.0  # total time for a body: 1 MiB at 17 KiB/s
IDLE_S = 75.0  # keep-alive without a request, and an answer that its client does not take; nginx: 75, 60
DISCARD_S, DISCARD_BYTES = 10.0, 256 * 1024 * 1024  # what an oversize client may go on sending; nginx: 30 s
ACCEPT_PAUSE_S = 0.5  # rest after accept() failed for want of descriptors
CUT_GRACE_S = 1.0  # for the error answers of requests that a drain cut
HEAD_BYTES = 32 * 1024  # all headers of a request together; nginx: 4 x 8 KiB
MEMORY_BYTES = 1 << 30  # waitress spills larger buffers to disk; users' words never go there
POLL = hasattr(select, "poll")
CONNECTIONS = 1000 if POLL else 400  # select() on Windows takes 512

CODES = {
    400: "invalid_http",
    413: "request_too_large",
    431: "headers_too_large",
    501: "unsupported_encoding",
}


class _Parser(HTTPRequestParser):  # type: ignore[misc]
    """One request as it arrives, stricter than waitress about its length and with a deadline."""

    def __init__(self, adj: Adjustments) -> None:
        super().__init__(adj)
        self.deadline = monotonic() + adj.header_timeout_s

    def received(self, data: bytes) -> int:
        in_head = not self.headers_finished
        consumed: int = super().received(data)
        if in_head and self.headers_finished:
            self.deadline = monotonic() + BODY_S
        if self.error:
            self.expect_continue = False  # waitress would invite the body it just refused
        return consumed

    def parse_header(self, header_plus: bytes) -> None:
        try:
            super().parse_header(header_plus)
        except ValueError as error:  # int() of 5,000 digits, urlsplit() of "http://["
            raise ParsingError("unreadable") from error
        lengths = self.headers.keys() & {"CONTENT_LENGTH", "TRANSFER_ENCODING"}
        if self.version not in {"1.0", "1.1"} or "TRANSFER_ENCODING" in lengths or (self.chunked and lengths):
            raise ParsingError("ambiguous")  # two lengths, or one that HTTP/1.0 does not know: request smuggling


class _Task(WSGITask):  # type: ignore[misc]
    def build_response_header(self) -> bytes:
        self.channel.served = True
        if self.channel.server.draining:
            self.request.headers["CONNECTION"] = "close"
        return bytes(super().build_response_header())


class _ErrorTask(ErrorTask):  # type: ignore[misc]
    """An answer of the server itself; no word of the request is repeated in it."""

    def execute(self) -> None:
        error = problem(CODES.get(self.request.error.code, "internal_error"))
        body = json.dumps(error.body()).encode()
        self.status = f"{error.status} {self.request.error.reason}"
        self.content_length = len(body)
        caller_id = self.request.headers.get("X_REQUEST_ID")
        self.response_headers += [("Content-Type", "application/json"), ("X-Request-Id", request_id(caller_id))]
        self.set_close_on_finish()
        self.channel.unread = True
        self.write(b"" if getattr(self.request, "command", "") == "HEAD" else body)


class _Channel(HTTPChannel):  # type: ignore[misc]
    """One connection."""

    parser_class, task_class, error_task_class = _Parser, _Task, _ErrorTask
    served = False  # at least one answer: between requests it may rest for long
    unread = False  # an error was answered although the request may still be on its way
    discarding = 0.0  # until when what still arrives is thrown away, so that close() is no reset
    discarded_bytes = 0
    close_when_flushed: bool

    @property
    def last_activity(self) -> float:
        return self._last_activity

    @last_activity.setter
    def last_activity(self, _wall_clock: float) -> None:
        self._last_activity = monotonic()

    def received(self, data: bytes) -> bool:
        if self.requests and self.requests[-1].error:
            return False  # the rest of a refused request is not the next one
        return bool(super().received(data))

    def readable(self) -> bool:
        return bool(self.discarding or super().readable())

    def handle_read(self) -> None:
        if not self.discarding:
            super().handle_read()
        else:
            self.discarded_bytes += len(self.recv(64 * 1024))
            if self.discarded_bytes > DISCARD_BYTES:
                self.handle_close()

    def handle_write(self) -> None:
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
        if self.discarding:
            return now > self.discarding
        if self.requests and not self.total_outbufs_len:
            return False  # at work; the application has a deadline of its own
        if self.request is not None and not self.total_outbufs_len:
            return bool(now > self.request.deadline)
        return now - self._last_activity > (IDLE_S if self.served else self.adj.header_timeout_s)

    @property
    def busy(self) -> bool:
        return bool(self.requests or self.request or self.total_outbufs_len)


class _Listener(TcpWSGIServer):  # type: ignore[misc]
    """One listening socket, bound by the supervisor."""

    channel_class = _Channel
    draining = False
    resume_at = 0.0

    def set_reuse_addr(self) -> None:
        """Leave the socket's options alone: on Windows this one lets two programs share a port."""

    def readable(self) -> bool:
        return bool(self.accepting and monotonic() >= self.resume_at and len(self._map) < CONNECTIONS)

    def handle_accept(self) -> None:
        try:
            accepted = self.accept()
        except OSError:  # out of descriptors: the client stays in the backlog
            self.resume_at = monotonic() + ACCEPT_PAUSE_S
            return
        if accepted:
            connection, address = accepted
            with suppress(OSError):  # macOS, when the client has already left
                self.set_socket_options(connection)
            self.channel_class(self, connection, address, self.adj, map=self._map)


@dataclass(frozen=True)
class Limits:
    """What the server allows. `threads` is also the number of requests that can be at work at once."""

    threads: int
    header_timeout_s: float
    max_body_bytes: int


class Server:
    """Serves `app` on listening sockets until it is told to drain.

    `on_tick` is called by the serving loop about four times a second; `on_cut` when a drain's deadline has
    come, from the same thread: the application then ends what is still running.
    """

    def __init__(
        self,
        app: WSGIApplication,
        sockets: Sequence[socket.socket],
        limits: Limits,
        *,
        on_tick: Callable[[], None] = lambda: None,
        on_cut: Callable[[], None] = lambda: None,
    ) -> None:
        self._on_tick, self._on_cut = on_tick, on_cut
        self._map: dict[int, Any] = {}
        self._next_sweep = 0.0
        self._drain_by: float | None = None
        self._accept_until_drained = True
        self._threads = ThreadedTaskDispatcher()
        self._threads.set_thread_count(limits.threads)
        self._listeners = [self._listener(app, sock, limits) for sock in sockets]

    def _listener(self, app: WSGIApplication, sock: socket.socket, limits: Limits) -> _Listener:
        adjustments = Adjustments(
            sockets=[sock],
            ident=None,
            channel_request_lookahead=1,  # goes on reading, and so sees a client leave
            max_request_header_size=HEAD_BYTES,
            max_request_body_size=limits.max_body_bytes + 1,  # waitress refuses from here on
            inbuf_overflow=MEMORY_BYTES,
            outbuf_overflow=MEMORY_BYTES,
            log_socket_errors=False,
        )
        adjustments.header_timeout_s = limits.header_timeout_s
        return _Listener(
            app,
            map=self._map,
            _sock=sock,
            dispatcher=self._threads,
            adj=adjustments,
            sockinfo=(sock.family, sock.type, sock.proto, sock.getsockname()),
            bind_socket=False,
        )

    def drain(self, within_s: float, *, accept: bool = True) -> None:
        """Finish what is in flight, within that many seconds; may be called from any thread.

        Until then new connections are taken, so that they are told 503, unless `accept` is false:
        then they are left in the backlog for a successor.
        """
        self._accept_until_drained = accept
        self._drain_by = monotonic() + within_s
        self._listeners[0].pull_trigger()

    def run(self) -> int:
        """Serve until drained; return how many requests the drain's deadline cut."""
        while self._drain_by is None:
            self._turn()
        for listener in self._listeners:
            listener.draining = True
            if not self._accept_until_drained:
                wasyncore.dispatcher.close(listener)
        self._turn(0)  # what has already arrived is in flight, too
        cut = self._turn_until_quiet(self._drain_by)
        if cut:
            self._on_cut()
            self._turn_until_quiet(monotonic() + CUT_GRACE_S)
        for channel in self._channels():
            channel.handle_close()
        return cut

    def close(self) -> None:
        """Give back threads and descriptors, after `run`; a process that ends anyway need not."""
        self._threads.shutdown()
        wasyncore.close_all(self._map, ignore_all=True)

    def _turn_until_quiet(self, deadline: float) -> int:
        while any(channel.busy for channel in self._channels()) and monotonic() < deadline:
            self._turn()
        return sum(bool(channel.requests) for channel in self._channels())

    def _turn(self, wait_s: float = TICK_S) -> None:
        (wasyncore.poll2 if POLL else wasyncore.poll)(wait_s, self._map)
        now = monotonic()
        if now >= self._next_sweep:
            self._next_sweep = now + TICK_S
            self._sweep(now)
            self._on_tick()

    def _sweep(self, now: float) -> None:
        for channel in self._channels():
            resting = channel.server.draining and not channel.busy and not channel.discarding
            if resting or channel.overdue(now):
                channel.will_close = True
                channel.handle_write()

    def _channels(self) -> list[Any]:
        return [channel for listener in self._listeners for channel in list(listener.active_channels.values())]
