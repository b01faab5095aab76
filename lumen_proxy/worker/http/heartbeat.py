"""The heartbeat of the serving loop. No other thread sends one: it would also run while the loop is stuck."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Heartbeat:
    """Calls `send` every `period_s`, if the loop runs.

    The loop calls `send_if_due` in each turn and before it reads or writes a connection: a turn with many connections
    takes long when other threads compute, since the loop waits for the interpreter after each system call.
    """

    def __init__(self, period_s: float, send: Callable[[], None]) -> None:
        self._period_s = period_s
        self._send = send
        self._due = 0.0  # monotonic

    def remaining_s(self) -> float:
        """Seconds until the next one is due."""
        return max(self._due - monotonic(), 0.0)

    def send_if_due(self) -> None:
        """Send one, unless the last one was sent less than a period ago."""
        now = monotonic()
        if now >= self._due:
            self._due = now + self._period_s
            self._send()
