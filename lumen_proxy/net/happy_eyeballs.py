"""Happy Eyeballs (RFC 8305, 5): a new attempt each 250 ms, or at once after a refusal; the first connection is used.

The sockets are non-blocking, in the thread of the caller. Nothing is written on them.
"""

from __future__ import annotations

import errno
import selectors
import socket
from collections import deque
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Self

from lumen_proxy.net.failure import ConnectFailed, connect_timeout, no_connection
from lumen_proxy.net.time_limits import new_selector

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lumen_proxy.net.names import Address
    from lumen_proxy.net.time_limits import TimeLimits

ATTEMPT_DELAY_S = 0.25  # RFC 8305, 5: the recommended Connection Attempt Delay
IN_PROGRESS = {errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EAGAIN}


class Race:
    """Attempts to connect to some addresses. `errors` has the error numbers of those that failed."""

    def __init__(self, addresses: Sequence[Address], delay_s: float = ATTEMPT_DELAY_S) -> None:
        self.errors: dict[Address, int] = {}
        self._waiting = deque(addresses)
        self._delay_s = delay_s
        self._next_at = 0.0
        self._selector = new_selector()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for key in tuple(self._selector.get_map().values()):
            self._drop(key)
        self._selector.close()

    @property
    def pending(self) -> list[Address]:
        """The addresses that have neither accepted nor refused."""
        return [key.data for key in self._selector.get_map().values()]

    def winners(self, limits: TimeLimits, until: float) -> Iterator[tuple[socket.socket, Address]]:
        """Yield each connection made before `until`, non-blocking; the caller closes it."""
        while self._waiting or self.pending:
            now = monotonic()
            if now >= until:
                return
            if self._waiting and (now >= self._next_at or not self.pending):
                if connected := self._start(self._waiting.popleft()):
                    yield connected
                continue
            wake_at = min(until, self._next_at) if self._waiting else until
            for key, _ in self._selector.select(limits.pause(wake_at)):
                if connected := self._finish(key):
                    yield connected

    def _start(self, address: Address) -> tuple[socket.socket, Address] | None:
        self._next_at = monotonic() + self._delay_s
        try:
            sock = socket.socket(address.family, socket.SOCK_STREAM)
        except OSError as error:
            self._lost(address, error.errno)
            return None
        try:
            sock.settimeout(0)
            code = sock.connect_ex(address.sockaddr)
        except OSError as error:  # a name in the address, or an audit hook
            code = error.errno or errno.EIO
        if code not in IN_PROGRESS:
            return self._outcome(sock, address, code)
        try:
            self._selector.register(sock, selectors.EVENT_WRITE, address)
        except OSError as error:  # too many sockets for the system
            return self._outcome(sock, address, error.errno or errno.EIO)
        return None

    def _finish(self, key: selectors.SelectorKey) -> tuple[socket.socket, Address] | None:
        sock: socket.socket = key.fileobj  # type: ignore[assignment]
        self._selector.unregister(sock)
        try:
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        except OSError as error:
            code = error.errno or errno.EIO
        return self._outcome(sock, key.data, code)

    def _outcome(self, sock: socket.socket, address: Address, code: int) -> tuple[socket.socket, Address] | None:
        if code:
            sock.close()
            self._lost(address, code)
            return None
        return sock, address

    def _lost(self, address: Address, code: int | None) -> None:
        self.errors[address] = code or errno.EIO
        self._next_at = 0.0

    def _drop(self, key: selectors.SelectorKey) -> None:
        self._selector.unregister(key.fileobj)
        key.fileobj.close()  # type: ignore[union-attr]


def connect(addresses: Sequence[Address], limits: TimeLimits, until: float) -> tuple[socket.socket, list[Address]]:
    """The first connection, non-blocking, and the addresses that failed before it. Raises ConnectFailed."""
    with Race(addresses) as race:
        for sock, _ in race.winners(limits, until):
            with suppress(OSError):  # macOS refuses it after a reset; the first write then fails
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # requests go out in one write
            return sock, [*race.errors, *race.pending]
        raise _failure(race, limits)


def _failure(race: Race, limits: TimeLimits) -> ConnectFailed:
    codes = set(race.errors.values())
    if not codes and not race.pending:
        text = "no time was left to connect: the look-up of the host name used up the deadline (LUMEN_TIMEOUT_S)"
        return ConnectFailed("dns_timeout", text, "check this machine's nameservers, or raise LUMEN_TIMEOUT_S")
    if race.pending or errno.ETIMEDOUT in codes:
        return connect_timeout("no connection was accepted", limits.connect_s)
    if errno.ECONNREFUSED in codes:
        return ConnectFailed("refused", "the connection was refused: nothing listens there")
    return no_connection(min(codes))
