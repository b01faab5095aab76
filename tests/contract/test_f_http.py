"""F3: wrong addresses, methods, sizes, media types and keys: the right status, without a reset.

The envelope of those that client libraries can provoke is asked for in `test_f_errors.py`, once for each kind.
"""

from collections.abc import Callable

from lumen_conformance.checks.catalogue import JUDGES, judges
from lumen_conformance.contract.exchanges import JSON, UNPROVOKED, exchange_of, of_type
from lumen_conformance.contract.expectations import (
    describe,
    expect_answer,
    expect_client_error,
    expect_complete,
    expect_status,
    expect_word_in_header,
)
from lumen_conformance.contract.prerequisites import RESPONSIBLE, need_answers, need_refusal, responsible
from lumen_conformance.contract.session import KEY, Demand, Talk, question
from lumen_conformance.gateway.exchange import ReceivedRequest
from lumen_conformance.http.client import Capture
from lumen_conformance.registry.declaration import Check, check, check_each
from lumen_conformance.registry.refutation import NotJudged, expect
from lumen_conformance.targets.endpoint import CHAT

OVERSIZE_BYTES = 1_048_576 + 1  # one beyond the limit of behaviour.md
HUGE_BYTES = 16 * 1_048_576  # far beyond it: still no reset
Send = Callable[[Talk], Capture]
FORM = (*judges("F1.1"), *judges("B1.5"), *judges("B1", "F1"))  # the first that fails says why others cannot be judged


def oversize(talk: Talk, total_bytes: int = OVERSIZE_BYTES) -> Capture:
    """A healthy request but for its size."""
    frame = len(b'{"model":"lumen-gateway","messages":[{"role":"user","content":""}]}')
    text = b"x" * (total_bytes - frame)
    body = b'{"model":"lumen-gateway","messages":[{"role":"user","content":"' + text + b'"}]}'
    return talk.call("POST", CHAT, body=body, headers=[JSON])


# Methods that the OpenAI API does not document: GET on chats lists those that were stored.
ROUTES: dict[Check, tuple[Send, tuple[int, ...]]] = {
    Check("F3.unknown-route", "S"): (lambda talk: talk.lost, (404,)),
    Check("F3.unknown-route-post", "S"): (lambda talk: talk.post(question(), "/v1/chat/completion"), (404,)),
    Check("F3.unknown-route-root", "S"): (lambda talk: talk.call("GET", "/nothing-here"), (404,)),
    Check("F3.unknown-model", "S"): (lambda talk: exchange_of(talk, "unknown_model"), (404,)),
    Check("F3.malformed", "S"): (lambda talk: talk.malformed, (400,)),
    Check("F3.wrong-method-put", "S"): (lambda talk: exchange_of(talk, "wrong_method"), (405,)),
    Check("F3.wrong-method-patch", "S"): (lambda talk: talk.call("PATCH", CHAT, json=question()), (405,)),
    Check("F3.wrong-method-delete", "S"): (lambda talk: talk.call("DELETE", "/v1/models"), (405,)),
    Check("F3.media-type-form", "S"): (lambda talk: of_type(talk, "application/x-www-form-urlencoded"), (400, 415)),
    Check("F3.media-type-text", "S"): (lambda talk: exchange_of(talk, "wrong_media_type"), (400, 415)),
    Check("F3.media-type-none", "S"): (lambda talk: of_type(talk, None), (400, 415)),
}
EXACT: dict[str, tuple[Send, int]] = {
    "F3.exact-413": (oversize, 413),
    "F3.exact-415": (lambda talk: of_type(talk, "text/plain"), 415),
}


@check_each("row", ROUTES)
def test_http_errors(row: tuple[Send, tuple[int, ...]], talk: Talk) -> None:
    """An HTTP error has its own status, on an orderly connection."""
    send, statuses = row
    seen = send(talk)
    expect_status(seen, *statuses)
    expect_complete(seen)


@check_each("exchange", {f"{RESPONSIBLE[name]}.form": name for name in UNPROVOKED}, tier="S")
def test_form(exchange: str, talk: Talk, demand: Demand) -> None:
    """The refusal of what no client library sends has the form of all others."""
    seen = exchange_of(talk, exchange)
    need_answers(talk, seen)
    need_refusal(seen, responsible(talk.target, exchange))
    for judge in FORM:
        demand(judge, seen)


