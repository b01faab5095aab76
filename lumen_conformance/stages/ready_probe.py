"""Probe a launched server, and find the process that answered.

The process is found after the answer has arrived, so that the measured time is that of the server alone: one look reads
all sockets of the machine. The connection is still open then, and the process that holds its other end answered.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from lumen_conformance.http.client import request_bytes
from lumen_conformance.processes import serving_processes
from lumen_conformance.processes.process_tree import ProcessRef
from lumen_conformance.targets.launch import LaunchedTarget
from lumen_conformance.waiting import observe

ANSWER_S = 5.0  # as long as every probe of the suite waits
STATUS_BYTES = 64  # of the answer: its first line; the rest is not read


@dataclass(frozen=True)
class ProbeAnswer:
    """An answer to a probe: its process (None: unknown), its status, and its arrival on the monotonic clock."""

    holder: ProcessRef | None
    status: int | None
    at_s: float


def probe(
    proxy: LaunchedTarget, accept_s: float, list_processes: Callable[[], tuple[ProcessRef, ...]]
) -> ProbeAnswer | None:
    """Ask a launched server whether it is ready; None when nothing answers."""
    request = request_bytes(proxy.url, "GET", proxy.target.probe_path, headers=proxy.headers)
    answer = _find_after_answer(proxy.port, request, accept_s, list_processes)
    if answer is None or answer.holder:
        return answer
    return _find_before_answer(proxy.port, request, accept_s, list_processes)


def _find_after_answer(
    port: int, request: bytes, accept_s: float, list_processes: Callable[[], tuple[ProcessRef, ...]]
) -> ProbeAnswer | None:
    with contextlib.suppress(OSError), _connect(port, accept_s) as sock:
        sock.sendall(request)
        is_answered = bool(select.select([sock], [], [], accept_s)[0])
        if not is_answered and serving_processes.find_connection_owner(list_processes(), port, sock) is None:
            return None
        status, at_s = _read_status(sock), time.monotonic()
        return ProbeAnswer(serving_processes.find_connection_owner(list_processes(), port, sock), status, at_s)
    return None


def _find_before_answer(
    port: int, request: bytes, accept_s: float, list_processes: Callable[[], tuple[ProcessRef, ...]]
) -> ProbeAnswer | None:
    """For servers that close the connection with the answer: the last byte is sent when the process is known."""

    def find_owner() -> ProcessRef | None:
        return serving_processes.find_connection_owner(list_processes(), port, sock)

    with contextlib.suppress(OSError), _connect(port, accept_s) as sock:
        sock.sendall(request[:-1])
        accepted = observe("the connection is accepted", find_owner, within_s=accept_s)
        if accepted is None:
            return None
        sock.sendall(request[-1:])
        status, at_s = _read_status(sock), time.monotonic()
        return ProbeAnswer(find_owner() or accepted, status, at_s)
    return None


def _connect(port: int, within_s: float) -> socket.socket:
    return socket.create_connection((serving_processes.LOOPBACK, port), within_s)


def _read_status(sock: socket.socket) -> int | None:
    """Return the status of the answer that arrives; None for what is no answer of HTTP."""
    sock.settimeout(ANSWER_S)
    line = b""
    while b"\r\n" not in line and len(line) < STATUS_BYTES and (data := sock.recv(STATUS_BYTES)):
        line += data
    words = line.split()
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else None
