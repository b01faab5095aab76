"""The content coding of a response: what the request accepts, what the response says, and the body without it."""

from __future__ import annotations

import zlib
from dataclasses import replace

from lumen_conformance.http.capture import Capture

GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"  # the first bytes (RFC 1952, 2.3.1; RFC 8878, 3.1.1)
ZSTD_HEADER = ZSTD + b"\xa0"  # one segment, and a content size of four bytes
ZSTD_BLOCK_BYTES = 100_000  # below the limit of 128 KiB
DEFLATED = {"gzip", "x-gzip", "deflate"}


def coding_of(capture: Capture) -> str:
    """The content coding that the response has, in lower case; empty for none and for identity."""
    found = ", ".join(capture.header_all("content-encoding")).strip().lower()
    return "" if found == "identity" else found


def is_accepted(capture: Capture, coding: str) -> bool:
    """Whether the request accepts this coding by its name."""
    lines = capture.request.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    values = (line.partition(":")[2] for line in lines if line.lower().startswith("accept-encoding:"))
    listed = (each.strip().lower() for value in values for each in value.split(","))
    return any(name.partition(";")[0].strip() == coding and not name.endswith("q=0") for name in listed)


def decoded(capture: Capture) -> Capture:
    """The response without its content coding. Raises ValueError when the body does not have the coding that it says.

    Of Brotli nothing is decoded: the standard library lacks it.
    """
    coding, body = coding_of(capture), capture.body
    if not coding and body.startswith((GZIP, ZSTD)):
        raise ValueError(f"no Content-Encoding, but a body that begins with {body[:4]!r} as compressed data do")
    if coding in DEFLATED:
        return _replace(capture, _inflate(coding, body))
    if coding == "zstd":
        return _replace(capture, _unframe(body))
    if coding == "br" and body.lstrip()[:1] in {b"{", b"d", b":"}:
        raise ValueError(f"Content-Encoding: br, but the body begins with {body[:20]!r}")
    return capture


def frame_zstd(body: bytes) -> bytes:
    """A body as zstd data that are not compressed: a frame of raw blocks (RFC 8878, 3.1.1)."""
    blocks = [body[at : at + ZSTD_BLOCK_BYTES] for at in range(0, len(body), ZSTD_BLOCK_BYTES)] or [b""]
    heads = (len(block) << 3 | (number == len(blocks)) for number, block in enumerate(blocks, 1))
    framed = (head.to_bytes(3, "little") + block for head, block in zip(heads, blocks, strict=True))
    return ZSTD_HEADER + len(body).to_bytes(4, "little") + b"".join(framed)


def _replace(capture: Capture, body: bytes) -> Capture:
    headers = tuple(pair for pair in capture.headers if pair[0] != "content-encoding")
    return replace(capture, body=body, headers=headers)


def _inflate(coding: str, body: bytes) -> bytes:
    """The data of gzip or deflate; clients accept deflate with and without the header of zlib."""
    if coding == "gzip" and not body.startswith(GZIP):
        raise ValueError(f"Content-Encoding: gzip, but the body begins with {body[:20]!r}")
    for bits in (zlib.MAX_WBITS | 32, -zlib.MAX_WBITS):
        try:
            return zlib.decompress(body, bits)
        except zlib.error as error:
            reason = error
    raise ValueError(f"Content-Encoding: {coding}, but the body cannot be decoded: {reason}")


def _unframe(body: bytes) -> bytes:
    """The data of a frame of `frame_zstd`; the coded body of any other frame."""
    if not body.startswith(ZSTD):
        raise ValueError(f"Content-Encoding: zstd, but the body begins with {body[:20]!r}")
    data, at = b"", len(ZSTD_HEADER) + 4
    while body.startswith(ZSTD_HEADER) and at + 3 <= len(body):
        head = int.from_bytes(body[at : at + 3], "little")
        if head & 6:  # compressed
            return body
        data, at = data + body[at + 3 : at + 3 + (head >> 3)], at + 3 + (head >> 3)
    return data or body
