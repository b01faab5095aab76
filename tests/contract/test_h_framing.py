"""H6: the legal forms of one request: media types, chunks, names of headers, paths, and Expect: 100-continue."""

import re
from collections.abc import Callable
from functools import partial
from itertools import pairwise

import pytest

from lumen_conformance.contract.expectations import (
    KEEPS_POST,
    describe,
    expect_no_redirect_to_get,
    expect_usual_answer,
)
from lumen_conformance.contract.session import ContractSession, question
from lumen_conformance.http.capture import Capture
from lumen_conformance.http.client import request_bytes, send
from lumen_conformance.http.response_reader import CONTINUE_S
from lumen_conformance.registry.declaration import Check, check, check_each
from lumen_conformance.registry.refutation import NotJudged, expect
from lumen_conformance.targets.endpoint import CHAT

TEXT = "안녕"
CHUNKS = 3
LENGTH_REQUIRED = 411
UPGRADE = (
    ("Connection", "Upgrade, HTTP2-Settings"),
    ("Upgrade", "h2c"),
    ("HTTP2-Settings", "AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA"),  # as Java's HttpClient sends them
)
Change = Callable[[bytes], bytes]


def replace_header(name: str, value: str) -> Change:
    """A function that changes one header of a request."""
    line = re.compile(rb"\r\n" + name.encode() + rb":[^\r]*", re.IGNORECASE)
    return lambda request: line.sub(f"\r\n{name}: {value}".encode(), request, count=1)


