"""H1, H2: methods, paths, connections and request ids."""

from collections.abc import Sequence

import pytest

from lumen_conformance.contract.expectations import (
    KEEPS_POST,
    describe,
    expect_answer,
    expect_header,
    expect_no_redirect_to_get,
)
from lumen_conformance.contract.session import ContractSession, question
from lumen_conformance.http.capture import LAST_CAPTURE
from lumen_conformance.http.client import Capture
from lumen_conformance.http.documents import answer_json
from lumen_conformance.registry.declaration import check, check_each
from lumen_conformance.registry.refutation import NotJudged, expect
from lumen_conformance.targets.endpoint import CHAT

REDIRECTS = "RFC 9110, 15.4.2 and 15.4.3: clients may change POST to GET"
PERSISTENCE = "RFC 9112, 9.3"
CLIENT_REQUEST_ID = "docs/behaviour.md; clients find a request in the server's log by this id"
TEN = 10  # requests on one connection
IDLE_S = 3.0  # of a program between two requests; uvicorn and Node keep an idle connection for 5 s, gunicorn for 2 s
BODY_CHECKS = {"/health": "H4-health", "/v1/models": "H3-list"}  # they fail when the response has no body


@check_each(
    "path",
    {"H1-head-health": "/health", "H1-head-models": "/v1/models", "H1-head-nowhere": "/nothing"},
    tier="S",
    source="RFC 9110, 9.3.2",
)
def test_head(path: str, proxy: ContractSession) -> None:
    """HEAD ({path}) gets the status of GET and no body, and the connection can be used again."""
    alone = proxy.call("GET", path)  # on a new connection: bytes after a head would be read as the next response
    with proxy.server.connection() as connection:
        head, get = (proxy.call_on(connection, method, path) for method in ("HEAD", "GET"))
    if get.ended == "complete" and not get.body and path in BODY_CHECKS:
        raise NotJudged(f"GET {path} has no body: {describe(get)}", (BODY_CHECKS[path],))
    wanted = f"status {alone.status} as with GET, complete and without a body"
    bare = (head.status, head.ended, head.raw) == (alone.status, "complete", head.raw_head)
    expect(bare, wanted, f"{describe(head)}, {len(head.raw) - len(head.raw_head)} bytes after the head")
    expect(get.ended == "complete", "a complete response to the GET that follows", describe(get))


@check_each(
    "path", {"H1-slash-chat": f"{CHAT}/", "H1-slash-chat-bare": "/chat/completions/"}, tier="S", source=REDIRECTS
)
def test_trailing_slash(path: str, proxy: ContractSession) -> None:
    """A path with a trailing slash ({path}) gets an answer or an error object, and no redirect from POST to GET."""
    capture = proxy.post(question("안녕"), path)
    expect_no_redirect_to_get(capture)
    if capture.status not in KEEPS_POST and not answer_json(capture).get("error"):
        expect_answer(proxy, capture, "안녕")


@pytest.fixture(scope="module")
def ten_answers(proxy: ContractSession) -> list[Capture]:
    """The answers to ten questions on one connection; on new ones where a response ends it and says so."""
    with proxy.server.connection() as connection:
        return [proxy.call_on(connection, "POST", CHAT, json=question(f"{number}번째")) for number in range(TEN)]


@pytest.fixture(scope="module")
def refused_and_answered(proxy: ContractSession) -> list[Capture]:
    """The responses to three bad requests and to a good one, in the same way."""
    bodies: list[object] = [[], {}, question("안녕", n=0)]
    with proxy.server.connection() as connection:
        refused = [proxy.call_on(connection, "POST", CHAT, json=body) for body in bodies]
        answer = proxy.call_on(connection, "POST", CHAT, json=question("안녕"))
    if not any(each.is_error for each in refused):
        raise NotJudged("no request is refused", ("F2-body-list", "F2-messages-missing"))
    return [*refused, answer]


@check("H2-ten", tier="S", source=f"{PERSISTENCE}; 9.6: a server that closes a connection says so")
def test_ten_on_one_connection(ten_answers: list[Capture], proxy: ContractSession) -> None:
    """Ten requests succeed on one connection, or on another one where the response before it says close."""
    for number, capture in enumerate(ten_answers):
        expect_answer(proxy, capture, f"{number}번째", at=f"request {number + 1} of {TEN} on one connection")


@check("H2-kept", tier="W", source=f"{PERSISTENCE}; 9.6: a server may close; each new connection takes time")
def test_connection_is_kept(ten_answers: list[Capture]) -> None:
    """Ten requests use one connection."""
    expect_one_connection(ten_answers, "H2-ten")


@check("H2-after-idling", tier="W", source=f"{PERSISTENCE}; 9.5: a server may close an idle connection at any time")
def test_after_idling(proxy: ContractSession) -> None:
    """A connection can be used again after a pause."""
    with proxy.server.connection() as connection:
        first = proxy.call_on(connection, "POST", CHAT, json=question("하나"))
        expect_answer(proxy, first, "하나", at="before the pause")
        expect(connection.stays_open(IDLE_S), f"a connection that stays open for {IDLE_S} s", "closed by the server")
        second = proxy.call_on(connection, "POST", CHAT, json=question("안녕"))
    expect_answer(proxy, second, "안녕", at="after the pause")


@check("H2-after-refusals", tier="S", source=f"{PERSISTENCE}; 9.6: a server that closes a connection says so")
def test_after_refusals(refused_and_answered: list[Capture], proxy: ContractSession) -> None:
    """After an error the connection can be used, or the error says close."""
    expect_answer(proxy, refused_and_answered[-1], "안녕", at="on a connection after errors")


@check("H2-kept-after-refusals", tier="W", source=f"{PERSISTENCE}; 9.6: a server may close")
def test_connection_is_kept_after_refusals(refused_and_answered: list[Capture]) -> None:
    """An error does not end the connection."""
    expect_one_connection(refused_and_answered, "H2-after-refusals")


def expect_one_connection(answers: Sequence[Capture], responsible: str) -> None:
    """All responses came on one connection; not judged when one of them did not come."""
    LAST_CAPTURE.record(answers[-1])
    if lost := next((each for each in answers if each.status is None), None):
        raise NotJudged(f"a request gets no response: {describe(lost)}", (responsible,))
    opened = len({capture.connection for capture in answers})
    ended = sum(any(word.lower() == "close" for word in capture.header_all("connection")) for capture in answers)
    found = f"{opened} connections; {ended} of {len(answers)} responses have Connection: close"
    expect(opened == 1, f"{len(answers)} requests on 1 connection", found)


REQUEST_IDS = {
    "H2-id-plain": ("POST", CHAT, question("안녕")),
    "H2-id-stream": ("POST", CHAT, question("안녕", stream=True)),
    "H2-id-refusal": ("POST", CHAT, {"messages": []}),
    "H2-id-nowhere": ("GET", "/nothing", None),
    "H2-id-models": ("GET", "/v1/models", None),
}


@check_each("request_parts", REQUEST_IDS, tier="S", source=CLIENT_REQUEST_ID)
def test_request_id_is_kept(request_parts: tuple[str, str, object], proxy: ContractSession) -> None:
    """The response has the x-request-id of the request."""
    method, path, body = request_parts
    capture = proxy.call(method, path, json=body, headers=[("X-Request-Id", "caller-0815")])
    expect_header(capture, "X-Request-Id", "caller-0815")
