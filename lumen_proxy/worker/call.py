"""A client's call while it is under way: its deadline, its end from outside, its place among the others."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Literal

from lumen_proxy.wire.api_errors import problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lumen_proxy.errors import ApiError

Ending = Literal["deadline", "client_gone", "shutting_down"]
Channel = Literal["gateway", "cloud_ai"]


class Call:
    """Ends by itself, or from outside: at its deadline, when its client has gone, at a drain's deadline.

    `attempts` were made to get an answer; the last was at `channel`, and took `exchange_s`.
    """

    channel: Channel = "gateway"
    attempts = 0
    exchange_s = 0.0

    def __init__(self, within_s: float, gone: Callable[[], bool]) -> None:
        self.deadline = monotonic() + within_s
        self.gone = gone
        self.ended = threading.Event()
        self.ending: Ending | None = None
        self._lock = threading.Lock()
        self._abort: Callable[[], None] | None = None

    @contextmanager
    def attempt(self, channel: Channel) -> Iterator[None]:
        """Count and time what is done inside, whether it brings an answer or not."""
        self.attempts += 1
        self.channel = channel
        began = monotonic()
        try:
            yield
        finally:
            self.exchange_s = monotonic() - began

    def remaining_s(self) -> float:
        """Seconds until the deadline, at least a millisecond, so that it can be a socket's time-out."""
        return max(self.deadline - monotonic(), 0.001)

    def end(self, ending: Ending) -> None:
        """End the call, from any thread: what it waits for is woken or aborted."""
        with self._lock:
            if self.ending is None:
                self.ending = ending
                self.ended.set()
                if self._abort:
                    self._abort()

    @contextmanager
    def aborting(self, abort: Callable[[], None], at_deadline: str) -> Iterator[None]:
        """While inside, `abort` is run when the call ends. Raises ApiError if it has ended."""
        with self._lock:
            self._abort = abort
        try:
            self.check(at_deadline)
            yield
        finally:
            with self._lock:
                self._abort = None

    def check(self, at_deadline: str) -> None:
        """Raise ApiError if the call has ended; `at_deadline` is the code for that ending."""
        if self.ending:
            raise self.error(at_deadline)

    def error(self, at_deadline: str) -> ApiError:
        """The error that the ending of this call is to its client."""
        return problem(at_deadline if self.ending in {None, "deadline"} else str(self.ending))


class Watch:
    """Knows all calls, and ends those whose deadline has passed or whose client has gone."""

    def __init__(self) -> None:
        self._calls: set[Call] = set()
        self._lock = threading.Lock()

    @contextmanager
    def over(self, call: Call) -> Iterator[Call]:
        """Watch the call while inside."""
        with self._lock:
            self._calls.add(call)
        try:
            yield call
        finally:
            with self._lock:
                self._calls.discard(call)

    def look(self) -> None:
        """Look after every call once; the serving loop does so a few times a second."""
        now = monotonic()
        for call in self.calls():
            if call.gone():
                call.end("client_gone")
            elif now >= call.deadline:
                call.end("deadline")

    def end_all(self) -> None:
        """End every call: the deadline of a drain has come."""
        for call in self.calls():
            call.end("shutting_down")

    def calls(self) -> list[Call]:
        """All calls under way."""
        with self._lock:
            return list(self._calls)


class Places:
    """At most `limit` chats between their request and the last bytes of their answer: each may hold a thread.

    A stream holds one until its client has read most of it. Whoever comes beyond is refused by a spare thread.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken: set[object] = set()
        self._lock = threading.Lock()

    def enter(self, who: object) -> None:
        """Take a place. Raises ApiError concurrency_limit."""
        with self._lock:
            if len(self._taken) >= self._limit:
                raise problem("concurrency_limit")
            self._taken.add(who)

    def leave(self, who: object) -> None:
        """Give the place back, if it is still taken."""
        with self._lock:
            self._taken.discard(who)


class Slots:
    """At most `limit` calls at once; `queue` more wait, first come first served, `queue_timeout_s` at most."""

    def __init__(self, limit: int, queue: int, queue_timeout_s: float) -> None:
        self._free = limit
        self._queue_limit = queue
        self._timeout_s = queue_timeout_s
        self._waiting: deque[Call] = deque()
        self._changed = threading.Condition()

    @property
    def queued(self) -> int:
        """How many calls wait now."""
        return len(self._waiting)

    @contextmanager
    def slot(self, call: Call) -> Iterator[None]:
        """Hold a place. Raises ApiError concurrency_limit, or how the call ended meanwhile."""
        self._take(call)
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                self._changed.notify_all()

    def _take(self, call: Call) -> None:
        # In this order, or the lock of the call and that of the slots could wait for each other.
        with call.aborting(self._wake, "concurrency_limit"), self._changed:
            if not self._free or self._waiting:
                self._wait(call)
            self._free -= 1

    def _wait(self, call: Call) -> None:
        if len(self._waiting) >= self._queue_limit:
            raise problem("concurrency_limit")
        self._waiting.append(call)
        try:
            first = self._changed.wait_for(lambda: call.ending or self._is_first(call), self._timeout_s)
        finally:
            self._waiting.remove(call)
            self._changed.notify_all()
        call.check("concurrency_limit")
        if not first:
            raise problem("concurrency_limit")

    def _is_first(self, call: Call) -> bool:
        return self._free > 0 and self._waiting[0] is call

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()
