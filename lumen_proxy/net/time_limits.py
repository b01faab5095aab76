"""The limits of one attempt to reach an address, and its end from another thread."""

from __future__ import annotations

import selectors
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

from lumen_proxy import threads
from lumen_proxy.net.failure import ConnectFailed, no_connection

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from concurrent.futures import Future

T = TypeVar("T")

LOOKUP_S = 12.0  # two nameservers that do not answer, 5 s each in glibc (resolv.conf(5)), and a third that does
CONNECT_S = 3.0  # the default of LUMEN_CONNECT_TIMEOUT_S
TICK_S = 0.05  # longest time to notice `abort`


class TimeLimits:
    """`within_s` limits the attempt, `connect_s` the part after the name look-up.

    The look-up has its own limit, since no setting of this program shortens the time-outs of the system's resolver.
    """

    def __init__(self, within_s: float, connect_s: float) -> None:
        self._deadline = monotonic() + within_s
        self._aborted = False
        self.connect_s = connect_s

    def abort(self) -> None:
        """End the attempt from any thread."""
        self._aborted = True

    def until(self, within_s: float) -> float:
        """The end of a step of at most `within_s`; monotonic."""
        return min(monotonic() + within_s, self._deadline)

    def is_deadline(self, until: float) -> bool:
        """Whether the end of a step is the deadline of the attempt."""
        return until >= self._deadline

    def lookup_until(self) -> float:
        """The end of a name look-up; monotonic."""
        return self.until(max(LOOKUP_S, self.connect_s))

    def wait_for(self, future: Future[T], until: float) -> bool:
        """Wait for a function in another thread; False if it is too late. Raises ConnectFailed if aborted."""
        while not threads.is_done(future, self.pause(until)):
            if monotonic() >= until:
                return False
        return True

    def pause(self, until: float) -> float:
        """Seconds to wait before the next check. Raises ConnectFailed if aborted."""
        if self._aborted:
            raise ConnectFailed("aborted", "the connection is no longer needed")
        return max(min(TICK_S, until - monotonic()), 0.0)

    def ready(self, sock: socket.socket, event: int, until: float, too_late: Callable[[], ConnectFailed]) -> None:
        """Wait for `event` on a non-blocking socket. Raises ConnectFailed, that of `too_late` at `until`."""
        with new_selector() as selector:
            selector.register(sock, event)
            while not selector.select(self.pause(until)):
                if monotonic() >= until:
                    raise too_late()


def new_selector() -> selectors.BaseSelector:
    """A selector. Raises ConnectFailed, for example without a free descriptor."""
    try:
        return selectors.DefaultSelector()
    except OSError as error:
        raise no_connection(error.errno) from None
