"""Decompress the body of a response, with a limit on the decompressed size.

The proxy sends `Accept-Encoding: identity`. Some servers and caches compress nevertheless, and the Content-Encoding of
some is wrong. The first bytes of the data decide: JSON in UTF-8 can begin neither with the two bytes of gzip
(RFC 1952, 2.3.1) nor with those of zlib (RFC 1950, 2.2), which HTTP calls `deflate`.
"""

from __future__ import annotations

import zlib

GZIP = b"\x1f\x8b"
ZLIB = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")  # a window of 32 KiB at the four levels
DETECT = zlib.MAX_WBITS | 32  # zlib detects the format
MAX_MEMBERS = 100  # of one gzip file: each costs a copy of the rest


def decompress(data: bytes, max_bytes: int) -> bytes:
    """The data, decompressed if they are compressed; at most `max_bytes` + 1 bytes, so that the caller notices more.

    Raises ValueError if the compressed data are damaged or incomplete.
    """
    if not data.startswith((GZIP, *ZLIB)):
        return data
    whole = b""
    for _ in range(MAX_MEMBERS):
        stream = zlib.decompressobj(DETECT)
        try:
            whole += stream.decompress(data, max_bytes + 1 - len(whole))
        except zlib.error as error:
            raise ValueError(f"damaged compressed data: {error}") from None
        if len(whole) > max_bytes:
            return whole
        if not stream.eof:
            raise ValueError("incomplete compressed data")
        data = stream.unused_data
        if not data.startswith(GZIP):  # the end, or padding, which gzip ignores, too
            return whole
    raise ValueError(f"more than {MAX_MEMBERS} members")
