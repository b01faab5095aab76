"""The circuit breaker: it opens after failures in a row; after a pause one call, the probe, decides if it closes."""

from __future__ import annotations

import math
import threading
from time import monotonic
from typing import TYPE_CHECKING, Literal

from lumen_proxy.wire.api_errors import api_error

if TYPE_CHECKING:
    from collections.abc import Callable

BreakerState = Literal["closed", "open", "half_open"]
Outcome = Literal["success", "failure", "neutral"]


class Breaker:
    """Closed → (`failures` in a row) → open for `open_s` → half open: one probe → closed, or open again.

    If a probe does not return, another one is allowed after its deadline.
    """

    def __init__(self, failures: int, open_s: float, clock: Callable[[], float] = monotonic) -> None:
        self._limit = failures
        self._open_s = open_s
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._open_until = 0.0
        self._calls = 0
        self._probe = 0
        self._probe_until = 0.0

    @property
    def state(self) -> BreakerState:
        """`half_open` as soon as a probe is allowed."""
        if self._failures < self._limit:
            return "closed"
        return "open" if self._clock() < self._open_until else "half_open"

    def check(self) -> None:
        """Raise ApiError circuit_open if a call would be refused now."""
        refused_until = {"closed": 0.0, "open": self._open_until, "half_open": self._probe_until}
        wait_s = refused_until[self.state] - self._clock()
        if wait_s > 0:
            raise api_error("circuit_open", headers={"Retry-After": str(math.ceil(wait_s))})

    def enter(self, deadline: float) -> int:
        """Begin a call that ends before `deadline`; return its number for `report`. Raises like `check`."""
        with self._lock:
            self.check()
            self._calls += 1
            if self.state == "half_open":
                self._probe, self._probe_until = self._calls, deadline
            return self._calls

    def report(self, call: int, outcome: Outcome) -> None:
        """Report the outcome of a call; a `neutral` one, such as a disconnected client, changes nothing."""
        with self._lock:
            if self.state != "closed" and call != self._probe:
                return  # it began before the breaker opened: only the probe decides
            self._probe_until = 0.0
            if outcome == "success":
                self._failures = 0
            elif outcome == "failure":
                self._failures += 1
                self._open_until = self._clock() + self._open_s
