"""The HTTP server: waitress with additions.

waitress reads requests and queues them for a pool of threads. Added here: a pause when descriptors run out, deadlines
that are checked often enough, and a drain. See docs/adr/0001-http-server.md.
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
from lumen_proxy.worker.http.heartbeat import Heartbeat
from lumen_proxy.worker.limits import CONNECTIONS, POLL, SPARE_CONNECTIONS

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping, Sequence
    from wsgiref.types import WSGIApplication

    from lumen_proxy.worker.http.connection import Refusal
    from lumen_proxy.worker.limits import ServerLimits

TICK_S = 0.25  # longest wait of the loop, and so the precision of each deadline
ACCEPT_PAUSE_S = 0.5  # pause after accept() failed without a free descriptor
DESCRIPTORS_SHARE = 16  # without free descriptors 1/16 of the connections are closed; nginx: 1/16 stay free
# After a handover a connection stays open so long between two requests: the limit of httpx, and so of the OpenAI client
# for Python, which then opens a new one.
KEPT_S = 5.0
CUT_GRACE_S = 1.0  # for the error answers of requests that a drain cut
MEMORY_BYTES = 1 << 30  # waitress writes larger buffers to the disk, where no text of a user may be
ACCEPTED_AT_ONCE = (
    64  # one turn of the loop takes milliseconds with many connections; asyncio accepts the whole backlog
)


class _Listener(TcpWSGIServer):  # type: ignore[misc]
    """One listening socket, bound by the supervisor."""

    channel_class = Channel
    is_draining = False
    lacks_descriptors = False
    accept_at = 0.0
    heartbeat: Heartbeat
    on_refusal: Callable[[Refusal], None]
    cors_headers: Callable[[str | None], Mapping[str, str]]

    def set_reuse_addr(self) -> None:
        """Do nothing: on Windows this option lets two programs share a port."""

    def readable(self) -> bool:
        return bool(self.accepting and monotonic() >= self.accept_at and len(self._map) < CONNECTIONS)

    @property
    def closes_after_answer(self) -> bool:
        """Whether each connection is closed after its answer: in a drain, or with too many connections."""
        return self.is_draining or len(self._map) > CONNECTIONS - SPARE_CONNECTIONS

    def handle_accept(self) -> None:
        """Accept connections of the backlog."""
        for _ in range(ACCEPTED_AT_ONCE):
            if not self.readable() or not self._accept_one():
                return

    def _accept_one(self) -> bool:
        try:
            accepted = self.accept()
        except OSError:  # no free descriptor: the client stays in the backlog
            self.lacks_descriptors = True
            return False
        if not accepted:
            return False
        connection, address = accepted
        with suppress(OSError):  # macOS, if the client has disconnected
            self.set_socket_options(connection)
        self.channel_class(self, connection, address, self.adj, map=self._map)
        return True

    def stop_accepting(self) -> None:
        """Leave new connections to the other processes that have this socket."""
        self.accepting = False
        self.del_channel()
        self.socket.close()

    def make_room(self, before: float) -> None:
        """Close slow connections if connections or descriptors are used up.

        Not while the loop handles events: a new connection could get the descriptor of a closed one, and its events.
        Only connections that have waited since `before`, the start of the turn: from others the turn may have read.
        """
        if self.lacks_descriptors:
            self.lacks_descriptors = False
            if not self._close_slow(1 + len(self._map) // DESCRIPTORS_SHARE, before):
                self.accept_at = monotonic() + ACCEPT_PAUSE_S
        elif self.accepting and len(self._map) >= CONNECTIONS:
            self._close_slow(SPARE_CONNECTIONS, before)

    def _close_slow(self, connections: int, before: float) -> bool:
        """Close at most so many connections that wait for their client, the longest wait first.

        Return whether any waits. nginx does the same: `ngx_drain_connections()` in src/core/ngx_connection.c.
        """
        slow = [channel for channel in self._map.values() if isinstance(channel, Channel) and channel.waits_for_client]
        for channel in sorted(slow, key=lambda channel: channel.waits_since)[:connections]:
            if channel.waits_since < before:
                channel.handle_close()
        return bool(slow)


@dataclass(frozen=True)
class Hooks:
    """Functions that the server calls.

    `on_tick`       by the serving loop, about four times a second
    `on_beat`       by the serving loop, every `ServerLimits.beat_s`; must not block
    `on_cut`        by the loop, at the deadline of a drain: the application then ends the calls in progress
    `on_refusal`    by any thread, for a request that the server refused itself
    `cors_headers`  the Origin of such a request → the headers that let its page read the refusal
    """

    on_tick: Callable[[], None] = lambda: None
    on_beat: Callable[[], None] = lambda: None
    on_cut: Callable[[], None] = lambda: None
    on_refusal: Callable[[Refusal], None] = lambda _: None
    cors_headers: Callable[[str | None], Mapping[str, str]] = lambda _: {}


class HttpServer:
    """Serves `app` on listening sockets until `drain`."""

    def __init__(
        self, app: WSGIApplication, sockets: Sequence[socket.socket], limits: ServerLimits, hooks: Hooks | None = None
    ) -> None:
        self._app, self._limits, self._hooks = app, limits, hooks or Hooks()
        self._map: dict[int, Any] = {}
        self._next_sweep = 0.0
        self._heartbeat = Heartbeat(limits.beat_s, self._hooks.on_beat)
        self._drain_by: float | None = None
        self._is_handed_over = False
        self._threads = ThreadedTaskDispatcher()
        self._threads.set_thread_count(limits.threads)
        self._listeners: list[_Listener] = []
        self.listen(sockets)

    def listen(self, sockets: Sequence[socket.socket]) -> None:
        """Accept connections on these sockets, too. Before `run`, which needs at least one."""
        self._listeners += [self._listener(sock) for sock in sockets]

    def _listener(self, sock: socket.socket) -> _Listener:
        adjustments = Adjustments(
            sockets=[sock],
            ident=None,
            channel_request_lookahead=1,  # reads during a request, and so notices that a client disconnects
            max_request_header_size=4 * HEAD_BYTES,  # a larger head is not read to its end
            max_request_body_size=self._limits.max_body_bytes + 1,  # waitress refuses this size and above
            inbuf_overflow=MEMORY_BYTES,
            outbuf_overflow=MEMORY_BYTES,
            log_socket_errors=False,
        )
        adjustments.header_timeout_s = self._limits.header_timeout_s
        listener = _Listener(
            self._app,
            map=self._map,
            _sock=sock,
            dispatcher=self._threads,
            adj=adjustments,
            sockinfo=(sock.family, sock.type, sock.proto, sock.getsockname()),
            bind_socket=False,
        )
        listener.heartbeat = self._heartbeat
        listener.on_refusal = self._hooks.on_refusal
        listener.cors_headers = self._hooks.cors_headers
        return listener

    def drain(self, within_s: float, *, is_handed_over: bool = False) -> None:
        """Finish the requests in progress within this time; may be called from any thread.

        Meanwhile new connections are accepted: the application answers them with 503. `is_handed_over`: another process
        accepts them, and a connection between two requests is closed after its next answer or `KEPT_S`.
        """
        self._is_handed_over = is_handed_over
        self._drain_by = monotonic() + within_s
        self._listeners[0].pull_trigger()

    def run(self) -> int:
        """Serve until drained; return the number of requests that the deadline of the drain cut."""
        while self._drain_by is None:
            self._turn()
        for listener in self._listeners:
            listener.is_draining = True
            if self._is_handed_over:
                listener.stop_accepting()
        self._turn(0)  # a request that has arrived is in progress, too
        cut = self._turn_until_quiet(self._drain_by)
        if cut:
            self._hooks.on_cut()
            self._turn_until_quiet(monotonic() + CUT_GRACE_S)
        for channel in self._channels():
            channel.handle_close()
        return cut

    def close(self) -> None:
        """Release threads and descriptors after `run`; not needed before the end of the process."""
        self._threads.shutdown()
        wasyncore.close_all(self._map, ignore_all=True)

    def _turn_until_quiet(self, deadline: float) -> int:
        while any(map(self._is_waited_for, self._channels())) and monotonic() < deadline:
            self._turn()
        return sum(bool(channel.requests) for channel in self._channels())

    def _is_waited_for(self, channel: Channel) -> bool:
        return channel.is_busy or self._is_kept(channel)

    def _is_kept(self, channel: Channel) -> bool:
        """Whether a client may be about to send its next request, which must be answered."""
        if not self._is_handed_over or channel.discard_until or channel.will_close:
            return False
        return monotonic() < min(channel.last_activity + KEPT_S, self._drain_by or 0.0)

    def _turn(self, wait_s: float = TICK_S) -> None:
        began = monotonic()
        wait_s = min(wait_s, self._heartbeat.remaining_s())
        (wasyncore.poll2 if POLL else wasyncore.poll)(wait_s, self._map)
        for listener in self._listeners:
            listener.make_room(began)
        now = monotonic()
        if now >= self._next_sweep:
            self._next_sweep = now + TICK_S
            self._sweep(now)
            self._hooks.on_tick()
        self._heartbeat.send_if_due()

    def _sweep(self, now: float) -> None:
        for channel in self._channels():
            server = channel.server
            closing = channel.has_answered and server.closes_after_answer  # a new connection gets an answer first
            is_idle = not channel.discard_until and not self._is_waited_for(channel)
            if (closing and is_idle) or channel.is_overdue(now) or channel.is_abandoned():
                channel.will_close = True
                channel.handle_write()

    def _channels(self) -> list[Any]:
        return [channel for listener in self._listeners for channel in list(listener.active_channels.values())]
