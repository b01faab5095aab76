"""A client's call in progress: its deadline, and how other threads end it."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Literal

from lumen_proxy.wire.api_errors import api_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lumen_proxy.errors import ApiError

Ending = Literal["deadline", "client_gone", "shutting_down"]
ChannelName = Literal["gateway", "cloud_ai"]


class ClientCall:
    """Ends at its deadline, when its client disconnects, or at the deadline of a drain.

    `attempts` counts the attempts to get an answer; the last one used `channel` and took `exchange_s`.
    """

    channel: ChannelName = "gateway"
    attempts = 0
    exchange_s = 0.0

    def __init__(self, within_s: float, is_disconnected: Callable[[], bool]) -> None:
        self.deadline = monotonic() + within_s
        self.is_disconnected = is_disconnected
        self.ended = threading.Event()
        self.ending: Ending | None = None
        self._lock = threading.Lock()
        self._abort: Callable[[], None] | None = None

    @contextmanager
    def attempt(self, channel: ChannelName) -> Iterator[None]:
        """Count and time one attempt, whether it succeeds or not."""
        self.attempts += 1
        self.channel = channel
        began = monotonic()
        try:
            yield
        finally:
            self.exchange_s = monotonic() - began

    def remaining_s(self) -> float:
        """Seconds until the deadline; at least 0.001, since 0 makes a socket non-blocking."""
        return max(self.deadline - monotonic(), 0.001)

    def end(self, ending: Ending) -> None:
        """End the call from any thread: run the function of `aborting`."""
        with self._lock:
            if self.ending is None:
                self.ending = ending
                self.ended.set()
                if self._abort:
                    self._abort()

    @contextmanager
    def aborting(self, abort: Callable[[], None], at_deadline: str) -> Iterator[None]:
        """While inside, the end of the call runs `abort`. Raises ApiError if the call has ended."""
        with self._lock:
            self._abort = abort
        try:
            self.check(at_deadline)
            yield
        finally:
            with self._lock:
                self._abort = None

    def check(self, at_deadline: str) -> None:
        """Raise ApiError if the call has ended; its code at the deadline is `at_deadline`."""
        if self.ending:
            raise self.error(at_deadline)

    def error(self, at_deadline: str) -> ApiError:
        """The error that the client of an ended call gets."""
        return api_error(at_deadline if self.ending in {None, "deadline"} else str(self.ending))


class CallRegistry:
    """The calls in progress."""

    def __init__(self) -> None:
        self._calls: set[ClientCall] = set()
        self._lock = threading.Lock()

    @contextmanager
    def registered(self, call: ClientCall) -> Iterator[None]:
        """Register the call while inside."""
        with self._lock:
            self._calls.add(call)
        try:
            yield
        finally:
            with self._lock:
                self._calls.discard(call)

    def end_expired(self) -> None:
        """End each call whose client has disconnected or whose deadline has passed. Call this a few times a second."""
        now = monotonic()
        for call in self.active():
            if call.is_disconnected():
                call.end("client_gone")
            elif now >= call.deadline:
                call.end("deadline")

    def end_all(self) -> None:
        """End each call: the deadline of a drain has passed."""
        for call in self.active():
            call.end("shutting_down")

    def active(self) -> list[ClientCall]:
        """All calls in progress."""
        with self._lock:
            return list(self._calls)
