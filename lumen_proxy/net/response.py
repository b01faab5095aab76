"""An HTTP/1.1 answer: http.client's, without two of its gaps."""

from __future__ import annotations

from http.client import CONTINUE, HTTPException, HTTPResponse

NOT_YET = range(102, 200)  # 103 Early Hints and other interim responses; 101 would end HTTP, unasked


class Response(HTTPResponse):
    """http.client's, which skips 100 alone, and reads a chunk of -1 bytes without an end."""

    def _read_status(self) -> tuple[str, int, str]:
        version, status, reason = super()._read_status()  # type: ignore[misc]
        return version, CONTINUE if status in NOT_YET else status, reason

    def _read_next_chunk_size(self) -> int:
        size: int = super()._read_next_chunk_size()  # type: ignore[misc]
        if size < 0:
            raise HTTPException("a chunk of a negative size")
        return size
