"""When to start the next worker, and when to give up. Pure: time comes in, decisions go out.

The first restart is immediate, the second waits up to `base_s`, and each further one up to twice as
long as the one before, to CAP_S at most. The wait is drawn evenly from 0 to that cap ("full jitter").
Only sustained readiness starts this over: one good answer between two deaths changes nothing.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

CAP_S = 30.0  # the longest wait; recovery.md's policy, as in Kubernetes' and systemd's order of magnitude


@dataclass(frozen=True)
class Restart:
    """Start another worker after `delay_s`, drawn from 0 to `delay_cap_s`."""

    delay_s: float
    delay_cap_s: float
    deaths_in_window: int


@dataclass(frozen=True)
class GiveUp:
    """Too many deaths within the window."""

    deaths: int
    window_s: float


class Backoff:
    """Counts unexpected deaths. All times are seconds of one monotonic clock."""

    def __init__(
        self, *, base_s: float, limit: int, window_s: float, draw: Callable[[], float] = random.random
    ) -> None:
        self.base_s = base_s
        self.limit = limit  # deaths within the window; 0 = never give up
        self.window_s = window_s
        self._draw = draw
        self._deaths: deque[float] = deque()
        self._streak = 0  # deaths since the last sustained readiness
        self._ready_since: float | None = None

    def ready(self, now: float) -> None:
        """The worker accepts calls from now on."""
        self._ready_since = now

    def died(self, now: float) -> Restart | GiveUp:
        """The worker ended unexpectedly."""
        if self._ready_since is not None and now - self._ready_since >= self.window_s:
            self._streak = 0
        self._ready_since = None
        self._streak += 1
        self._deaths.append(now)
        while self._deaths[0] <= now - self.window_s:
            self._deaths.popleft()
        if self.limit and len(self._deaths) >= self.limit:
            return GiveUp(len(self._deaths), self.window_s)
        cap_s = self._cap_s()
        return Restart(cap_s * self._draw(), cap_s, len(self._deaths))

    def _cap_s(self) -> float:
        if self._streak == 1:
            return 0.0
        doublings = min(self._streak - 2, 64)  # far past the cap for any base; keeps the power finite
        return min(CAP_S, self.base_s * 2.0**doublings)
