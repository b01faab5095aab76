"""The HTTP server: waitress behind a thin adapter.

waitress reads requests and queues them for a pool of threads; added here: no spinning when descriptors
run out, deadlines that are looked at often enough, and a drain. See docs/adr/0001-http-server.md.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher

from lumen_proxy.worker.http.connection import HEAD_BYTES, Channel
from lumen_proxy.worker.limits import CONNECTIONS, POLL, SPARE_CONNECTIONS

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping, Sequence
    from wsgiref.types import WSGIApplication

    from lumen_proxy.worker.http.connection import Refusal
    from lumen_proxy.worker.limits import Limits

TICK_S = 0.25  # longest wait of the loop, hence the precision of every deadline below
ACCEPT_PAUSE_S = 0.5  # rest after accept() failed for want of descriptors
DESCRIPTORS_SHARE = 16  # one in so many connections is closed when there are no more descriptors; nginx: 1/16 stay free
CUT_GRACE_S = 1.0  # for the error answers of requests that a drain cut
MEMORY_BYTES = 1 << 30  # waitress spills larger buffers to disk; users' words never go there
ACCEPTED_AT_ONCE = 64  # a turn of the loop takes some ms with many connections; asyncio takes the whole backlog


class _Listener(TcpWSGIServer):  # type: ignore[misc]
    """One listening socket, bound by the supervisor."""

    channel_class = Channel
    draining = False
    lacks_descriptors = False
    resume_at = 0.0
    on_refusal: Callable[[Refusal], None]
    cors_headers: Callable[[str | None], Mapping[str, str]]

    def set_reuse_addr(self) -> None:
        """Leave the socket's options alone: on Windows this one lets two programs share a port."""

    def readable(self) -> bool:
        return bool(self.accepting and monotonic() >= self.resume_at and len(self._map) < CONNECTIONS)

    @property
    def short(self) -> bool:
        """Whether connections should end with their answer, because of a drain or because there are too many."""
        return self.draining or len(self._map) > CONNECTIONS - SPARE_CONNECTIONS

    def handle_accept(self) -> None:
        """Accept those that wait in the backlog."""
        for _ in range(ACCEPTED_AT_ONCE):
            if not self.readable() or not self._accept_one():
                return

    def _accept_one(self) -> bool:
        try:
            accepted = self.accept()
        except OSError:  # out of descriptors: the client stays in the backlog
            self.lacks_descriptors = True
            return False
        if not accepted:
            return False
        connection, address = accepted
        with suppress(OSError):  # macOS, when the client has already left
            self.set_socket_options(connection)
        self.channel_class(self, connection, address, self.adj, map=self._map)
        return True

    def make_room(self, before: float) -> None:
        """Close slow clients when connections or descriptors are used up; not while the loop handles events.

        A connection that is accepted then gets the descriptor of one that was closed, and events of the closed one.
        Who waits since `before`, the beginning of the turn, or longer was read from.
        """
        if self.lacks_descriptors:
            self.lacks_descriptors = False
            if not self._close_slow(1 + len(self._map) // DESCRIPTORS_SHARE, before):
                self.resume_at = monotonic() + ACCEPT_PAUSE_S
        elif self.accepting and len(self._map) >= CONNECTIONS:
            self._close_slow(SPARE_CONNECTIONS, before)

    def _close_slow(self, connections: int, before: float) -> bool:
        """Close at most so many connections that wait for their client, those that wait longest first.

        nginx does the same: `ngx_drain_connections()` in its src/core/ngx_connection.c. Returns whether any waits.
        """
        slow = [channel for channel in self._map.values() if isinstance(channel, Channel) and channel.waits_for_client]
        for channel in sorted(slow, key=lambda one: one.waits_since)[:connections]:
            if channel.waits_since < before:
                channel.handle_close()
        return bool(slow)


@dataclass(frozen=True)
class Hooks:
    """What the server tells its owner.

    `on_tick`     by the serving loop, about four times a second
    `on_cut`      a drain's deadline has come, by the loop, too: the application then ends what is still running
    `on_refusal`  a request that the application does not get to see was refused, by any thread
    `cors_headers`  Origin of such a request → the headers that let its page read the refusal
    """

    on_tick: Callable[[], None] = lambda: None
    on_cut: Callable[[], None] = lambda: None
    on_refusal: Callable[[Refusal], None] = lambda _: None
    cors_headers: Callable[[str | None], Mapping[str, str]] = lambda _: {}


class Server:
    """Serves `app` on listening sockets until it is told to drain."""

    def __init__(
        self, app: WSGIApplication, sockets: Sequence[socket.socket], limits: Limits, hooks: Hooks | None = None
    ) -> None:
        self._hooks = hooks or Hooks()
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
            max_request_header_size=4 * HEAD_BYTES,  # beyond it a head is not read to its end
            max_request_body_size=limits.max_body_bytes + 1,  # waitress refuses from here on
            inbuf_overflow=MEMORY_BYTES,
            outbuf_overflow=MEMORY_BYTES,
            log_socket_errors=False,
        )
        adjustments.header_timeout_s = limits.header_timeout_s
        listener = _Listener(
            app,
            map=self._map,
            _sock=sock,
            dispatcher=self._threads,
            adj=adjustments,
            sockinfo=(sock.family, sock.type, sock.proto, sock.getsockname()),
            bind_socket=False,
        )
        listener.on_refusal = self._hooks.on_refusal
        listener.cors_headers = self._hooks.cors_headers
        return listener

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
            self._hooks.on_cut()
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
        began = monotonic()
        (wasyncore.poll2 if POLL else wasyncore.poll)(wait_s, self._map)
        for listener in self._listeners:
            listener.make_room(began)
        now = monotonic()
        if now >= self._next_sweep:
            self._next_sweep = now + TICK_S
            self._sweep(now)
            self._hooks.on_tick()

    def _sweep(self, now: float) -> None:
        for channel in self._channels():
            ending = channel.server.draining or (channel.served and channel.server.short)
            resting = ending and not channel.busy and not channel.discarding
            if resting or channel.overdue(now) or channel.left():
                channel.will_close = True
                channel.handle_write()

    def _channels(self) -> list[Any]:
        return [channel for listener in self._listeners for channel in list(listener.active_channels.values())]
