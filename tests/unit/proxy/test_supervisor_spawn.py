"""A worker process that the supervisor cannot watch, because a limit of threads is reached."""

from __future__ import annotations

import os
import sys
import threading

import psutil
import pytest

from lumen_proxy.supervisor.spawn import WorkerExit, WorkerMessage, WorkerProcess

WAITS = (sys.executable, "-c", "import sys; sys.stdin.read()")


@pytest.mark.parametrize("started", [0, 1], ids=["no-reader", "no-waiter"])
def test_a_process_that_no_thread_can_wait_for_is_not_started(monkeypatch: pytest.MonkeyPatch, started: int) -> None:
    """Without a free thread the start is an OSError, as without a free process: nothing is left of the process."""
    threads_left, start = [*range(started)], threading.Thread.start
    events: list[WorkerMessage | WorkerExit] = []

    def start_if_allowed(thread: threading.Thread) -> None:
        if not threads_left:
            raise RuntimeError("can't start new thread")
        threads_left.pop()
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_if_allowed)
    before = psutil.Process().children()
    with pytest.raises(OSError, match="no thread can be started"):
        WorkerProcess(WAITS, os.environ, (), events.append, lambda _: None)
    assert psutil.Process().children() == before
    assert events == []
