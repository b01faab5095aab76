"""The ways in which gateways write the events of a stream.

All but one are legal server-sent events (WHATWG HTML, 9.2): a reader may discard an event without its blank line.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import NamedTuple

from lumen_conformance.gateway.exchange import Exchange, Reply
from lumen_conformance.gateway.openai_answers import event
from lumen_conformance.gateway.openai_requests import JsonObject, wants_stream
from lumen_conformance.gateway.replies import good
from lumen_conformance.gateway.response import streamed

Write = Callable[[tuple[bytes, ...]], tuple[bytes, ...]]
"""From events to the parts of a body; each part is sent as one chunk of the chunked coding."""


class Style(NamedTuple):
    """One way to write events, and what a gateway does that writes them so."""

    description: str
    write: Write


def each_event(change: Callable[[bytes], bytes]) -> Write:
    """Return a function that changes every event."""
    return lambda sent: tuple(map(change, sent))


def split_data(sent: bytes) -> bytes:
    """Return an event with a data line for each line of its JSON."""
    data = sent.removeprefix(b"data: ").strip()
    lines = [data] if data == b"[DONE]" else json.dumps(json.loads(data), indent=1).encode().split(b"\n")
    return b"".join(b"data: " + line + b"\n" for line in lines) + b"\n"


def in_one_delta(sent: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Return the events with all text in the delta of the first one that has text."""
    *chunks, done = sent
    values = [json.loads(each.removeprefix(b"data: ")) for each in chunks]
    first = next(value for value in values if _content(value))
    text = "".join(map(_content, values))
    kept = [value for value in values if value is first or not _content(value)]
    first["choices"][0]["delta"]["content"] = text
    return (*map(event, kept), done)


def _content(chunk: JsonObject) -> str:
    return "".join(choice["delta"].get("content") or "" for choice in chunk["choices"])


STYLES: dict[str, Style] = {
    "comments": Style(
        "writes comments", lambda sent: (b": keep-alive\n\n", b":\n\n", *(b": next\n" + each for each in sent))
    ),
    "blank-lines": Style("writes blank lines between its events", each_event(lambda sent: b"\n\n" + sent + b"\n")),
    "event-lines": Style("names and numbers its events", each_event(lambda sent: b"id: 7\nevent: message\n" + sent)),
    "crlf": Style("ends its lines with CRLF", each_event(lambda sent: sent.replace(b"\n", b"\r\n"))),
    "no-space": Style("writes no space after data:", each_event(lambda sent: sent.replace(b"data: ", b"data:", 1))),
    "one-packet": Style("sends all events in one chunk", lambda sent: (b"".join(sent),)),
    "large-event": Style("sends an event larger than 64 KB", in_one_delta),
    "no-final-blank-line": Style("ends without a blank line", lambda sent: (*sent[:-1], sent[-1].rstrip(b"\n"))),
    "data-lines": Style("writes an event on several data lines", each_event(split_data)),
}


def in_style(style: Style, text: str) -> Reply:
    """Return a reply that streams a text in this style; a plain request gets a plain answer."""

    def send(exchange: Exchange) -> None:
        response = good(exchange.call, text)
        if wants_stream(exchange.call):
            response = streamed(exchange.call, style.write(response.parts))
        response.send(exchange)

    return send
