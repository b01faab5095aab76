"""Which process has which socket: who listens on a port, who answers there, who may serve.

Asked of a family (see `Child.family`), parents first. A process that cannot be asked has none.
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
OWNED_S: Final = 5.0  # a server accepts within milliseconds; longer means that it does not answer at all
# Processes of Python that look after those of `multiprocessing`, and never serve.
HELPER_MODULES: Final = ("multiprocessing.resource_tracker", "multiprocessing.semaphore_tracker")


def find_listening(family: Iterable[ProcessRef], port: int) -> tuple[ProcessRef, ...]:
    """Those that hold a socket which listens on this port: a parent that only hands it on is one of them."""
    return tuple(dict.fromkeys(each.ref for each in list_listening_sockets(family) if each.port == port))


def find_answering(family: Iterable[ProcessRef], port: int, request: bytes) -> ProcessRef | None:
    """The process that holds the other end of a connection of ours, on which it was sent this request; None: nobody.

    Of several that share it, the last of the family: a parent that accepts keeps it no longer than its child does.
    """
    known = tuple(family)
    return _after_answer(known, port, request) or _before_answer(known, port, request)


def find_serving(family: Iterable[ProcessRef], port: int, answered: ProcessRef | None) -> tuple[ProcessRef, ...]:
    """Those that may serve: who listens and its descendants. A listener with such descendants only if it `answered`."""
    who_listen = find_listening(family, port)
    below = {ref: tuple(each for each in list_tree(ref) if each != ref and not _helps(each)) for ref in who_listen}
    alone = (ref for ref in who_listen if not below[ref] or ref == answered)
    found = [*alone, *(each for refs in below.values() for each in refs), *filter(None, [answered])]
    idle = {ref for ref in who_listen if below[ref] and ref != answered}
    return tuple(ref for ref in dict.fromkeys(found) if ref not in idle)


def _after_answer(family: tuple[ProcessRef, ...], port: int, request: bytes) -> ProcessRef | None:
    """By a connection that is kept: whoever accepted it may have handed it on before it was answered."""
    with contextlib.suppress(OSError), _connected(port) as sock:
        sock.sendall(request)
        if sock.recv(READ_BYTES):
            return find_connection_owner(family, port, sock)
    return None


def _before_answer(family: tuple[ProcessRef, ...], port: int, request: bytes) -> ProcessRef | None:
    """By a request without its end: for servers that close each connection with their answer."""
    with contextlib.suppress(OSError), _connected(port) as sock:
        sock.sendall(request[:-1])
        found = observe("somebody accepts", lambda: find_connection_owner(family, port, sock), within_s=OWNED_S)
        sock.sendall(request[-1:])
        sock.recv(READ_BYTES)
        return found
    return None


def _connected(port: int) -> socket.socket:
    return socket.create_connection((LOOPBACK, port), timeout=OWNED_S)


def find_connection_owner(family: tuple[ProcessRef, ...], port: int, sock: socket.socket) -> ProcessRef | None:
    """The process that holds the other end of this connection of ours to that port; None: nobody has accepted it."""
    ours = sock.getsockname()[1]
    holders = [each.ref for each in list_sockets(family) if (each.port, each.remote_port) == (port, ours)]
    return holders[-1] if holders else None


def _helps(ref: ProcessRef) -> bool:
    return any(word in ref.name() for word in HELPER_MODULES)
