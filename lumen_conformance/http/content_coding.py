"""The content coding of a response: what the request accepts, what the response says, and the body without it."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace

from lumen_conformance.http.capture import Capture
from lumen_conformance.http.zstd import ZSTD, unframe_zstd

GZIP = b"\x1f\x8b"  # the first bytes (RFC 1952, 2.3.1)
SHOWN_BYTES = 20
TEXT_BYTES = 64  # that are printable: compressed data begin with as many less than once in 10^20 times
SAME = {"x-gzip": "gzip"}  # RFC 9110, 8.4.1.3


def coding_of(capture: Capture) -> str:
    """The content codings that the response has, in lower case, as a list with commas; empty for none."""
    return ", ".join(_codings(capture.header_all("content-encoding")))


def is_accepted(capture: Capture, coding: str) -> bool:
    """Whether the request accepts each of these codings by its name."""
    lines = capture.request.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    values = [line.partition(":")[2] for line in lines if line.lower().startswith("accept-encoding:")]
    accepted = {_same(name.partition(";")[0]) for name in _codings(values) if not name.endswith("q=0")}
    return all(_same(name) in accepted for name in _codings([coding]))


def decoded(capture: Capture) -> Capture:
    """The response without its content codings. Raises ValueError when the body does not have those that it says.

    A coding stays when the standard library has no decoder: Brotli, zstd with compressed blocks, and unknown ones.
    """
    codings, body = _codings(capture.header_all("content-encoding")), capture.body
    if not codings and body.startswith((GZIP, ZSTD)):
        raise ValueError(f"no Content-Encoding, but a body that begins with {body[:4]!r} as compressed data do")
    while codings and (decode := DECODERS.get(_same(codings[-1]))):
        try:
            data = decode(body)
        except ValueError as wrong:
            raise ValueError(f"Content-Encoding: {', '.join(codings)}, but {wrong}") from wrong
        if data is None:
            break
        codings, body = codings[:-1], data
    headers = [pair for pair in capture.headers if pair[0] != "content-encoding"]
    return replace(capture, body=body, headers=(*headers, *[("content-encoding", ", ".join(codings))] * bool(codings)))


def _codings(values: tuple[str, ...] | list[str]) -> list[str]:
    """The names of a list in headers, in lower case, without identity."""
    names = (name.strip().lower() for value in values for name in value.split(","))
    return [name for name in names if name not in {"", "identity"}]


def _same(coding: str) -> str:
    return SAME.get(coding.strip(), coding.strip())


def _gunzip(body: bytes) -> bytes:
    if not body.startswith(GZIP):
        raise ValueError(f"the body begins with {body[:SHOWN_BYTES]!r}")
    return _inflate(body)


def _inflate(body: bytes) -> bytes:
    """The data of gzip or deflate; clients accept deflate with and without the header of zlib."""
    for bits in (zlib.MAX_WBITS | 32, -zlib.MAX_WBITS):
        try:
            return zlib.decompress(body, bits)
        except zlib.error as error:
            reason = error
    raise ValueError(f"the body cannot be decoded: {reason}")


def _refuse_other_data(body: bytes) -> None:
    """Raise ValueError for what is no Brotli: a text, or the first bytes of another coding. Nothing is decoded."""
    if body.startswith((GZIP, ZSTD)):
        raise ValueError(f"the body begins with {body[:4]!r}, as data of another coding do")
    text = body[:TEXT_BYTES].decode("utf-8", "replace").rstrip("\ufffd")  # a character may be cut
    if text and "".join(text.split()).isprintable() and "\ufffd" not in text:
        raise ValueError(f"the body begins with {body[:SHOWN_BYTES]!r}")


DECODERS: dict[str, Callable[[bytes], bytes | None]] = {
    "gzip": _gunzip,
    "deflate": _inflate,
    "zstd": unframe_zstd,
    "br": _refuse_other_data,
}
