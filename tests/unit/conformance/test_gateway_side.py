"""The record of an exchange says what the server asked the scripted gateway meanwhile, and what that answered."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable

from lumen_conformance.contract.gateway_side import MOST_REQUESTS, SHOWN_ANSWER_BYTES, gateway_side
from lumen_conformance.gateway.exchange import Exchange, ReceivedRequest, SentBytes
from lumen_conformance.gateway.received import RECEIVED, ReceivedLog
from lumen_conformance.gateway.replies import reset_after_request, respond_with
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http.capture import Capture
from lumen_conformance.http.client import call
from lumen_conformance.http.exchange_record import SHOWN_BYTES
from lumen_conformance.registry.redaction import MASK, hide

KEY = "k3y-of-the-gateway-side"
PATH = "/v1/chat/completions"


def ask(gateway: ScriptedGateway, text: str = "hi", **how: object) -> Capture:
    """Return an exchange with the gateway itself, which is its own server."""
    body = {"model": "m", "messages": [{"role": "user", "content": text}]}
    return call(gateway.url, "POST", PATH, json=body, **how)  # type: ignore[arg-type]


def test_request_and_answer(gateway: ScriptedGateway) -> None:
    """Method, path and body of what the gateway received are in the record, and the first bytes of its answer."""
    ask(gateway, "before")
    capture = ask(gateway, "the question")
    ask(gateway, "after")
    found = gateway_side(capture)
    (one,) = found["requests"]
    assert (one["line"], one["bytes"], found["more"]) == (f"POST {PATH} HTTP/1.1", len(capture.request_body), 0)
    assert "the question" in one["body"]
    assert one["answer"].startswith("HTTP/1.1 200 ")
    assert one["answer_bytes"] == len(capture.raw)
    assert 0 <= one["at"] <= capture.elapsed_s


def test_parts_are_cut_and_masked(gateway: ScriptedGateway) -> None:
    """A long request and a long answer are cut, after their secrets are masked."""
    hide(KEY)
    with gateway.replying(respond_with({"key": KEY, "long": "b" * 20_000})):
        found = gateway_side(ask(gateway, KEY + "a" * 20_000))
    (one,) = found["requests"]
    assert KEY not in json.dumps(found)
    assert MASK in one["body"]
    assert MASK in one["answer"]
    assert (len(one["body"]), len(one["answer"])) == (SHOWN_BYTES, SHOWN_ANSWER_BYTES)


def test_a_reset_is_the_answer(gateway: ScriptedGateway) -> None:
    """A reply that resets the connection has sent no byte."""
    with gateway.replying(reset_after_request):
        (one,) = gateway_side(ask(gateway))["requests"]
    assert (one["answer"], one["answer_bytes"], one["ended"]) == ("", 0, "reset")


def test_no_request(gateway: ScriptedGateway) -> None:
    """A server that answers by itself has asked nothing."""
    gateway.down()
    assert gateway_side(ask(gateway)) == {"requests": [], "more": 0}


def test_most_requests_are_counted(gateway: ScriptedGateway) -> None:
    """Of many requests during one exchange the first ones are shown, and the number of the others."""
    own = threading.Event()

    def repeated(exchange: Exchange) -> None:
        gateway.standing = respond_with({})
        begin_s = time.monotonic()
        for each in range(MOST_REQUESTS + 1):
            received = ReceivedRequest(each, 9, "GET", "/again", (), b"", begin_s)
            RECEIVED.add(received, SentBytes())
        own.set()
        respond_with({})(exchange)

    with gateway.replying(repeated):
        found = gateway_side(ask(gateway))
    assert own.is_set()
    assert (len(found["requests"]), found["more"]) == (MOST_REQUESTS, 2)


def test_exchanges_at_the_same_time_have_none(gateway: ScriptedGateway) -> None:
    """Where another exchange ran meanwhile, nobody knows whose request it was: the record says so."""
    during: list[Capture] = []

    def asks_again(exchange: Exchange) -> None:
        gateway.standing = respond_with({})
        during.append(call(gateway.url, "GET", "/health"))
        respond_with({})(exchange)

    with gateway.replying(asks_again):
        outer = ask(gateway)
    unknown = {"requests": None, "more": 0}
    assert [gateway_side(each) for each in (outer, *during)] == [unknown, unknown]


def test_an_exchange_of_another_client_has_none() -> None:
    """What did not go through the client of the suite has no known neighbours."""
    assert gateway_side(Capture("http://h/", b"GET / HTTP/1.1\r\n\r\n"))["requests"] is None


def test_what_is_forgotten_is_not_denied() -> None:
    """A log that has dropped a part of the time says nothing about it."""
    log = ReceivedLog()
    make: Callable[[float], ReceivedRequest] = lambda at_s: ReceivedRequest(1, 1, "GET", "/", (), b"", at_s)  # noqa: E731
    assert log.between(0.0, 9.0) == []
    for at_s in range(1, (log.entries.maxlen or 0) + 2):
        log.add(make(float(at_s)), SentBytes())
    assert log.between(0.5, 9.0) is None
    assert [each.at_mono_s for each, _ in log.between(1.5, 3.0) or ()] == [2.0, 3.0]
