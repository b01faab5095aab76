"""Stop signals as events: the same on every system, and never inside somebody else's code.

Python's own handlers run in the main thread between two of its steps, which on Windows never comes
while it waits. The interpreter's wake-up descriptor is written at once everywhere.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING

from lumen_proxy import platform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TOGETHER_S = 0.02  # one Ctrl-C may come twice at once: from the terminal and from a wrapper such as timeout(1)


@contextlib.contextmanager
def watched(post: Callable[[signal.Signals], None]) -> Iterator[None]:
    """Call `post` from a thread for each stop signal until the end of the block. Main thread only.

    Afterwards they are ignored: the process is about to end by itself, with a status of its own.
    """
    ours, theirs = socket.socketpair()
    theirs.settimeout(0)  # a full pipe must not stop the interpreter
    names = platform.stop_signals()
    for name in names:
        signal.signal(name, lambda *_: None)
    fd_before = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_relay, args=(ours, frozenset(names), post), daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(fd_before)
        for name in names:
            signal.signal(name, signal.SIG_IGN)
        theirs.close()


def _relay(pipe: socket.socket, names: frozenset[signal.Signals], post: Callable[[signal.Signals], None]) -> None:
    last = float("-inf")
    with pipe:
        while numbers := pipe.recv(1):
            now = time.monotonic()
            if numbers[0] in names and now - last > TOGETHER_S:
                post(signal.Signals(numbers[0]))
                last = now
