"""When to start the next worker, and when to give up. The caller passes the time; this module has no clock.

The first restart is immediate. The second one waits up to `base_s`, and the limit doubles with each further restart, up
to CAP_S. The wait is drawn evenly from 0 to that limit ("full jitter"). Only a worker that stays ready for a whole
window resets the series: one good response between two exits does not.

One limit holds for two counts: exits within the window, and boots in a row that were never ready, however long they
took.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from lumen_proxy.config import Settings

CAP_S = 30.0  # the longest wait; Kubernetes and systemd use the same order of magnitude
MOST_DOUBLINGS = 64  # far past the cap for any base; keeps the power finite


@dataclass(frozen=True)
class Restart:
    """Start another worker after `delay_s`, drawn from 0 to `delay_cap_s`."""

    delay_s: float
    delay_cap_s: float
    exits_in_window: int


@dataclass(frozen=True)
class GiveUp:
    """Too many exits within the window; or, if `were_boots`, too many boots in a row that were never ready."""

    exits: int
    window_s: float
    were_boots: bool = False


class Backoff:
    """Counts unexpected exits of workers. All times are seconds of one monotonic clock."""

    def __init__(
        self, *, base_s: float, limit: int, window_s: float, draw: Callable[[], float] = random.random
    ) -> None:
        self._base_s = base_s
        self._limit = limit  # of either count; 0 = never give up
        self._window_s = window_s
        self._draw = draw
        self._exits: deque[float] = deque()
        self._streak = 0  # exits since a worker was last ready for a whole window
        self._failed_boots = 0  # since a worker was last ready
        self._ready_since: float | None = None

    @classmethod
    def of(cls, settings: Settings) -> Backoff:
        """The policy of the settings."""
        return cls(base_s=settings.restart_backoff_s, limit=settings.max_restarts, window_s=settings.restart_window_s)

    def record_ready(self, now: float) -> None:
        """The worker is ready from now on."""
        self._ready_since = now
        self._failed_boots = 0

    def record_taken(self) -> None:
        """A standby became the worker. The next exit is that of another process."""
        self._ready_since = None

    def record_exit(self, now: float) -> Restart | GiveUp:
        """The worker ended unexpectedly."""
        if self._ready_since is not None and now - self._ready_since >= self._window_s:
            self._streak = 0
        self._failed_boots += self._ready_since is None
        self._ready_since = None
        self._streak += 1
        self._exits.append(now)
        while self._exits[0] <= now - self._window_s:
            self._exits.popleft()
        if self._limit and len(self._exits) >= self._limit:
            return GiveUp(len(self._exits), self._window_s)
        if self._limit and self._failed_boots >= self._limit:
            return GiveUp(self._failed_boots, self._window_s, were_boots=True)
        cap_s = self._cap_s()
        return Restart(cap_s * self._draw(), cap_s, len(self._exits))

    def _cap_s(self) -> float:
        if self._streak == 1:
            return 0.0
        return min(CAP_S, self._base_s * 2.0 ** min(self._streak - 2, MOST_DOUBLINGS))
