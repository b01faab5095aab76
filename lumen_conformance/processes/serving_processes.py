"""Which processes of a launch listen on a port, answer there, or may serve.

Each function takes the processes of a launch (see `ChildProcess.processes`), parents first. A process whose sockets
cannot be read has none.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable
from typing import Final

from lumen_conformance.processes.process_tree import ProcessRef, list_tree
from lumen_conformance.processes.socket_table import list_listening_sockets, list_sockets
from lumen_conformance.waiting import observe

LOOPBACK: Final = "127.0.0.1"
READ_BYTES: Final = 65_536
ACCEPT_S: Final = 5.0  # a server accepts within milliseconds; one that takes longer does not answer at all
# Helper processes of `multiprocessing`, which never serve.
HELPER_MODULES: Final = ("multiprocessing.resource_tracker", "multiprocessing.semaphore_tracker")


def find_listening(processes: Iterable[ProcessRef], port: int) -> tuple[ProcessRef, ...]:
    """Return the processes with a socket that listens on this port; a parent that only passes it on is one of them."""
    return tuple(dict.fromkeys(each.ref for each in list_listening_sockets(processes) if each.port == port))


def find_answering(processes: Iterable[ProcessRef], port: int, request: bytes) -> ProcessRef | None:
    """Send this request, and return the process that holds the other end of the connection; None when none does.

    Of several that share it, the last: a parent that accepts keeps the connection no longer than its child does.
    """
    known = tuple(processes)
    return _find_after_answer(known, port, request) or _find_before_answer(known, port, request)


def find_serving(processes: Iterable[ProcessRef], port: int, answered: ProcessRef | None) -> tuple[ProcessRef, ...]:
    """Return the processes that listen, and their descendants; of those with descendants only one that `answered`."""
    listeners = find_listening(processes, port)
    below = {ref: tuple(each for each in list_tree(ref) if each != ref and not _is_helper(each)) for ref in listeners}
    alone = (ref for ref in listeners if not below[ref] or ref == answered)
    found = [*alone, *(each for refs in below.values() for each in refs), *filter(None, [answered])]
    idle = {ref for ref in listeners if below[ref] and ref != answered}
    return tuple(ref for ref in dict.fromkeys(found) if ref not in idle)


def _find_after_answer(processes: tuple[ProcessRef, ...], port: int, request: bytes) -> ProcessRef | None:
    """For a connection that stays open: the process that accepted it may have passed it on before the answer."""
    with contextlib.suppress(OSError), _connect(port) as sock:
        sock.sendall(request)
        if sock.recv(READ_BYTES):
            return find_connection_owner(processes, port, sock)
    return None


def _find_before_answer(processes: tuple[ProcessRef, ...], port: int, request: bytes) -> ProcessRef | None:
    """For servers that close each connection with their answer: the last byte is sent when the process is known."""
    with contextlib.suppress(OSError), _connect(port) as sock:
        sock.sendall(request[:-1])
        found = observe("a process accepts", lambda: find_connection_owner(processes, port, sock), within_s=ACCEPT_S)
        sock.sendall(request[-1:])
        sock.recv(READ_BYTES)
        return found
    return None


def _connect(port: int) -> socket.socket:
    return socket.create_connection((LOOPBACK, port), timeout=ACCEPT_S)


def find_connection_owner(processes: tuple[ProcessRef, ...], port: int, sock: socket.socket) -> ProcessRef | None:
    """Return the process that holds the other end of this connection to that port; None when none has accepted it."""
    ours = sock.getsockname()[1]
    holders = [each.ref for each in list_sockets(processes) if (each.port, each.remote_port) == (port, ours)]
    return holders[-1] if holders else None


def _is_helper(ref: ProcessRef) -> bool:
    return any(word in ref.command_line() for word in HELPER_MODULES)
