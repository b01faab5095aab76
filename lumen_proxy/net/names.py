"""Name resolution with a deadline. Addresses are kept for a short time; those that failed are tried last."""

from __future__ import annotations

import ipaddress
import socket
import threading
from functools import partial
from itertools import chain, zip_longest
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from lumen_proxy import threads
from lumen_proxy.net.failure import ConnectFailed
from lumen_proxy.net.time_limits import LOOKUP_S

if TYPE_CHECKING:
    from collections.abc import Iterable
    from concurrent.futures import Future

    from lumen_proxy.net.time_limits import TimeLimits

FRESH_S = 30.0  # getaddrinfo() returns no TTL; cloud services use 30 to 300 s
FAILED_S = 300.0  # an address that failed is tried last for this time
NO_NAMESERVER = {getattr(socket, name, None) for name in ("EAI_AGAIN", "EAI_FAIL")}


class Address(NamedTuple):
    """An address that a socket can connect to."""

    family: int
    sockaddr: tuple[object, ...]

    @property
    def host(self) -> str:
        """The literal address."""
        return str(self.sockaddr[0])


class _Found(NamedTuple):
    """The result of a look-up; `at` is monotonic."""

    addresses: list[Address]
    at: float


def look_up(host: str, port: int, flags: int = 0) -> list[Address]:
    """All TCP addresses of a name, in the order of the system (RFC 6724)."""
    entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return list(dict.fromkeys(Address(family, sockaddr) for family, _, _, _, sockaddr in entries))


def _find(host: str, port: int) -> _Found:
    return _Found(look_up(host, port), monotonic())


class Name:
    """The addresses of one host and port. All threads that need them share one look-up."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self._lock = threading.Lock()
        self._lookup: Future[_Found] | None = None
        self._failed: dict[Address, float] = {}
        self._literal = look_up(host, port, socket.AI_NUMERICHOST) if is_literal(host) else []

    def addresses(self, limits: TimeLimits) -> list[Address]:
        """The addresses in the order to try them. Raises ConnectFailed."""
        if self._literal:
            return self._literal
        lookup = self._shared_lookup()
        until = limits.lookup_until()
        began = monotonic()
        if not limits.wait_for(lookup, until):
            raise _too_late(self.host, until - began, at_deadline=limits.is_deadline(until))
        return self._ordered(_addresses(self.host, lookup))

    def _shared_lookup(self) -> Future[_Found]:
        """The look-up in progress, or a new one; in a thread, since getaddrinfo() has no time-out."""
        with self._lock:
            if self._lookup is None or not _is_usable(self._lookup):
                try:
                    self._lookup = threads.start(partial(_find, self.host, self.port), "getaddrinfo")
                except RuntimeError as error:  # no thread can be started
                    raise _lookup_failed(self.host, error) from None
            return self._lookup

    def forget(self) -> None:
        """Look the name up again next time: none of its addresses accepted a connection."""
        with self._lock:
            if self._lookup and self._lookup.done():
                self._lookup = None

    def failed(self, addresses: Iterable[Address]) -> None:
        """Try these addresses last for a while."""
        now = monotonic()
        with self._lock:
            recent = {address: at for address, at in self._failed.items() if now - at < FAILED_S}
            self._failed = recent | dict.fromkeys(addresses, now)

    def _ordered(self, addresses: list[Address]) -> list[Address]:
        """Alternate the families, beginning with that of the first address (RFC 8305, 4); failed addresses are last."""
        with self._lock:
            failed = {address for address, at in self._failed.items() if monotonic() - at < FAILED_S}
        first = addresses[0].family
        same = [address for address in addresses if address.family == first]
        other = [address for address in addresses if address.family != first]
        mixed = [address for address in chain(*zip_longest(same, other)) if address]
        return sorted(mixed, key=failed.__contains__)


def _is_usable(lookup: Future[_Found]) -> bool:
    """Whether it is in progress, or has found addresses a short time ago."""
    if not lookup.done():
        return True
    if lookup.exception():
        return False
    found = lookup.result()
    return bool(found.addresses) and monotonic() - found.at < FRESH_S


def _addresses(host: str, lookup: Future[_Found]) -> list[Address]:
    """The addresses of a look-up that has ended. Raises ConnectFailed."""
    error = lookup.exception()
    if isinstance(error, socket.gaierror) and error.errno in NO_NAMESERVER:
        text = f"the look-up of the host name {host!r} failed: no nameserver could answer"
        raise ConnectFailed("dns_failure", text, "check this machine's nameservers")
    if error and not isinstance(error, (socket.gaierror, UnicodeError)):
        raise _lookup_failed(host, error)
    if error or not lookup.result().addresses:
        raise ConnectFailed("unknown_host", f"the host name {host!r} is unknown")
    return lookup.result().addresses


def _lookup_failed(host: str, error: BaseException) -> ConnectFailed:
    """The failure if this machine lacks threads, descriptors or memory."""
    why = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return ConnectFailed("dns_failure", f"the look-up of the host name {host!r} failed: {why}")


def _too_late(host: str, within_s: float, *, at_deadline: bool) -> ConnectFailed:
    longer = "raise LUMEN_TIMEOUT_S" if at_deadline else f"set LUMEN_CONNECT_TIMEOUT_S above {LOOKUP_S:g}"
    remedy = f"check this machine's nameservers; if they are slow, {longer}"
    text = f"the look-up of the host name {host!r} timed out (no answer within {within_s:.3g} s)"
    return ConnectFailed("dns_timeout", text, remedy)


def is_literal(host: str) -> bool:
    """Whether a host is an IP address, not a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
