"""Binds the port once, for the life of the supervisor; workers come and go on the same sockets.

Clients that connect while a worker is replaced wait in the backlog and are never refused. A port
that somebody else has is named together with its owner; it is never taken, and we never move.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from dataclasses import dataclass

from lumen_proxy import platform
from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.net.proxies import is_local
from lumen_proxy.supervisor import port_owner

BACKLOG = 4096  # connections that may wait for a worker; Linux caps at net.core.somaxconn, 4096 since 5.4
PAIR_ATTEMPTS = 64  # port 0: a free port of 127.0.0.1 is nearly always free on ::1 too
PROBE_S = 0.5  # a loopback connect is answered at once or not at all
LOOPBACKS = ("127.0.0.1", "::1")


@dataclass(frozen=True)
class Listener:
    """Bound and listening sockets that share one port. `note` tells what is less than was asked for."""

    sockets: tuple[socket.socket, ...]
    hosts: tuple[str, ...]
    port: int
    note: str | None = None

    @property
    def url(self) -> str:
        """An address where this machine reaches us."""
        return url_of(self.hosts[0], self.port)

    def close(self) -> None:
        """Let go of the port as far as this process is concerned."""
        for sock in self.sockets:
            sock.close()


def url_of(host: str, port: int) -> str:
    """The address under which this machine reaches a listener on `host`."""
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - replaced
    return f"http://{_shown(here, port)}"


def refuse_unsafe(host: str, *, has_key: bool) -> None:
    """Raise Fatal (77) if anybody on the network could use us without a key."""
    if host == "localhost" or has_key or ipaddress.ip_address(host).is_loopback:
        return
    problem = f"refusing to listen on {host} without PROXY_API_KEY: the whole network could use it"
    raise Fatal(f"{problem}; set PROXY_API_KEY or use --host localhost", Exit.NO_PERMISSION)


def bind(host: str, port: int) -> Listener:
    """Listen on `localhost` (both loopbacks) or on one literal address; port 0 = any free one.

    Raises Fatal: 75 the port has an owner, 77 not permitted, 71 any other error of the system.
    """
    if host != "localhost":
        sock = _listen(host, port)
        return Listener((sock,), (host,), sock.getsockname()[1])
    for _ in range(PAIR_ATTEMPTS):
        try:
            return _bind_pair(port)
        except Fatal as conflict:
            if port or conflict.exit_status is not Exit.PORT_IN_USE:
                raise
    raise Fatal(f"no port is free on both {' and '.join(LOOPBACKS)}; choose one with --port", Exit.PORT_IN_USE)


def _bind_pair(port: int) -> Listener:
    first = _listen(LOOPBACKS[0], port)
    bound = first.getsockname()[1]
    try:
        if not _has_ipv6():
            note = "::1 is not available on this machine; listening on 127.0.0.1 alone"
            return Listener((first,), LOOPBACKS[:1], bound, note)
        return Listener((first, _listen(LOOPBACKS[1], bound)), LOOPBACKS, bound)
    except Fatal:
        first.close()
        raise


def _has_ipv6() -> bool:
    """True if ::1 can be bound here: on some machines the protocol is there but its loopback is not."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind((LOOPBACKS[1], 0))
    except OSError as error:
        return error.errno not in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT}
    return True


def _listen(host: str, port: int) -> socket.socket:
    try:
        sock = _bound(host, port)
    except OSError as error:
        raise _explained(error, host, port) from error
    try:
        if platform.wildcard_is_hidden() and answers(host, port):
            raise OSError(errno.EADDRINUSE, "a listener on all addresses answers there")  # noqa: TRY301
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise _explained(error, host, port) from error
    return sock


def _bound(host: str, port: int) -> socket.socket:
    """A socket that does not listen yet. Raises OSError; also without IPv6, or without a free descriptor."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        platform.set_exclusive(sock)
        if sock.family is socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


def is_taken(host: str, port: int) -> bool:
    """True if somebody holds host:port, so that `bind` would fail.

    A socket that is only bound is found on Linux alone: elsewhere the trial could make a start at the same moment fail.
    """
    return answers(host, port) or (platform.has_proc() and _is_bound(host, port))


def _is_bound(host: str, port: int) -> bool:
    try:
        _bound(host, port).close()
    except OSError as error:
        return platform.is_port_conflict(error)
    return False


def answers(host: str, port: int) -> bool:
    """True if somebody listens at host:port, even if its queue is full. Never true for a socket that is only bound."""
    try:
        with socket.create_connection((host, port), timeout=PROBE_S):
            return True
    except TimeoutError:
        # This machine refuses at once, so the queue of a listener is full. Windows takes two seconds to refuse.
        return not platform.is_windows() and is_local(host)
    except OSError:
        return False


def _explained(error: OSError, host: str, port: int) -> Fatal:
    where = f"cannot listen on {_shown(host, port)}"
    if platform.is_port_conflict(error):
        who = port_owner.describe(host, port)
        return Fatal(f"{where}: in use by {who}; stop it or choose another --port", Exit.PORT_IN_USE)
    if error.errno in {errno.EACCES, errno.EPERM}:
        return Fatal(f"{where}: permission denied; choose a --port above 1023", Exit.NO_PERMISSION)
    return Fatal(f"{where}: {error.strerror}; choose another --host or --port", Exit.OS)


def _shown(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
