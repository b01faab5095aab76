"""The limits of a worker: connections and threads of its server, admitted chats, concurrent gateway calls."""

from __future__ import annotations

import math
import select
import threading
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.ipc import beat_s
from lumen_proxy.wire.api_errors import api_error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lumen_proxy.config import Settings
    from lumen_proxy.worker.call import ClientCall

POLL = hasattr(select, "poll")
CONNECTIONS = 1000 if POLL else 400  # select() on Windows takes 512
SPARE_CONNECTIONS = 100  # beyond those of chats; when fewer are free, idle connections are closed
SPARE_THREADS = 4  # beyond those that chats can use: for /health, errors and metrics


@dataclass(frozen=True)
class ServerLimits:
    """The limits of the HTTP server. `threads` is also the number of requests that it handles at once.

    `beat_s` is the time between two heartbeats of the serving loop.
    """

    threads: int
    header_timeout_s: float
    max_body_bytes: int
    beat_s: float = math.inf


def server_limits(settings: Settings) -> ServerLimits:
    """Compute the limits. Raises Fatal (78) if chats can use all connections, so that none is left for /health."""
    calls, queue = settings.max_concurrency, settings.max_queue
    most = CONNECTIONS - SPARE_CONNECTIONS
    if 2 * calls + queue > most:  # a call has a connection to its client, and one to the gateway
        set_to = f"LUMEN_MAX_CONCURRENCY is {calls} and LUMEN_MAX_QUEUE is {queue}"
        raise Fatal(f"{set_to}, but twice the first and the second may be {most} together; lower one", Exit.CONFIG)
    threads, seconds = calls + queue + SPARE_THREADS, beat_s(settings.watchdog_s)
    return ServerLimits(threads, settings.header_timeout_s, settings.max_body_bytes, seconds)


class AdmissionLimit:
    """Admits at most `limit` chats at once, since each can occupy a thread of the server.

    A chat is admitted from its request to the end of its answer; a stream until its client has read most of it.
    """

    def __init__(self, limit: int) -> None:
        self._free = threading.Semaphore(limit)

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Admit one chat while inside. Raises ApiError concurrency_limit."""
        if not self._free.acquire(blocking=False):
            raise api_error("concurrency_limit")
        try:
            yield
        finally:
            self._free.release()


class ConcurrencyLimit:
    """At most `limit` calls at once; others wait in order of arrival, each for at most `queue_timeout_s`.

    `AdmissionLimit` limits how many can wait.
    """

    def __init__(self, limit: int, queue_timeout_s: float) -> None:
        self._free = limit
        self._timeout_s = queue_timeout_s
        self._queue: deque[ClientCall] = deque()
        self._changed = threading.Condition()

    @property
    def queued(self) -> int:
        """The number of calls that wait now."""
        return len(self._queue)

    @contextmanager
    def slot(self, call: ClientCall) -> Iterator[None]:
        """Run one call inside. Raises ApiError: concurrency_limit, or that of a call that ended while it waited."""
        self._acquire(call)
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                self._changed.notify_all()

    def _acquire(self, call: ClientCall) -> None:
        # The lock of the call is taken before the lock of the queue, as in `Call.end`: the other order is a deadlock.
        with call.aborting(self._notify, "concurrency_limit"), self._changed:
            if not self._free or self._queue:
                self._wait(call)
            self._free -= 1

    def _wait(self, call: ClientCall) -> None:
        self._queue.append(call)
        try:
            is_next = self._changed.wait_for(lambda: call.ending or self._is_next(call), self._timeout_s)
        finally:
            self._queue.remove(call)
            self._changed.notify_all()
        call.check("concurrency_limit")
        if not is_next:
            raise api_error("concurrency_limit")

    def _is_next(self, call: ClientCall) -> bool:
        return self._free > 0 and self._queue[0] is call

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()
