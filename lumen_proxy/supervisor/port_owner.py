"""Who holds a port: the words of a message, never a decision."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lumen_proxy import platform
from lumen_proxy.supervisor import socket_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

WILDCARDS = {"0.0.0.0", "::"}  # noqa: S104 - compared, not bound


@dataclass(frozen=True)
class Listening:
    """One row of the system's table: a listening socket. `pid` is None where the system hides it."""

    pid: int | None


def describe(address: str, port: int, system: str = platform.SYSTEM) -> str:
    """Say who holds address:port: `python3 (pid 4242)`, or why nobody can be named."""
    import psutil  # noqa: PLC0415 - only a conflict needs it

    rows = list(_rows([address], port, system))
    pids = sorted(row.pid for row in rows if row.pid)
    if not pids:
        return "a process that listens, owner not visible to this user" if rows else "a process that does not listen"
    try:
        owner = _topmost(psutil.Process(pids[0]), lambda one: _holds(one, address, port, system, pids))
        return f"{_printable(owner.name())} (pid {owner.pid})"
    except psutil.Error:
        return f"a process (pid {pids[0]})"


def family(addresses: Iterable[str], port: int, system: str = platform.SYSTEM) -> list[int]:
    """The processes that listen on the port of one of the addresses, and their ancestors, as far as visible."""
    import psutil  # noqa: PLC0415 - only a lost lock file needs it

    found: dict[int, None] = {}
    for pid in sorted({row.pid for row in _rows(list(addresses), port, system) if row.pid}):
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            found |= dict.fromkeys(relative.pid for relative in (process, *process.parents()))
    return list(found)


def _rows(addresses: Sequence[str], port: int, system: str) -> Iterator[Listening]:
    import psutil  # noqa: PLC0415

    if platform.has_proc(system):
        with contextlib.suppress(OSError):  # hidden tables: psutil says so in its own way
            inodes = {inode for ip, inode in socket_table.listening(port) if any(_is_at(ip, one) for one in addresses)}
            yield from (Listening(pid) for inode in inodes for pid in socket_table.holders(inode) or (None,))
            return
    try:
        table = psutil.net_connections("tcp")
        yield from (Listening(c.pid) for c in table if any(_matches(c, address, port) for address in addresses))
    except psutil.AccessDenied:  # macOS shows the whole table to root only
        for process in psutil.process_iter():
            if any(_listens(process, address, port) for address in addresses):
                yield Listening(process.pid)


def _matches(connection: Any, address: str, port: int) -> bool:  # noqa: ANN401 - a named tuple of psutil
    return connection.status == "LISTEN" and connection.laddr.port == port and _is_at(connection.laddr.ip, address)


def _is_at(ip: str, address: str) -> bool:
    here = ip.removeprefix("::ffff:")  # an IPv4 listener on an IPv6 socket
    return here == address or bool({address, here} & WILDCARDS)


def _holds(process: Any, address: str, port: int, system: str, pids: Sequence[int]) -> bool:  # noqa: ANN401 - same
    """Whether it has the socket, too; `pids` are all of its holders where the system lists them."""
    return process.pid in pids if platform.has_proc(system) else _listens(process, address, port)


def _listens(process: Any, address: str, port: int) -> bool:  # noqa: ANN401 - psutil.Process, imported late
    import psutil  # noqa: PLC0415

    try:
        return any(_matches(c, address, port) for c in process.net_connections("tcp"))
    except psutil.Error:
        return False


def _topmost(process: Any, holds: Callable[[Any], bool]) -> Any:  # noqa: ANN401 - psutil.Process, imported late
    """Of a family that inherited one socket, the eldest: the one whose end ends the others."""
    parent = process.parent()
    while parent is not None and holds(parent):
        process, parent = parent, parent.parent()
    return process


def _printable(name: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in name)
