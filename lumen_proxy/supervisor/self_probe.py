"""The supervisor asks its own worker for /health, as a client does."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

OK_LINE = b"HTTP/1.1 200 "


def start(url: str, within_s: float, on_answer: Callable[[], object]) -> None:
    """Probe in a thread; call `on_answer` in it if /health is answered with 200 within this time."""

    def run() -> None:
        with contextlib.suppress(OSError):  # no connection, no answer in time, or no descriptor: no sign of life
            if is_answered(url, within_s):
                on_answer()

    with contextlib.suppress(RuntimeError):  # no thread can be started
        threading.Thread(target=run, name="self-probe", daemon=True).start()


def is_answered(url: str, within_s: float) -> bool:
    """Whether GET /health is answered with 200 in time. Raises OSError."""
    place, deadline = urlsplit(url), time.monotonic() + within_s
    with socket.create_connection((place.hostname or "", place.port or 0), within_s) as sock:
        sock.sendall(f"GET /health HTTP/1.1\r\nHost: {place.netloc}\r\nConnection: close\r\n\r\n".encode("ascii"))
        received = b""
        while len(received) < len(OK_LINE):
            sock.settimeout(max(deadline - time.monotonic(), 0.001))  # 0 makes a socket non-blocking
            data = sock.recv(len(OK_LINE) - len(received))
            if not data:
                return False
            received += data
    return received == OK_LINE