@check_each("total_bytes", {"F3.oversize": OVERSIZE_BYTES, "F3.oversize-huge": HUGE_BYTES})
def test_oversize(total_bytes: int, talk: Talk) -> None:
    """A request that is too large is refused, never reset; a foreign target may have room for it."""
    seen = oversize(talk, total_bytes)
    need_answers(talk, seen)
    if seen.ended == "timeout" and talk.target.profile != "lumen":  # a model may read megabytes for minutes
        raise NotJudged(f"after {talk.target.answer_s} s, --proxy-timeout, there is no end: {describe(seen)}", ())
    expect_complete(seen)  # not reset while it is sent, either: most clients read no further
    expect_status(seen, *([200] if talk.target.profile != "lumen" else []), 400, 413)


@check_each("row", EXACT, tier="S")
def test_exact_status(row: tuple[Send, int], talk: Talk) -> None:
    """The status is the one that RFC 9110 has for it."""
    expect_status(row[0](talk), row[1])


@check("F3.allow", tier="S")
def test_allow(talk: Talk) -> None:
    """A wrong method is answered with the methods that are right."""
    seen = exchange_of(talk, "wrong_method")
    if seen.status != 405:
        raise NotJudged(f"the status is {seen.status}, not 405", ("F3.wrong-method-put",))
    expect_word_in_header(seen, "Allow", "POST")


@check("F3.limit-is-inclusive", tier="S")
def test_as_large_as_allowed(talk: Talk) -> None:
    """A request as large as the limit is not refused for its size."""
    seen = oversize(talk, OVERSIZE_BYTES - 1)
    expect(seen.status not in {413, None}, "a status other than 413", describe(seen))


KEYS = {
    "F3.no-key": "",
    "F3.wrong-key": "Bearer sk-wrong-6b1e77",
    "F3.key-of-another-scheme": "Basic {key}",
    "F3.key-cut": "Bearer {cut}",
    "F3.key-not-ascii": "Bearer 열쇠",
}
GUARDED = ("/v1/models", "/models", "/metrics")


@check_each("authorization", KEYS)
def test_key_refused(authorization: str, locked: Talk, demand: Demand) -> None:
    """Without the key a request is refused, and the refusal shows neither the right key nor the one that was sent."""
    seen = locked.with_key(authorization)
    expect_client_error(seen)
    shown = (locked.target.api_key or KEY).encode() in seen.raw_head + seen.body
    expect(not shown, "a refusal without the right key", "the right key in its headers or its body")
    demand(JUDGES["F6.4"], seen)


@check_each("authorization", {f"{name}.status": sent for name, sent in KEYS.items()}, tier="S")
def test_status_of_a_refused_key(authorization: str, locked: Talk) -> None:
    """Without the key the status is 401."""
    expect_status(locked.with_key(authorization), 401)


@check("F3.right-key")
def test_key_accepted(locked: Talk) -> None:
    """With the key the answer comes."""
    expect_answer(locked, locked.with_key("Bearer {key}"), "안녕")


@check("F3.key-guards-models")
def test_key_guards_models(locked: Talk) -> None:
    """The models need the key, the health does not."""
    for path in GUARDED:
        expect_client_error(locked.call("GET", path))
    expect_status(locked.call("GET", "/health"), 200)


@check("F3.key-guards-models.status", tier="S")
def test_status_of_guarded_models(locked: Talk) -> None:
    """Without the key the models have status 401."""
    for path in GUARDED:
        expect_status(locked.call("GET", path), 401)


@check("F3.key-stays-here")
def test_key_stays_here(locked: Talk) -> None:
    """The caller's key never goes to the gateway."""
    before = len(locked.gateway.chats)
    seen = locked.with_key("Bearer {key}")
    asked = locked.gateway.chats[before:]
    expect(bool(asked), "a request to the gateway", f"none; {describe(seen)}")
    expect(not [call for call in asked if shows(call, KEY)], "a request without the key", "the key in it")


def shows(call: ReceivedRequest, key: str) -> bool:
    """Whether a request of the gateway has this key, or any."""
    return call.header("authorization") is not None or key in str(call)
