"""Which process listens on a port, as text for a message. No decision is based on it.

On Linux the tables of proc_net(5) and proc_pid_fd(5) are read directly. psutil parses every line of them, and there is
one for each connection of the last minute: with 17,000 of them psutil takes 0.13 s of CPU time, this module 0.04 s.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lumen_proxy import platform
from lumen_proxy.console import streams
from lumen_proxy.supervisor import process_identity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

WILDCARDS = {"0.0.0.0", "::"}  # noqa: S104 - compared, not bound
PROC = Path("/proc")
LISTEN = b"0A"  # TCP_LISTEN of net/tcp_states.h
LOCAL, STATE, INODE = 1, 3, 9  # columns of /proc/net/tcp
WORD_BYTES = 4  # of an address: the kernel writes each of these in the byte order of the machine


def describe(address: str, port: int, system: str = platform.SYSTEM) -> str:
    """The owner of address:port, such as `python3 (pid 4242)`, or why it is not known; another user is named."""
    import psutil  # noqa: PLC0415 - only a conflict needs it

    found = list(_listening_pids([address], port, system))
    pids = sorted(pid for pid in found if pid)
    if not pids:
        return "a process that listens, owner not visible to this user" if found else "a process that does not listen"
    try:
        owner = _oldest_holder(psutil.Process(pids[0]), address, port, system, pids)
        return (
            f"{streams.replace_unprintable(owner.name())} (pid {owner.pid}){process_identity.of_other_user(owner.pid)}"
        )
    except psutil.Error:
        return f"a process (pid {pids[0]})"


def find_with_ancestors(addresses: Iterable[str], port: int, system: str = platform.SYSTEM) -> list[int]:
    """The processes that listen on the port of one of the addresses, and their ancestors, as far as visible."""
    import psutil  # noqa: PLC0415 - only a lost lock file needs it

    found: dict[int, None] = {}
    for pid in find_holders(addresses, port, system):
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            found |= dict.fromkeys(one.pid for one in (process, *process.parents()))
    return list(found)


def find_holders(addresses: Iterable[str], port: int, system: str = platform.SYSTEM) -> list[int]:
    """The processes that listen on the port of one of the addresses, as far as visible."""
    return sorted({pid for pid in _listening_pids(list(addresses), port, system) if pid})


def _listening_pids(addresses: Sequence[str], port: int, system: str) -> Iterator[int | None]:
    """The PID of each listening socket; None where the system hides it."""
    import psutil  # noqa: PLC0415

    if platform.has_proc(system):
        with contextlib.suppress(OSError):  # the tables are hidden: psutil reports that in its own way
            table = listening_sockets(port)
            inodes = {inode for ip, inode in table if any(_is_at(ip, address) for address in addresses)}
            yield from (pid for inode in inodes for pid in socket_holders(inode) or (None,))
            return
    try:
        connections = psutil.net_connections("tcp")
        yield from (c.pid for c in connections if any(_matches(c, address, port) for address in addresses))
    except psutil.AccessDenied:  # macOS shows the whole table to root only
        for process in psutil.process_iter():
            if any(_listens(process, address, port) for address in addresses):
                yield process.pid


def _matches(connection: Any, address: str, port: int) -> bool:  # noqa: ANN401 - a named tuple of psutil
    return connection.status == "LISTEN" and connection.laddr.port == port and _is_at(connection.laddr.ip, address)


def _is_at(ip: str, address: str) -> bool:
    ip = ip.removeprefix("::ffff:")  # an IPv4 listener on an IPv6 socket
    return ip == address or bool({address, ip} & WILDCARDS)


def _listens(process: Any, address: str, port: int) -> bool:  # noqa: ANN401 - psutil.Process, imported late
    import psutil  # noqa: PLC0415

    try:
        return any(_matches(c, address, port) for c in process.net_connections("tcp"))
    except psutil.Error:
        return False


def _oldest_holder(process: Any, address: str, port: int, system: str, pids: Sequence[int]) -> Any:  # noqa: ANN401
    """The oldest of the related processes that share the socket: when it ends, the others end, too.

    `pids` are all holders of the socket where the system lists them.
    """
    parent = process.parent()
    while parent is not None:
        is_holder = parent.pid in pids if platform.has_proc(system) else _listens(parent, address, port)
        if not is_holder:
            break
        process, parent = parent, parent.parent()
    return process


def listening_sockets(port: int, proc: Path = PROC) -> Iterator[tuple[str, str]]:
    """The IP address and the inode of each socket that listens on a port. Raises OSError if no table can be read."""
    end = f":{port:04X}".encode()
    lines = (proc / "net" / "tcp").read_bytes().splitlines()
    with contextlib.suppress(FileNotFoundError):  # a kernel without IPv6
        lines += (proc / "net" / "tcp6").read_bytes().splitlines()
    for row in [line.split() for line in lines if end in line]:
        if row[STATE] == LISTEN and row[LOCAL].endswith(end):
            yield _ip(row[LOCAL].removesuffix(end).decode()), row[INODE].decode()


def socket_holders(inode: str, proc: Path = PROC) -> list[int]:
    """The processes that have a socket open, as far as this user may see that."""
    return [int(name) for name in os.listdir(proc) if name.isdigit() and f"socket:[{inode}]" in _links(proc / name)]  # noqa: PTH208 - names


def _links(process: Path) -> Iterator[str]:
    with contextlib.suppress(OSError), os.scandir(process / "fd") as descriptors:
        for descriptor in descriptors:
            with contextlib.suppress(OSError):
                yield os.readlink(descriptor.path)  # noqa: PTH115 - the target is not a path


def _ip(hexadecimal: str) -> str:
    packed = bytes.fromhex(hexadecimal)
    groups = [packed[start : start + WORD_BYTES] for start in range(0, len(packed), WORD_BYTES)]
    ordered = b"".join(group[::-1] if sys.byteorder == "little" else group for group in groups)
    return socket.inet_ntop(socket.AF_INET if len(groups) == 1 else socket.AF_INET6, ordered)
