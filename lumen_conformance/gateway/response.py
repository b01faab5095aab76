"""A response of the scripted gateway: head and body, framed for the HTTP version of the request."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from email.utils import formatdate

from lumen_conformance.gateway.exchange import Exchange, ReceivedRequest

JSON = "application/json; charset=utf-8"
STREAM = "text/event-stream; charset=utf-8"
LAST_CHUNK = b"0\r\n\r\n"
Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ScriptedResponse:
    """The response to one request.

    ``parts``    the parts of the body; a plain body has two halves
    ``chunked``  whether each part is one chunk
    """

    head: bytes
    parts: tuple[bytes, ...] = ()
    chunked: bool = False

    @property
    def body(self) -> bytes:
        """The body before it is framed."""
        return b"".join(self.parts)

    @property
    def end(self) -> bytes:
        """What follows the last part."""
        return LAST_CHUNK if self.chunked else b""

    @property
    def framed(self) -> bytes:
        """The body as it is sent."""
        return self.frame(self.parts) + self.end

    def frame(self, parts: Iterable[bytes]) -> bytes:
        """Return parts of the body as they are sent."""
        return b"".join(chunk(part) if self.chunked else part for part in parts)

    def send(self, exchange: Exchange) -> None:
        """Send all of it at once."""
        exchange.send(self.head + self.framed)


def head(length: int | None, status: int = 200, media_type: str = JSON, headers: Headers = ()) -> bytes:
    """Return a response head; without a length the body ends with the connection."""
    framing = ("Connection", "close") if length is None else ("Content-Length", str(length))
    lines = [f"HTTP/1.1 {status} Scripted", f"Content-Type: {media_type}", ": ".join(framing), *map(": ".join, headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def plain(
    call: ReceivedRequest, body: object, status: int = 200, media_type: str = JSON, headers: Headers = ()
) -> ScriptedResponse:
    """Return a response with a Content-Length; HEAD gets the head alone (RFC 9110, 9.3.2)."""
    data = encoded(body)
    half = len(data) // 2
    parts = () if call.method == "HEAD" else (data[:half], data[half:])
    return ScriptedResponse(head(len(data), status, media_type, with_common(call, headers)), parts)


def streamed(call: ReceivedRequest, events: Iterable[bytes]) -> ScriptedResponse:
    """Return a stream of events: in chunked coding, but for HTTP/1.0 (RFC 9112, 6.1)."""
    chunked = call.version != "1.0"
    framing = (("Transfer-Encoding", "chunked"),) if chunked else ()
    lines = ["HTTP/1.1 200 OK", f"Content-Type: {STREAM}", "Cache-Control: no-cache"]
    lines += map(": ".join, with_common(call, framing))
    return ScriptedResponse("\r\n".join([*lines, "", ""]).encode("latin-1"), tuple(events), chunked)


def with_common(call: ReceivedRequest, headers: Headers) -> Headers:
    """Add the headers of every response: date, request id (that of the request, if it has one), and the close."""
    common = {"Date": formatdate(usegmt=True), "x-request-id": call.header("x-request-id") or f"req_{uuid.uuid4().hex}"}
    if call.closes:
        common["Connection"] = "close"
    given = {name.lower() for name, _ in headers}
    return (*headers, *(pair for pair in common.items() if pair[0].lower() not in given))


def encoded(body: object) -> bytes:
    """Return bytes as they are, and anything else as JSON; half of a surrogate pair, which UTF-8 lacks, is escaped."""
    return body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode("utf-8", "backslashreplace")


def chunk(data: bytes) -> bytes:
    """Return one chunk of the chunked coding."""
    return b"%x\r\n%b\r\n" % (len(data), data)
