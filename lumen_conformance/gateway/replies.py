"""The replies of the scripted gateway: good answers, and the failures of real gateways.

A reply has the format of its request: that of OpenAI below ``/v1``, that of Lumen elsewhere. In the format of OpenAI a
good answer is a stream if the request asks for one: a proxy may ask in either way.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from lumen_conformance.gateway import openai_requests, openai_routes
from lumen_conformance.gateway.exchange import Exchange, ReceivedRequest, Reply, at_accept
from lumen_conformance.gateway.openai_answers import DONE, call_id, completion, event
from lumen_conformance.gateway.response import JSON, Headers, ScriptedResponse, encoded, head, plain, streamed

__all__ = [
    "HTML",
    "JSON",
    "TIMESTAMP",
    "answer_with",
    "encoded",
    "head",
    "lumen",
    "respond_with",
]  # and the replies below

TIMESTAMP = "2025-10-24T10:09:00"  # the form of the original system: no zone
GARBAGE = b"\x00\x01\x02 this is no HTTP at all \xff\xfe\r\n\r\n"
HTML = b"<!doctype html><title>Service Unavailable</title><h1>Error: Server Error</h1>"  # as Cloud Run sends it
EVENT_MESSAGE = "The server had an error while processing your request."  # of an error event, as OpenAI sends it
_EVENT_BODY = openai_requests.error(EVENT_MESSAGE, "server_error")
BYTE_S = 0.001  # with it most bytes arrive apart on loopback; a thousand of them take 2 s


def lumen(text: str, **fields: object) -> dict[str, object]:
    """Return the body of a Lumen answer; `fields` adds fields or replaces them."""
    answer = {
        "success": True,
        "persona": {"name": "세나"},
        "response": text,
        "sources": ["cache"],
        "timestamp": TIMESTAMP,
    }
    return answer | fields


def respond_with(body: object, status: int = 200, *, media_type: str = JSON, headers: Headers = ()) -> Reply:
    """Return a reply with any body (JSON, or bytes as they are), any status and more headers."""
    data = encoded(body)
    return lambda exchange: plain(exchange.call, data, status, media_type, headers).send(exchange)


def good(call: ReceivedRequest, text: str | None = None, **fields: object) -> ScriptedResponse:
    """Return a good answer with this text, or the echo; `fields` adds to that of Lumen, or replaces."""
    text = call.message if text is None else text
    return openai_routes.respond(call, text) if openai_routes.handles(call) else plain(call, lumen(text, **fields))


def body_for(call: ReceivedRequest, text: str) -> bytes:
    """Return the bytes of a good answer, as they are sent."""
    return good(call, text).framed


def answer_with(text: str, **fields: object) -> Reply:
    """Return a reply with a good answer; `fields` adds to that of Lumen, or replaces."""
    return lambda exchange: good(exchange.call, text, **fields).send(exchange)


def edited(*changes: Callable[[dict[str, Any]], object]) -> Reply:
    """Return a reply that echoes, plain or as a stream, after changes of the answer; for chats of OpenAI only."""

    def send(exchange: Exchange) -> None:
        call = exchange.call
        if not openai_requests.is_openai(call) or openai_requests.refusal(call):
            echo(exchange)
            return
        answer = completion(call, call.message)
        for change in changes:
            change(answer)
        openai_routes.completed(call, answer).send(exchange)

    return send


def call_tools(*tool_calls: dict[str, Any], text: str | None = None) -> Reply:
    """Return a reply that calls tools, with a text beside the calls; for chats of OpenAI only.

    A call has a type and the object of this type: ``{"type": "function", "function": {"name": …, "arguments": …}}``.
    """

    def change(answer: dict[str, Any]) -> None:
        for choice in answer["choices"]:
            calls = [{"id": call_id(), **call} for call in tool_calls]
            choice.update(
                finish_reason="tool_calls", message=choice["message"] | {"content": text, "tool_calls": calls}
            )

    return edited(change)


def stream_in_halves(text: str | None = None, *, midway: Callable[[Exchange], bool] = lambda _: True) -> Reply:
    """Return a reply in two halves, an echo unless a text is given; it goes on if `midway` returns True."""

    def send(exchange: Exchange) -> None:
        response = good(exchange.call, text)
        half = len(response.parts) // 2
        exchange.send(response.head + response.frame(response.parts[:half]))
        if midway(exchange):
            exchange.send(response.frame(response.parts[half:]) + response.end)

    return send


def stream_byte_by_byte(exchange: Exchange) -> None:
    """Send the echo byte by byte; each byte of a stream is one chunk."""
    response = good(exchange.call)
    exchange.send(response.head)
    for value in response.body:
        exchange.send(response.frame([bytes([value])]))
        if not exchange.hold(at_most_s=BYTE_S):
            return
    exchange.send(response.end)


def error_event(exchange: Exchange) -> None:
    """Send the error event of OpenAI in a stream, then its end. Without a stream, close the connection."""
    if not openai_requests.wants_stream(exchange.call):
        exchange.close()
        return
    exchange.send(_failed_stream(exchange).framed)


def error_as_first_event(exchange: Exchange) -> None:
    """Send status 200 and a stream whose first event is an error; without a stream, the error with status 500."""
    if openai_requests.wants_stream(exchange.call):
        _failed_stream(exchange).send(exchange)
    else:
        plain(exchange.call, _EVENT_BODY, 500).send(exchange)


def _failed_stream(exchange: Exchange) -> ScriptedResponse:
    return streamed(exchange.call, [event(_EVENT_BODY), DONE])


def echo(exchange: Exchange) -> None:
    """Answer with the message of the request, so that a test can find its nonce. Other paths answer healthy."""
    call = exchange.call
    if call.method in {"GET", "HEAD"} and not openai_routes.handles(call):
        respond_with({"status": "healthy", "service": "lumen-gateway", "version": "0"})(exchange)
    else:
        good(call).send(exchange)


def cloud_echo(exchange: Exchange) -> None:
    """Answer the same in the format of Cloud AI."""
    respond_with({"response": exchange.call.message, "model": "cloud-ai", "timestamp": TIMESTAMP})(exchange)


def raw(data: bytes) -> Reply:
    """Return a reply that sends these bytes and closes the connection."""

    def send(exchange: Exchange) -> None:
        exchange.send(data)
        exchange.close()

    return send


garbage = raw(GARBAGE)
html = respond_with(HTML, media_type="text/html; charset=utf-8")


@at_accept
def reset_before_reading(exchange: Exchange) -> None:
    """Accept, then reset the connection before a read."""
    exchange.reset()


def reset_after_request(exchange: Exchange) -> None:
    """Read the whole request, then reset the connection without an answer."""
    exchange.reset()


def reset_after_headers(exchange: Exchange) -> None:
    """Send a head that announces a body, then reset the connection."""
    exchange.send(good(exchange.call).head)
    exchange.hold(at_most_s=0.05)  # so that the head is read before the reset discards it
    exchange.reset()


def reset_mid_body(exchange: Exchange) -> None:
    """Send half of the body, then reset the connection."""
    response = good(exchange.call)
    exchange.send(response.head + response.framed[: len(response.framed) // 2])
    exchange.hold(at_most_s=0.05)  # as above
    exchange.reset()


def truncated(exchange: Exchange) -> None:
    """Send half of the body, then close the connection in order: the body is shorter than the head announces."""
    response = good(exchange.call)
    raw(response.head + response.framed[: len(response.framed) // 2])(exchange)


def silent(exchange: Exchange) -> None:
    """Read the request and do not answer, until the client disconnects."""
    exchange.hold()


def gated(gate: threading.Event, then: Reply = echo) -> Reply:
    """Return a reply that answers when the gate opens, unless the client has disconnected."""

    def send(exchange: Exchange) -> None:
        if exchange.hold(gate):
            then(exchange)

    return send


def delayed(by_s: float, then: Reply = echo) -> Reply:
    """Return a reply that sends nothing for these seconds, then answers."""

    def send(exchange: Exchange) -> None:
        if exchange.hold(at_most_s=by_s):
            then(exchange)

    return send


def spread(over_s: float) -> Reply:
    """Return a reply that sends the parts of the echo at equal distances over these seconds."""

    def send(exchange: Exchange) -> None:
        response = good(exchange.call)
        exchange.send(response.head)
        for part in response.parts:
            if not exchange.hold(at_most_s=over_s / len(response.parts)):
                return
            exchange.send(response.frame([part]))
        exchange.send(response.end)

    return send


def drip(gap_s: float, body: object = None) -> Reply:
    """Return a reply that sends the body byte by byte, with a gap after each; the echo unless a body is given."""

    def send(exchange: Exchange) -> None:
        response = good(exchange.call) if body is None else plain(exchange.call, body)
        exchange.send(response.head)
        for value in response.framed:
            if not exchange.hold(at_most_s=gap_s):
                return
            exchange.send(bytes([value]))

    return send


def split(offset: int, gap_s: float = 0.005, body: object = None) -> Reply:
    """Return a reply that sends the body in two pieces, cut at this byte; the gap makes them arrive apart."""

    def send(exchange: Exchange) -> None:
        response = good(exchange.call) if body is None else plain(exchange.call, body)
        exchange.send(response.head + response.framed[:offset])
        if exchange.hold(at_most_s=gap_s):
            exchange.send(response.framed[offset:])

    return send
