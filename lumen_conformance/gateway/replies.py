"""What a gateway can answer, and every way of failing that has been seen in the field.

It answers in the format in which it is asked: OpenAI's below ``/v1``, Lumen's elsewhere. In OpenAI's format every valid
answer is a stream or plain as the request asks, whatever is scripted: a proxy may ask in either way.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from lumen_conformance.gateway import openai_requests, openai_routes
from lumen_conformance.gateway.exchange import Exchange, ReceivedRequest, Reply, at_accept
from lumen_conformance.gateway.openai_answers import DONE, event
from lumen_conformance.gateway.response import JSON, Headers, Response, encoded, head, plain, streamed

__all__ = ["HTML", "JSON", "TIMESTAMP", "answers", "encoded", "head", "lumen", "says"]  # and the replies below

TIMESTAMP = "2025-10-24T10:09:00"  # the form of the original system: no zone
GARBAGE = b"\x00\x01\x02 this is no HTTP at all \xff\xfe\r\n\r\n"
HTML = b"<!doctype html><title>Service Unavailable</title><h1>Error: Server Error</h1>"  # as Cloud Run says it
BYTE_S = 0.001  # with it most bytes arrive apart on loopback; a thousand of them take 2 s


def lumen(text: str, **fields: object) -> dict[str, object]:
    """The body of a Lumen answer; `fields` adds to it or replaces."""
    answer = {
        "success": True,
        "persona": {"name": "세나"},
        "response": text,
        "sources": ["cache"],
        "timestamp": TIMESTAMP,
    }
    return answer | fields


def says(body: object, status: int = 200, *, media_type: str = JSON, headers: Headers = ()) -> Reply:
    """Any body (JSON, or bytes as they are) with any status and more headers."""
    data = encoded(body)
    return lambda exchange: plain(exchange.call, data, status, media_type, headers).send(exchange)


def good(call: ReceivedRequest, text: str | None = None, **fields: object) -> Response:
    """A good answer with this text, or the echo; `fields` add to that of Lumen, or replace."""
    text = call.message if text is None else text
    return openai_routes.respond(call, text) if openai_routes.handles(call) else plain(call, lumen(text, **fields))


def body_for(call: ReceivedRequest, text: str) -> bytes:
    """The bytes of a good answer, as they are sent."""
    return good(call, text).framed


def answers(text: str, **fields: object) -> Reply:
    """A good answer with this text; `fields` add to that of Lumen, or replace."""
    return lambda exchange: good(exchange.call, text, **fields).send(exchange)


def streams(text: str | None = None, *, midway: Callable[[Exchange], bool] = lambda _: True) -> Reply:
    """A good answer in two halves; the echo unless a text is given. Between them `midway` says whether it goes on."""

    def play(exchange: Exchange) -> None:
        response = good(exchange.call, text)
        half = len(response.parts) // 2
        exchange.send(response.head + response.frame(response.parts[:half]))
        if midway(exchange):
            exchange.send(response.frame(response.parts[half:]) + response.end)

    return play


def stream_byte_by_byte(exchange: Exchange) -> None:
    """The echo, whose bytes arrive one by one; those of a stream are chunks of their own."""
    response = good(exchange.call)
    exchange.send(response.head)
    for value in response.body:
        exchange.send(response.frame([bytes([value])]))
        if not exchange.hold(at_most_s=BYTE_S):
            return
    exchange.send(response.end)


def error_event(exchange: Exchange) -> None:
    """In mid-stream: OpenAI's error event, then an orderly end. A plain body has no place for it and is cut."""
    if not openai_requests.wants_stream(exchange.call):
        exchange.close()
        return
    body = openai_requests.error("The server had an error while processing your request.", "server_error")
    response = streamed(exchange.call, [event(body), DONE])
    exchange.send(response.framed)


def echo(exchange: Exchange) -> None:
    """Repeat the message, so that a nonce can be seen all the way. Other endpoints say that all is well."""
    call = exchange.call
    if call.method in {"GET", "HEAD"} and not openai_routes.handles(call):
        says({"status": "healthy", "service": "lumen-gateway", "version": "0"})(exchange)
    else:
        good(call).send(exchange)


def cloud_echo(exchange: Exchange) -> None:
    """The same as Cloud AI says it."""
    says({"response": exchange.call.message, "model": "cloud-ai", "timestamp": TIMESTAMP})(exchange)


def raw(data: bytes) -> Reply:
    """These very bytes, then the end of the connection."""

    def play(exchange: Exchange) -> None:
        exchange.send(data)
        exchange.close()

    return play


garbage = raw(GARBAGE)
html = says(HTML, media_type="text/html; charset=utf-8")


@at_accept
def reset_before_reading(exchange: Exchange) -> None:
    """Accept, then reset although nothing was read."""
    exchange.reset()


def reset_after_request(exchange: Exchange) -> None:
    """Read the whole request, then reset without a word: the work may have been done."""
    exchange.reset()


def reset_after_headers(exchange: Exchange) -> None:
    """A head that promises a body, then a reset."""
    exchange.send(good(exchange.call).head)
    exchange.hold(at_most_s=0.05)  # so that the head is read before the reset discards it
    exchange.reset()


def reset_mid_body(exchange: Exchange) -> None:
    """Half of the body, then a reset."""
    response = good(exchange.call)
    exchange.send(response.head + response.framed[: len(response.framed) // 2])
    exchange.hold(at_most_s=0.05)  # as above
    exchange.reset()


def truncated(exchange: Exchange) -> None:
    """Half of the body, then an orderly end: shorter than the head has promised."""
    response = good(exchange.call)
    raw(response.head + response.framed[: len(response.framed) // 2])(exchange)


def silent(exchange: Exchange) -> None:
    """Read the request and never answer, until the client leaves."""
    exchange.hold()


def gated(gate: threading.Event, then: Reply = echo) -> Reply:
    """Answer when the gate opens; a client that has left by then gets nothing."""

    def play(exchange: Exchange) -> None:
        if exchange.hold(gate):
            then(exchange)

    return play


def dripping(gap_s: float, body: object = None) -> Reply:
    """The body byte by byte, with a gap after each; the echo unless another body is given."""

    def play(exchange: Exchange) -> None:
        response = good(exchange.call) if body is None else plain(exchange.call, body)
        exchange.send(response.head)
        for value in response.framed:
            if not exchange.hold(at_most_s=gap_s):
                return
            exchange.send(bytes([value]))

    return play


def split(offset: int, gap_s: float = 0.005, body: object = None) -> Reply:
    """The body in two pieces, cut at this byte: with the gap they arrive apart on loopback."""

    def play(exchange: Exchange) -> None:
        response = good(exchange.call) if body is None else plain(exchange.call, body)
        exchange.send(response.head + response.framed[:offset])
        if exchange.hold(at_most_s=gap_s):
            exchange.send(response.framed[offset:])

    return play