def add_headers(*headers: tuple[str, str]) -> Change:
    """A function that adds headers to a request."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return lambda request: request.replace(b"\r\n\r\n", f"\r\n{lines}\r\n".encode(), 1)


def send_in_chunks(request: bytes) -> bytes:
    """The same request with a body in chunks, one of which ends within a character."""
    head, _, body = request.partition(b"\r\n\r\n")
    cuts = sorted({0, len(body) // CHUNKS, body.index(TEXT.encode()) + 1, len(body)})
    parts = [body[start:end] for start, end in pairwise(cuts)]
    framed = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    return re.sub(rb"(?i)content-length:[^\r]*", b"Transfer-Encoding: chunked", head) + b"\r\n\r\n" + framed


def lower_names(request: bytes) -> bytes:
    """The same request with names of headers in lower case."""
    head, end, body = request.partition(b"\r\n\r\n")
    return re.sub(rb"\r\n[\w-]+:", lambda found: found[0].lower(), head) + end + body


FORMS: dict[Check, Change] = {
    Check(
        "H6-charset",
        "M",
        claim="A question with the media type application/json; charset=UTF-8 is answered",
        source="RFC 9110, 8.3.1; AutoDev cannot use such a server (phodal/auto-dev#289); TheoKanning/openai-java#465",
    ): replace_header("Content-Type", "application/json; charset=UTF-8"),
    Check(
        "H6-media-type-case",
        "S",
        claim="A question with the media type Application/JSON is answered, as its case does not matter",
        source="RFC 9110, 8.3.1",
    ): replace_header("Content-Type", "Application/JSON"),
    Check(
        "H6-chunked",
        "M",
        claim="A question whose body is sent in chunks is answered",
        source="RFC 9112, 7.1; Roo Code sends it, and ds4-server refused it (antirez/ds4#423)",
    ): send_in_chunks,
    Check(
        "H6-names-lower",
        "M",
        claim="A question whose headers have names in lower case is answered",
        source="RFC 9110, 5.1; Codex 0.135.0 sends it, and aimee read no body (RakuenSoftware/aimee#27)",
    ): lower_names,
}


def question_bytes(proxy: ContractSession, path: str = CHAT) -> bytes:
    """A question as bytes, with the headers of the target."""
    body = proxy.with_target_model(question(TEXT))
    return request_bytes(proxy.server.url, "POST", path, json=body, headers=proxy.server.with_headers())


def ask(proxy: ContractSession, request: bytes, *, apart: bool = False) -> Capture:
    """Send these bytes, with the time that an answer of the target may take."""
    return proxy.ask_within_limit(
        partial(send, proxy.server.url, request, timeout_s=proxy.target.answer_s, apart=apart)
    )


@check_each("change", FORMS)
def test_form_of_request(change: Change, proxy: ContractSession) -> None:
    """A question in another legal form is answered."""
    if change is send_in_chunks and ask_in_chunks(proxy).status == LENGTH_REQUIRED:
        raise NotJudged("the target asks for a Content-Length", ("H6-chunked-length",))
    capture = ask_in_chunks(proxy) if change is send_in_chunks else ask(proxy, change(question_bytes(proxy)))
    expect_usual_answer(proxy, capture, TEXT)


def ask_in_chunks(proxy: ContractSession) -> Capture:
    """Ask, with a body in chunks."""
    return proxy.once("in_chunks", lambda: ask(proxy, send_in_chunks(question_bytes(proxy))))


@check(
    "H6-chunked-length",
    tier="S",
    source="RFC 9112, 6.3: a server may answer 411; antirez/ds4#423: Roo Code sends it",
)
def test_length_is_not_required(proxy: ContractSession) -> None:
    """A question whose body is sent in chunks is not refused for the lack of a Content-Length."""
    capture = ask_in_chunks(proxy)
    expect(capture.status != LENGTH_REQUIRED, "any other status than 411, Length Required", describe(capture))


@check(
    "H6-apart",
    source="RFC 9293, 3.7: TCP is a stream of bytes; httpcore 1.0, below openai-python, sends head and body apart",
)
def test_parts_of_a_request(proxy: ContractSession) -> None:
    """A question is answered whose head and two parts of the body come one after the other."""
    expect_usual_answer(proxy, ask(proxy, question_bytes(proxy), apart=True), TEXT)


@check(
    "H6-upgrade",
    source="RFC 9110, 7.8; Java's HttpClient sends it: lmstudio-ai/lmstudio-bug-tracker#1079, Soju06/codex-lb#1760",
)
def test_upgrade(proxy: ContractSession) -> None:
    """A question that offers HTTP/2 by Upgrade: h2c is answered, or the offer is accepted."""
    if proxy.server.url.startswith("https:"):
        pytest.skip("not applicable: clients offer h2c over http only")
    capture = ask(proxy, add_headers(*UPGRADE)(question_bytes(proxy)))
    if not capture.raw.startswith(b"HTTP/1.1 101 "):
        expect_usual_answer(proxy, capture, TEXT)


@check("H6-query", tier="S", source="RFC 3986, 3.3 and 3.4; default_query of the OpenAI libraries adds it to every URL")
def test_query(proxy: ContractSession) -> None:
    """A query after the path does not change the path: it is ignored, or refused by its name."""
    capture = proxy.post(question(TEXT), f"{CHAT}?api-version=2024-10-21&trace=a/b")
    if capture.status != 400 or not any(name in capture.text for name in ("api-version", "trace")):
        expect_usual_answer(proxy, capture, TEXT)


@check_each(
    "path",
    {"H6-slashes-first": f"/{CHAT}", "H6-slashes-within": CHAT.replace("/v1/", "/v1//")},
    tier="S",
    source="base URLs with a slash at their end (BerriAI/litellm#8350, cline/cline#12532); RFC 9110, 15.4",
)
def test_doubled_slashes(path: str, proxy: ContractSession) -> None:
    """A path with a doubled slash ({path}) gets an answer or a 4xx, and no redirect from POST to GET."""
    capture = proxy.post(question(TEXT), path)
    expect_no_redirect_to_get(capture)
    if capture.status == 200:
        expect_usual_answer(proxy, capture, TEXT)
    refused = capture.status in KEEPS_POST or capture.is_client_error
    expect(capture.status == 200 or refused, "an answer, or a status from 400 to 499", describe(capture))


def ask_expecting(proxy: ContractSession) -> Capture:
    """Ask, and wait for 100 Continue before the body is sent."""
    return proxy.once("expecting", lambda: ask(proxy, add_headers(("Expect", "100-continue"))(question_bytes(proxy))))


@check("H6-expect", tier="S", source="RFC 9110, 10.1.1: 417 is for other expectations; curl sends it with large bodies")
def test_expectation(proxy: ContractSession) -> None:
    """A question with Expect: 100-continue is answered."""
    expect_usual_answer(proxy, ask_expecting(proxy), TEXT)


@check("H6-expect-continue", tier="S", source="RFC 9110, 10.1.1; curl waits 1 s for it, other clients longer")
def test_continue(proxy: ContractSession) -> None:
    """A client that expects 100 Continue gets it before it sends the body."""
    capture = ask_expecting(proxy)
    if capture.status != 200:
        raise NotJudged(f"the question is not answered: {describe(capture)}", ("H6-expect",))
    waited_s = capture.elapsed_s - capture.ended_s
    expect(waited_s < CONTINUE_S, f"HTTP/1.1 100 Continue within {CONTINUE_S:g} s of the head", "none before the body")
