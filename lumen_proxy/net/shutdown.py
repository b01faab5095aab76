"""End an exchange from another thread, on systems where that wakes the thread that reads, and on the others."""

from __future__ import annotations

import socket
from contextlib import suppress

DONT_WAIT = getattr(socket, "MSG_DONTWAIT", 0)  # Windows has none
SHORTEST_S = 0.001  # a time-out of 0 would mean a non-blocking socket


def shut(sock: socket.socket) -> None:
    """Not SSLSocket.shutdown: that would forget the encryption under the reading thread."""
    with suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


def limit_reads(sock: socket.socket, within_s: float) -> None:
    """On Windows `shut` may not wake a reader: there the socket has a time-out, too."""
    if not DONT_WAIT:
        sock.settimeout(max(within_s, SHORTEST_S))
