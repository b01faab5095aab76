"""The events of the loop, and the wait for the next one."""

from __future__ import annotations

import queue
import signal
import time
from typing import TYPE_CHECKING

from lumen_proxy.supervisor.offer import Commit, Left, TakeOver
from lumen_proxy.supervisor.predecessor import Cancelled
from lumen_proxy.supervisor.spawn import WorkerExit, WorkerMessage
from lumen_proxy.supervisor.states import Checkup, StandbyTimeout, Timeout

if TYPE_CHECKING:
    from collections.abc import Mapping

HandoverEvent = TakeOver | Commit | Left | Cancelled
Event = WorkerMessage | WorkerExit | signal.Signals | Timeout | StandbyTimeout | Checkup | HandoverEvent


def next_event(events: queue.SimpleQueue[Event], deadlines: Mapping[Event, float | None]) -> Event:
    """Return the next event of the queue; if none comes before the earliest deadline, its timeout.

    `deadlines` has the monotonic time of each timeout; None = never.
    """
    due = {timeout: at for timeout, at in deadlines.items() if at is not None}
    if not due:
        return events.get()
    first = min(due, key=due.__getitem__)
    try:
        return events.get(timeout=max(0.0, due[first] - time.monotonic()))
    except queue.Empty:
        return first
