"""Binds the port once for the life of the supervisor. All workers use the same sockets.

Clients that connect while a worker is replaced wait in the backlog and are not refused. If another process has the
port, the error names that process. The proxy neither ends that process nor moves to another port.
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
PROBE_S = 0.5  # a loopback connect succeeds or fails at once
LOOPBACKS = ("127.0.0.1", "::1")


@dataclass(frozen=True)
class Listener:
    """Bound and listening sockets that share one port. `note` says which requested address is missing."""

    sockets: tuple[socket.socket, ...]
    hosts: tuple[str, ...]
    port: int
    note: str | None = None

    @property
    def url(self) -> str:
        """The address of the proxy for clients on this machine."""
        return url_of(self.hosts[0], self.port)

    def close(self) -> None:
        """Close the sockets of this process; a worker has its own copies."""
        for sock in self.sockets:
            sock.close()


def url_of(host: str, port: int) -> str:
    """The address of a listener on `host` for clients on this machine."""
    local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - replaced
    return f"http://{_host_port(local, port)}"


def refuse_unsafe(host: str, *, has_key: bool) -> None:
    """Raise Fatal (77) if the network could use the proxy without a key."""
    if host == "localhost" or has_key or ipaddress.ip_address(host).is_loopback:
        return
    problem = f"cannot listen on {host} without PROXY_API_KEY: the whole network could use the proxy"
    raise Fatal(f"{problem}; set PROXY_API_KEY or use --host localhost", Exit.NO_PERMISSION)


def bind(host: str, port: int) -> Listener:
    """Listen on `localhost` (both loopbacks) or on one literal address; port 0 = any free one.

    Raises Fatal: 75 the port is in use, 77 not permitted, 71 any other system error.
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
    """True if ::1 can be bound: some machines have IPv6 but no IPv6 loopback."""
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
        raise _refusal(error, host, port) from error
    try:
        if platform.allows_bind_beside_wildcard() and answers(host, port):
            raise OSError(errno.EADDRINUSE, "another process listens on all addresses")  # noqa: TRY301
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise _refusal(error, host, port) from error
    return sock


def _bound(host: str, port: int) -> socket.socket:
    """A bound socket that does not listen yet. Raises OSError, also without IPv6 or without a free descriptor."""
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
    """True if a process has host:port, so that `bind` would fail.

    A socket that is bound but does not listen is found on Linux only: on other systems this check could make another
    start at the same time fail.
    """
    return answers(host, port) or (platform.has_proc() and _is_bound(host, port))


def _is_bound(host: str, port: int) -> bool:
    try:
        _bound(host, port).close()
    except OSError as error:
        return platform.is_port_conflict(error)
    return False


def answers(host: str, port: int) -> bool:
    """True if a process listens at host:port, even if its queue is full."""
    try:
        with socket.create_connection((host, port), timeout=PROBE_S):
            return True
    except TimeoutError:
        # Without a listener this machine refuses at once, so a queue is full. Windows takes two seconds to refuse.
        return not platform.is_windows() and is_local(host)
    except OSError:
        return False


def _refusal(error: OSError, host: str, port: int) -> Fatal:
    where = f"cannot listen on {_host_port(host, port)}"
    if platform.is_port_conflict(error):
        owner = port_owner.describe(host, port)
        return Fatal(f"{where}: in use by {owner}; stop it or choose another --port", Exit.PORT_IN_USE)
    if error.errno in {errno.EACCES, errno.EPERM}:
        return Fatal(f"{where}: permission denied; choose a --port above 1023", Exit.NO_PERMISSION)
    return Fatal(f"{where}: {error.strerror}; choose another --host or --port", Exit.OS)


def _host_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
