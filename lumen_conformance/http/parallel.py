"""Whether an exchange ran alone: only then is it known whose request another server received meanwhile."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from lumen_conformance.http.capture import Capture

_ALONE: Final = "ran alone"


@dataclass(eq=False)
class RunningExchange:
    """An exchange that has not ended; ``alone`` is false as soon as another one runs."""

    alone: bool = True


_LOCK: Final = threading.Lock()
_RUNNING: Final[set[RunningExchange]] = set()


@contextlib.contextmanager
def running() -> Iterator[RunningExchange]:
    """An exchange that runs until the end of the block."""
    own = RunningExchange()
    with _LOCK:
        _RUNNING.add(own)
        if len(_RUNNING) > 1:
            for each in _RUNNING:
                each.alone = False
    try:
        yield own
    finally:
        with _LOCK:
            _RUNNING.discard(own)


def note_alone(capture: Capture, *, alone: bool) -> Capture:
    """Keep with an exchange whether it ran alone; return it."""
    capture.derived[_ALONE] = alone
    return capture


def ran_alone(capture: Capture) -> bool:
    """Return whether it is known that no other exchange ran at the same time."""
    return bool(capture.derived.get(_ALONE))
