"""Whether a silent thread runs too seldom, for lack of the processor or of the interpreter: Linux, by /proc.

A stuck thread does one of three things: it uses processor time, it does not run at all, or the kernel has stopped it. A
thread that runs again and again, for moments only, is not stuck: other threads have the interpreter, or other processes
the processor. Source: Documentation/scheduler/sched-stats.rst of Linux, /proc/<pid>/schedstat.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from lumen_proxy import platform

SPIN_SHARE = 0.04  # of the time on a processor: a thread that waits for the interpreter uses 0.013, one that spins
# beside 20 other busy threads on two cores 0.1
SPIN_S = 0.02  # at least: between two heartbeats a loop that works uses a few milliseconds
RUNS = 3  # a stuck thread may have run once or twice since the first look, on its way there
NANOSECOND = 1e-9


class ThreadRuns(NamedTuple):
    """The processor time of a thread until `at_s` (monotonic), and how often it was on a processor."""

    at_s: float
    processor_s: float
    runs: int


def read_main_thread(pid: int, root: Path = Path("/proc")) -> ThreadRuns | None:
    """The main thread of a process; None if the system does not show it."""
    if not platform.has_proc():
        return None
    try:
        used_ns, _waited_ns, runs = (root / str(pid) / "task" / str(pid) / "schedstat").read_text("ascii").split()
        return ThreadRuns(time.monotonic(), int(used_ns) * NANOSECOND, int(runs))
    except (OSError, ValueError):
        return None


def is_starved(before: ThreadRuns | None, after: ThreadRuns | None) -> bool:
    """Whether the thread has run between the two, again and again, for moments only. False if that is not known."""
    if before is None or after is None:
        return False
    spin_s = max(SPIN_SHARE * (after.at_s - before.at_s), SPIN_S)
    return after.runs - before.runs >= RUNS and after.processor_s - before.processor_s < spin_s
