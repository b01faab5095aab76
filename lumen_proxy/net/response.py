"""An HTTP/1.1 response, as http.client reads it, with three corrections; and how another thread ends it."""

from __future__ import annotations

import io
import socket
from contextlib import suppress
from http.client import CONTINUE, HTTPException, HTTPResponse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

INTERIM = range(102, 200)  # interim responses such as 103; 101 is no answer to these requests

DONT_WAIT = getattr(socket, "MSG_DONTWAIT", 0)  # Windows has none
SHORTEST_S = 0.001  # a time-out of 0 makes the socket non-blocking


def shut(sock: socket.socket) -> None:
    """End the exchange from another thread. SSLSocket.shutdown would remove the encryption while a thread reads."""
    with suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


def limit_reads(sock: socket.socket, within_s: float) -> None:
    """Set a time-out on Windows, where `shut` may not wake a thread that reads."""
    if not DONT_WAIT:
        sock.settimeout(max(within_s, SHORTEST_S))


class _Source(io.RawIOBase):
    """The bytes of a socket until `ended`. After that, the buffer can be checked without waiting for more bytes."""

    def __init__(self, raw: Any) -> None:  # noqa: ANN401 - its type in typeshed depends on the version
        self._raw = raw
        self.ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        return 0 if self.ended else self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class HttpResponse(HTTPResponse):
    """Skips all interim responses, refuses a chunk of a negative size, and notices surplus bytes."""

    has_surplus = False  # bytes after the response were received with it; they belong to no request

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - the arguments of http.client
        super().__init__(*args, **kwargs)
        self._source = _Source(self.fp.detach())
        self.fp = io.BufferedReader(self._source)

    @property
    def has_two_lengths(self) -> bool:
        """Whether the end of the response is ambiguous (RFC 9112, 6.3)."""
        lengths = [*self.headers.get_all("Content-Length", []), *self.headers.get_all("Transfer-Encoding", [])]
        return len(lengths) > 1

    def _close_conn(self) -> None:
        self._source.ended = True
        self.has_surplus = bool(self.fp.peek(1))
        super()._close_conn()  # type: ignore[misc]

    def _read_status(self) -> tuple[str, int, str]:
        version, status, reason = super()._read_status()  # type: ignore[misc]
        return version, CONTINUE if status in INTERIM else status, reason

    def _read_next_chunk_size(self) -> int:
        size: int = super()._read_next_chunk_size()  # type: ignore[misc]
        if size < 0:
            raise HTTPException("a chunk of a negative size")
        return size
