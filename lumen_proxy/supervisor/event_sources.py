"""Threads that post events to the supervisor's loop: one for stop signals, one for regular checkups."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING

from lumen_proxy import platform
from lumen_proxy.supervisor.states import Checkup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHECKUP_S = 60.0  # deleted files are restored within this time; one wake-up a minute costs nothing
REPEAT_S = 0.02  # one Ctrl-C may arrive twice: from the terminal and from a wrapper such as timeout(1)


@contextlib.contextmanager
def stop_signals(post: Callable[[signal.Signals], None]) -> Iterator[None]:
    """Call `post` from a thread for each stop signal until the end of the block. Main thread only.

    Python runs its own signal handlers in the main thread between two steps, and on Windows not while that thread
    waits. The interpreter writes to its wake-up descriptor at once on every system. After the block stop signals are
    ignored: the process is about to end with an exit status of its own.
    """
    readable, writable = socket.socketpair()
    writable.settimeout(0)  # a full pipe must not stop the interpreter
    signals = platform.stop_signals()
    for number in signals:
        signal.signal(number, lambda *_: None)
    fd_before = signal.set_wakeup_fd(writable.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_relay, args=(readable, frozenset(signals), post), daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(fd_before)
        for number in signals:
            signal.signal(number, signal.SIG_IGN)
        writable.close()


def _relay(pipe: socket.socket, signals: frozenset[signal.Signals], post: Callable[[signal.Signals], None]) -> None:
    last = float("-inf")
    with pipe:
        while received := pipe.recv(1):
            now = time.monotonic()
            if received[0] in signals and now - last > REPEAT_S:
                post(signal.Signals(received[0]))
                last = now


@contextlib.contextmanager
def checkups(post: Callable[[Checkup], None]) -> Iterator[None]:
    """Post a checkup every CHECKUP_S from a thread until the end of the block."""
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(CHECKUP_S):
            post(Checkup())

    threading.Thread(target=run, daemon=True).start()
    try:
        yield
    finally:
        ended.set()
