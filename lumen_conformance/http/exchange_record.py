"""A record of an exchange for the report: bounded, and of JSON values only."""

from __future__ import annotations

from typing import Any, Final

from lumen_conformance.http import sse
from lumen_conformance.http.capture import Capture
from lumen_conformance.http.curl import SECRET_HEADERS
from lumen_conformance.http.documents import cached_on_capture

MOST_EXCHANGES: Final = 3  # of one check
SHOWN_BYTES: Final = 2_000  # of a body
SHOWN_HEADERS: Final = 40
SHOWN_CHARS: Final = 400  # of a header or of an event
SHOWN_ARRIVALS: Final = 40
SHOWN_EVENTS: Final = 30
HEX_BYTES: Final = 48  # before and after an offset: three lines each of a hexdump
HEX_LINE_BYTES: Final = 16


@cached_on_capture
def exchange_record(capture: Capture) -> dict[str, Any]:
    """Return the record. Times are in seconds since the first attempt to connect; what is cut has its whole length."""
    sent_s = max(0.0, capture.elapsed_s - capture.ended_s)
    arrivals = [(round(sent_s + at_s, 6), length) for at_s, length in capture.arrivals]
    first_s = None if capture.first_byte_s is None else round(sent_s + capture.first_byte_s, 6)
    return {
        "request": _head(capture.request.partition(b"\r\n\r\n")[0]),
        "request_body": _text(capture.request_body),
        "request_bytes": len(capture.request_body),
        "url": capture.url,
        "status": capture.status,
        "response": _head(capture.raw_head),
        "body": _text(capture.body),
        "body_bytes": len(capture.body),
        "events": _events(capture),
        "ended": capture.ended,
        "error": capture.error,
        "times": {
            "connected": round(capture.connected_s, 6),
            "sent": round(sent_s, 6),
            "first_byte": first_s,
            "chunks": arrivals[:SHOWN_ARRIVALS],
            "number_of_chunks": len(arrivals),
            "ended": round(capture.elapsed_s, 6),
        },
        "curl": capture.curl(),
    }


def hexdump(body: bytes, offset: int) -> str:
    """Return the bytes around an offset, sixteen in a line; the line of the offset begins with ``>``."""
    start = max(0, offset - HEX_BYTES) // HEX_LINE_BYTES * HEX_LINE_BYTES
    lines = []
    for at in range(start, min(len(body), offset + HEX_BYTES), HEX_LINE_BYTES):
        piece = body[at : at + HEX_LINE_BYTES]
        mark = ">" if at <= offset < at + HEX_LINE_BYTES else " "
        text = "".join(chr(each) if 32 <= each < 127 else "." for each in piece)
        lines.append(f"{mark} {at:08x}  {piece.hex(' ', 1):<47}  {text}")
    return "\n".join(lines)


def _head(data: bytes) -> list[str]:
    """The lines of a head, the values of secret headers masked."""
    lines = data.decode("latin-1").rstrip("\r\n").split("\r\n")
    shown = [_cut(_masked(line)) for line in lines[:SHOWN_HEADERS] if line]
    return shown + ([f"… {len(lines) - SHOWN_HEADERS} more lines"] if len(lines) > SHOWN_HEADERS else [])


def _masked(line: str) -> str:
    name, colon, _ = line.partition(":")
    return f"{name}: ***" if colon and SECRET_HEADERS.match(name) else line


def _text(body: bytes) -> str:
    return body[:SHOWN_BYTES].decode("utf-8", errors="backslashreplace")


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}…"


def _events(capture: Capture) -> dict[str, Any] | None:
    """The events of a stream, each with its data and the time at which its last byte arrived; None if it is none."""
    if "text/event-stream" not in (capture.header("content-type") or "").lower():
        return None
    events = [each for each in sse.parse(capture.body) if each.data is not None]
    shown = [_cut((each.data or b"").decode("utf-8", errors="backslashreplace")) for each in events[:SHOWN_EVENTS]]
    return {"number": len(events), "data": shown}
