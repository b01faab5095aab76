"""Whether the worker that serves has hung. The caller passes the time; this module has no clock.

A sign of life is a heartbeat of the serving loop, or an answer to a self-probe. The supervisor looks once a tick:

    at a tick                                              verdict                               silent ticks
    -----------------------------------------------------  ------------------------------------  ------------
    the tick comes late, by more than its own length       ALIVE: skipped, the count starts again           0
    a sign of life since the last tick                     ALIVE                                            0
    no sign of life, for the first or second tick          SILENT: probe the worker                        +1
    none for the third tick or later, and it is starved    SILENT: probe the worker                        +1
    none for the third tick or later, and it is not        HUNG: replace the worker                        +1
    none for the twelfth tick                              HUNG: replace the worker                        12

A tick is a quarter of LUMEN_WATCHDOG_S: a hang begins within one tick, and three silent ones follow. A late tick means
that the supervisor itself did not run: it was suspended, the machine slept, or other processes had the processor.
Then nobody knows what the worker did meanwhile. A change of the wall clock has no effect.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

TICKS = 4  # in LUMEN_WATCHDOG_S: the one in which the hang begins, and those that are silent
SILENT_TICKS = TICKS - 1
STARVED_TICKS = 4 * SILENT_TICKS  # no thread is starved for so long: something is wrong, whatever it is


class Liveness(Enum):
    """What a tick says about the worker."""

    ALIVE = "alive"
    SILENT = "silent"
    HUNG = "hung"


class Watchdog:
    """Counts the silent ticks of one worker after the other. All times are seconds of one monotonic clock.

    `is_starved` says whether the serving loop lacks the processor or the interpreter, see `starvation`.
    """

    def __init__(self, watchdog_s: float, is_starved: Callable[[], bool] = lambda: False) -> None:
        self._is_starved = is_starved
        self.tick_s = watchdog_s / TICKS
        self._next_tick = 0.0
        self._silent_ticks = 0
        self._last_sign = 0.0
        self._has_sign = False

    def start(self, now: float) -> None:
        """A worker serves from now on."""
        self._silent_ticks = 0
        self.record_sign(now)
        self._next_tick = now + self.tick_s

    def record_sign(self, now: float) -> None:
        """The worker sent a heartbeat or answered a probe."""
        self._last_sign = now
        self._has_sign = True

    def tick(self, now: float) -> Liveness:
        """Judge the time since the last tick. The next tick follows after `tick_s`."""
        if now - self._next_tick > self.tick_s:
            self.start(now)
        self._silent_ticks = 0 if self._has_sign else self._silent_ticks + 1
        self._has_sign = False
        self._next_tick = now + self.tick_s
        if not self._silent_ticks:
            return Liveness.ALIVE
        if self._silent_ticks < SILENT_TICKS or (self._silent_ticks < STARVED_TICKS and self._is_starved()):
            return Liveness.SILENT
        return Liveness.HUNG

    def silent_s(self, now: float) -> float:
        """Seconds since the last sign of life."""
        return now - self._last_sign
