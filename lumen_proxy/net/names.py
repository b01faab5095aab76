"""Name resolution with a deadline, the addresses kept for a short time, those that failed tried last."""

from __future__ import annotations

import ipaddress
import socket
import threading
from itertools import chain, zip_longest
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from lumen_proxy.net.failure import ConnectFailed
from lumen_proxy.net.time_limits import LOOKUP_S

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lumen_proxy.net.time_limits import TimeLimits

FRESH_S = 30.0  # getaddrinfo tells no TTL; cloud services use 30 to 300 s
FAILED_S = 300.0  # an address that failed is tried last for this long
NO_ANSWER = {getattr(socket, name, None) for name in ("EAI_AGAIN", "EAI_FAIL")}


class Address(NamedTuple):
    """Where a socket can connect to."""

    family: int
    sockaddr: tuple[object, ...]

    @property
    def host(self) -> str:
        """The literal address."""
        return str(self.sockaddr[0])


class _Lookup(threading.Thread):
    """One call of getaddrinfo, which has no time-out and cannot be aborted: whoever waits may leave before `done`."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(name="getaddrinfo", daemon=True)
        self.done = threading.Event()
        self.at = 0.0
        self._target = (host, port)
        self._found: list[Address] = []
        self._error: Exception | None = None

    def run(self) -> None:
        try:
            self._found = look_up(*self._target)
        except Exception as error:  # noqa: BLE001 - told by `result` in the threads that wait
            self._error = error
        finally:
            self.at = monotonic()
            self.done.set()

    def result(self) -> list[Address]:
        """The addresses. Raises ConnectFailed."""
        host = self._target[0]
        if isinstance(self._error, socket.gaierror) and self._error.errno in NO_ANSWER:
            text = f"the look-up of the host name {host!r} failed: no nameserver could answer"
            raise ConnectFailed("dns_failure", text, "check this machine's nameservers")
        if self._error and not isinstance(self._error, (socket.gaierror, UnicodeError)):
            raise _not_looked_up(host, self._error)
        if self._error or not self._found:
            raise ConnectFailed("unknown_host", f"the host name {host!r} is unknown")
        return self._found

    def is_usable(self) -> bool:
        """Still running, or has found addresses a short time ago."""
        return not self.done.is_set() or (bool(self._found) and monotonic() - self.at < FRESH_S)


def look_up(host: str, port: int, flags: int = 0) -> list[Address]:
    """All TCP addresses of a name, in the order of the system (RFC 6724)."""
    entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return list(dict.fromkeys(Address(family, sockaddr) for family, _, _, _, sockaddr in entries))


def _not_looked_up(host: str, error: Exception) -> ConnectFailed:
    """This machine could not do it: a lack of threads, descriptors or memory."""
    why = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return ConnectFailed("dns_failure", f"the look-up of the host name {host!r} failed: {why}")


def _too_late(host: str, within_s: float, *, at_deadline: bool) -> ConnectFailed:
    longer = "raise LUMEN_TIMEOUT_S" if at_deadline else f"set LUMEN_CONNECT_TIMEOUT_S above {LOOKUP_S:g}"
    remedy = f"check this machine's nameservers; if they are slow, {longer}"
    return ConnectFailed(
        "dns_timeout", f"the look-up of the host name {host!r} timed out (no answer within {within_s:.3g} s)", remedy
    )


class Name:
    """The addresses of one host and port. Look-ups are shared by all threads that wait for one."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self._lock = threading.Lock()
        self._lookup: _Lookup | None = None
        self._failed: dict[Address, float] = {}
        self._literal = look_up(host, port, socket.AI_NUMERICHOST) if is_literal(host) else []

    def addresses(self, limits: TimeLimits) -> list[Address]:
        """In the order in which they are tried. Raises ConnectFailed."""
        if self._literal:
            return self._literal
        lookup = self._shared_lookup()
        until = limits.lookup_until()
        began = monotonic()
        if not limits.wait_for(lookup.done, until):
            raise _too_late(self.host, until - began, at_deadline=limits.is_deadline(until))
        return self._ordered(lookup.result())

    def _shared_lookup(self) -> _Lookup:
        with self._lock:
            if self._lookup is None or not self._lookup.is_usable():
                self._lookup = self._started()
            return self._lookup

    def _started(self) -> _Lookup:
        lookup = _Lookup(self.host, self.port)
        try:
            lookup.start()
        except RuntimeError as error:  # no thread can be started
            raise _not_looked_up(self.host, error) from None
        return lookup

    def forget(self) -> None:
        """Look the name up again next time: none of its addresses accepted a connection."""
        with self._lock:
            if self._lookup and self._lookup.done.is_set():
                self._lookup = None

    def failed(self, addresses: Iterable[Address]) -> None:
        """Try these last for a while."""
        now = monotonic()
        with self._lock:
            recent = {address: at for address, at in self._failed.items() if now - at < FAILED_S}
            self._failed = recent | dict.fromkeys(addresses, now)

    def _ordered(self, addresses: list[Address]) -> list[Address]:
        """Families in turn, beginning with that of the first address (RFC 8305, 4); failed ones last."""
        with self._lock:
            failed = {address for address, at in self._failed.items() if monotonic() - at < FAILED_S}
        first = addresses[0].family
        same = [address for address in addresses if address.family == first]
        other = [address for address in addresses if address.family != first]
        mixed = [address for address in chain(*zip_longest(same, other)) if address]
        return sorted(mixed, key=failed.__contains__)


def is_literal(host: str) -> bool:
    """Whether a host is an IP address, not a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
