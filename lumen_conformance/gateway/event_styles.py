"""The ways in which gateways write the events of a stream. All are legal server-sent events (WHATWG HTML, 9.2)."""

from __future__ import annotations

import json
from collections.abc import Callable

from lumen_conformance.gateway.exchange import Exchange, Reply
from lumen_conformance.gateway.openai_answers import event
from lumen_conformance.gateway.openai_requests import JsonObject, wants_stream
from lumen_conformance.gateway.replies import good
from lumen_conformance.gateway.response import streamed

Style = Callable[[tuple[bytes, ...]], tuple[bytes, ...]]
"""From events to the parts of a body; each part is sent as one chunk of the chunked coding."""


def each_event(change: Callable[[bytes], bytes]) -> Style:
    """Return a style that changes every event."""
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
    "comments": lambda sent: (b": keep-alive\n\n", b":\n\n", *(b": next\n" + each for each in sent)),
    "blank-lines": each_event(lambda sent: b"\n\n" + sent + b"\n"),
    "event-lines": each_event(lambda sent: b"id: 7\nevent: message\n" + sent),
    "crlf": each_event(lambda sent: sent.replace(b"\n", b"\r\n")),
    "no-space": each_event(lambda sent: sent.replace(b"data: ", b"data:", 1)),
    "one-packet": lambda sent: (b"".join(sent),),
    "large-event": in_one_delta,
    "no-final-blank-line": lambda sent: (*sent[:-1], sent[-1].rstrip(b"\n")),
    "data-lines": each_event(split_data),
}


def in_style(style: Style, text: str) -> Reply:
    """Return a reply that streams a text in this style; a plain request gets a plain answer."""

    def send(exchange: Exchange) -> None:
        response = good(exchange.call, text)
        if wants_stream(exchange.call):
            response = streamed(exchange.call, style(response.parts))
        response.send(exchange)

    return send
