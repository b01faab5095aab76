"""An HTTP/1.1 answer: http.client's, without three of its gaps."""

from __future__ import annotations

import io
from http.client import CONTINUE, HTTPException, HTTPResponse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

NOT_YET = range(102, 200)  # 103 Early Hints and other interim responses; 101 would end HTTP, unasked


class _Source(io.RawIOBase):
    """What a socket receives, until `ended`: what is buffered then can be looked at without waiting for more."""

    def __init__(self, raw: Any) -> None:  # noqa: ANN401 - what SocketIO is to typeshed differs by version
        self._raw = raw
        self.ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        return 0 if self.ended else self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class Response(HTTPResponse):
    """http.client's, which skips 100 alone, reads a chunk of -1 bytes without an end, and forgets surplus bytes."""

    has_surplus = False  # bytes behind the answer were received with it: whose they are nobody can tell

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - those of http.client
        super().__init__(*args, **kwargs)
        self._source = _Source(self.fp.detach())
        self.fp = io.BufferedReader(self._source)

    @property
    def has_two_lengths(self) -> bool:
        """Whether the end of the answer is ambiguous (RFC 9112, 6.3): the next answer could begin anywhere."""
        lengths = [*self.headers.get_all("Content-Length", []), *self.headers.get_all("Transfer-Encoding", [])]
        return len(lengths) > 1

    def _close_conn(self) -> None:
        self._source.ended = True
        self.has_surplus = bool(self.fp.peek(1))
        super()._close_conn()  # type: ignore[misc]

    def _read_status(self) -> tuple[str, int, str]:
        version, status, reason = super()._read_status()  # type: ignore[misc]
        return version, CONTINUE if status in NOT_YET else status, reason

    def _read_next_chunk_size(self) -> int:
        size: int = super()._read_next_chunk_size()  # type: ignore[misc]
        if size < 0:
            raise HTTPException("a chunk of a negative size")
        return size
