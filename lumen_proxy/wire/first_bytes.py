"""Detect the protocol from the first bytes of a request, so that anything but HTTP/1 is answered at once."""

from __future__ import annotations

import re
from typing import Literal

TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}"  # of a method (RFC 9110, 5.6.2); the longest registered one has 17
REQUEST_LINE = re.compile(TOKEN + rb" [^ \r\n]+ HTTP/[0-9]\.[0-9]\r?\n")
BEGINNING = re.compile(TOKEN + rb"( [^\n]*)?")
TLS_HANDSHAKE = b"\x16"  # the first byte of a TLS connection (RFC 8446, 5.1)
HTTP_2 = b"PRI * HTTP/2.0\r\n"  # the first line of an HTTP/2 connection (RFC 9113, 3.4)

Protocol = Literal["incomplete", "request", "tls", "http2", "other"]


def protocol_of(head: bytes) -> Protocol:
    """The protocol; `request` is HTTP/1. Empty lines before a request line are allowed (RFC 9112, 2.2)."""
    if head.startswith(TLS_HANDSHAKE):
        return "tls"
    line, end, _ = head.lstrip(b"\r\n").partition(b"\n")
    if not end:
        return "incomplete" if not line or BEGINNING.fullmatch(line) else "other"
    if line + end == HTTP_2:
        return "http2"
    return "request" if REQUEST_LINE.fullmatch(line + end) else "other"
