"""The signals that the suite sends to processes, with their times: the timeline of a stage shows them.

A process runs one stage at a time. A stage may send signals from several threads.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

_RECORDERS: Final[list[Callable[[SentSignal], object]]] = []  # of the stage that runs


@dataclass(frozen=True)
class SentSignal:
    """One signal to one process.

    Both times are on the clock of ``time.monotonic()``. The begin of the process may be wrong by a second: the system
    counts it from a boot time in whole seconds.
    """

    name: str
    pid: int
    sent_mono_s: float
    began_mono_s: float


@contextlib.contextmanager
def record_signals(recorder: Callable[[SentSignal], object]) -> Iterator[None]:
    """Call a function with each signal that is sent until the end of the block."""
    _RECORDERS.append(recorder)
    try:
        yield
    finally:
        _RECORDERS.pop()


def note_signal(name: str, pid: int, start_time: float) -> None:
    """Record a signal just before it is sent to a process that began at this time (seconds since the epoch)."""
    now_s = time.monotonic()
    for recorder in _RECORDERS:
        recorder(SentSignal(name, pid, now_s, now_s - (time.time() - start_time)))
