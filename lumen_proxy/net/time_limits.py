"""How long reaching an address may take, and whether anybody still waits for it."""

from __future__ import annotations

import errno
import os
import selectors
from time import monotonic
from typing import TYPE_CHECKING

from lumen_proxy.net.failure import ConnectFailed

if TYPE_CHECKING:
    import socket
    import threading
    from collections.abc import Callable

    from lumen_proxy.net.failure import Kind

LOOKUP_S = 12.0  # two dead nameservers, to each of which glibc gives 5 s (resolv.conf(5)), and a good third one
CONNECT_S = 3.0  # the default of LUMEN_CONNECT_TIMEOUT_S
TICK_S = 0.05  # an abort from another thread is noticed within this


class TimeLimits:
    """Times of one attempt: `within_s` for everything, `connect_s` of it for what follows the name look-up.

    The name look-up has a limit of its own: no setting of this program shortens the time-outs of the system's resolver.
    """

    def __init__(self, within_s: float, connect_s: float) -> None:
        self._deadline = monotonic() + within_s
        self._aborted = False
        self.connect_s = connect_s

    def abort(self) -> None:
        """End the attempt, from any thread."""
        self._aborted = True

    def until(self, within_s: float) -> float:
        """The monotonic time at which a step of at most `within_s` ends."""
        return min(monotonic() + within_s, self._deadline)

    def is_deadline(self, until: float) -> bool:
        """Whether a step that ends at `until` ends with everything else."""
        return until >= self._deadline

    def lookup_until(self) -> float:
        """When a name look-up ends."""
        return self.until(max(LOOKUP_S, self.connect_s))

    def wait_for(self, done: threading.Event, until: float) -> bool:
        """Wait for an event of another thread. False: too late. Raises ConnectFailed if aborted."""
        while not done.wait(self.pause(until)):
            if monotonic() >= until:
                return False
        return True

    def pause(self, until: float) -> float:
        """Seconds to wait before looking again. Raises ConnectFailed if aborted."""
        if self._aborted:
            raise ConnectFailed("aborted", "nobody waits for the connection any more")
        return max(min(TICK_S, until - monotonic()), 0.0)

    def ready(self, sock: socket.socket, event: int, until: float, too_late: Callable[[], ConnectFailed]) -> None:
        """Wait until a non-blocking socket can be read or written. Raises ConnectFailed."""
        with new_selector() as selector:
            selector.register(sock, event)
            while not selector.select(self.pause(until)):
                if monotonic() >= until:
                    raise too_late()


def new_selector() -> selectors.BaseSelector:
    """To wait for sockets. Raises ConnectFailed, for instance without a free descriptor."""
    try:
        return selectors.DefaultSelector()
    except OSError as error:
        raise no_connection(error.errno) from None


def no_connection(code: int | None) -> ConnectFailed:
    """The failure that an error number of the system means."""
    return ConnectFailed("no_route", f"no connection could be made: {os.strerror(code or errno.EIO)}")


def connect_timeout(what: str, limits: TimeLimits) -> Callable[[], ConnectFailed]:
    """The failure of a step that did not end in time, naming the setting."""
    kind: Kind = "connect_timeout"
    text = f"{what} in time (LUMEN_CONNECT_TIMEOUT_S={limits.connect_s:g})"
    return lambda: ConnectFailed(kind, text, "raise LUMEN_CONNECT_TIMEOUT_S if the network is slow")
