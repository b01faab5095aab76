"""A record of an exchange for the report: bounded, and of JSON values only."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from lumen_conformance.http import sse
from lumen_conformance.http.capture import Capture
from lumen_conformance.http.content_coding import coding_of, decoded
from lumen_conformance.http.curl import SECRET_HEADERS

SHOWN_BYTES: Final = 2_000  # of a body
SHOWN_HEADERS: Final = 40
SHOWN_CHARS: Final = 400  # of a header or of an event
SHOWN_ARRIVALS: Final = 100  # marks on a line of 600 pixels
SHOWN_EVENTS: Final = 30
HEX_BYTES: Final = 48  # before and after an offset: three lines each of a hexdump
HEX_LINE_BYTES: Final = 16
Arrivals = tuple[tuple[float, int], ...]


def exchange_record(capture: Capture, mask: Callable[[bytes], bytes] = bytes) -> dict[str, Any]:
    """Return the record. Times are in seconds since the first attempt to connect; what is cut has its whole length.

    ``body_bytes`` is the length on the wire; ``decoded_bytes`` is that without the content coding, where it differs.
    ``mask`` masks secrets in a whole body, before it is cut. ``cut`` and ``masked`` name the bodies that are cut, and
    those that ``mask`` has changed.
    """
    sent_s = max(0.0, capture.elapsed_s - capture.ended_s)
    first_s = None if capture.first_byte_s is None else round(sent_s + capture.first_byte_s, 6)
    bodies = {"request_body": capture.request_body, "body": readable_body(capture)}
    masked = {name: mask(body) for name, body in bodies.items()}
    events = _events(capture, sent_s)
    return {
        "request": _head(capture.request.partition(b"\r\n\r\n")[0]),
        "request_bytes": len(capture.request_body),
        "url": capture.url,
        "status": capture.status,
        "response": _head(capture.raw_head),
        "body_bytes": len(capture.body),
        **({"decoded_bytes": len(bodies["body"])} if len(bodies["body"]) != len(capture.body) else {}),
        **{name: text_of(body) for name, body in masked.items()},
        "cut": [name for name, body in masked.items() if len(body) > SHOWN_BYTES],
        "masked": [name for name, body in masked.items() if body != bodies[name]],
        "events": events,
        "ended": capture.ended,
        "error": capture.error,
        "times": {
            "connected": round(capture.connected_s, 6),
            "sent": round(sent_s, 6),
            "first_byte": first_s,
            "chunks": [(round(sent_s + at_s, 6), length) for at_s, length in _thinned(capture.arrivals)],
            "number_of_chunks": len(capture.arrivals),
            "ended": round(capture.elapsed_s, 6),
        },
        "curl": capture.curl(),
    }


def readable_body(capture: Capture) -> bytes:
    """Return the body without its content coding, if it can be decoded."""
    try:
        return decoded(capture).body
    except ValueError:
        return capture.body


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


def text_of(body: bytes, longest: int = SHOWN_BYTES) -> str:
    """Return the beginning of a body as text, so many bytes of it."""
    return body[: _end(body, longest)].decode("utf-8", errors="backslashreplace")


def _end(body: bytes, longest: int) -> int:
    """Return where a body is cut: not within a character, whose first bytes would look like a defect of the server."""
    for begin in range(max(0, longest - 3), longest):
        for end in range(longest + 1, begin + 5):
            with suppress(UnicodeDecodeError):
                if len(body) >= end and len(body[begin:end].decode("utf-8")) == 1:
                    return begin
    return longest


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}…"


def _thinned(arrivals: Arrivals) -> Arrivals:
    """Return at most `SHOWN_ARRIVALS`, the first and the last among them, the others at equal distances."""
    if len(arrivals) <= SHOWN_ARRIVALS:
        return arrivals
    step = (len(arrivals) - 1) / (SHOWN_ARRIVALS - 1)
    return tuple(arrivals[round(place * step)] for place in range(SHOWN_ARRIVALS))


def _events(capture: Capture, sent_s: float) -> dict[str, Any] | None:
    """The events of a stream, each with its data and the time at which its last line arrived; None if it is none.

    The bytes of a stream with a content coding have other offsets than its lines, so its events have no times.
    """
    if "text/event-stream" not in (capture.header("content-type") or "").lower():
        return None
    events = [each for each in sse.parse(readable_body(capture)) if each.data is not None]
    shown = events[:SHOWN_EVENTS]
    texts = [_cut((each.data or b"").decode("utf-8", errors="backslashreplace")) for each in shown]
    ends = [each.lines[-1].value_offset + len(each.lines[-1].value) - 1 for each in shown]
    arrived = [None if coding_of(capture) else capture.arrived_s(max(0, end)) for end in ends]
    times = [None if at_s is None else round(sent_s + at_s, 6) for at_s in arrived]
    return {"number": len(events), "data": texts, "times": times}
