"""Threads that accept connections in turn."""

import queue
import threading
from collections.abc import Callable
from functools import partial

import pytest

from lumen_conformance.gateway.acceptors import Acceptors

WITHIN_S = 10.0  # for what takes milliseconds, on a busy machine a few hundred


class ServedConnections:
    """Acceptors with one function for each connection; `served` has the thread of each served connection."""

    def __init__(self) -> None:
        self.waiting: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self.served: queue.SimpleQueue[threading.Thread] = queue.SimpleQueue()
        self.acceptors = Acceptors(self._accept)

    def _accept(self) -> Callable[[], None] | None:
        serve = self.waiting.get()
        if serve is None:
            self.waiting.put(None)  # for the next thread
            return None
        return partial(self._serve, serve)

    def _serve(self, serve: Callable[[], object]) -> None:
        serve()
        self.served.put(threading.current_thread())

    def end(self, within_s: float = WITHIN_S) -> None:
        """Accept no more connections."""
        self.waiting.put(None)
        self.acceptors.wait_idle(within_s)
        self.acceptors.join(within_s)


def test_one_after_another_shares_threads() -> None:
    """Connections that do not overlap are served by a few threads."""
    stage = ServedConnections()
    threads = set()
    for _ in range(30):
        stage.waiting.put(lambda: None)
        threads.add(stage.served.get(timeout=WITHIN_S))
    stage.end()
    assert len(threads) < 10  # two, and one more whenever the last has served but does not wait yet


def test_each_at_the_same_time_has_a_thread() -> None:
    """A connection that lasts does not delay another."""
    stage, barrier = ServedConnections(), threading.Barrier(5)
    for _ in range(5):
        stage.waiting.put(lambda: barrier.wait(WITHIN_S))
    threads = {stage.served.get(timeout=WITHIN_S) for _ in range(5)}
    stage.end()
    assert len(threads) == 5


def test_a_connection_that_does_not_end_is_reported() -> None:
    """A wait for a connection that does not end stops at its limit, with an error."""
    stage, gate = ServedConnections(), threading.Event()
    stage.waiting.put(lambda: gate.wait(WITHIN_S))
    with pytest.raises(RuntimeError, match=r"a connection did not end within 0\.05 s"):
        stage.end(0.05)
    gate.set()
    stage.acceptors.join(WITHIN_S)
