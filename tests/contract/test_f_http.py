"""F3: wrong paths, methods, sizes, media types and keys get the right status, without a connection reset.

`test_f_errors.py` tests the form of the errors that client libraries can cause, once for each kind.
"""

from collections.abc import Callable

from lumen_conformance.checks.catalogue import JUDGES, judges
from lumen_conformance.contract.exchanges import JSON, NOT_SENT_BY_CLIENTS, get_exchange, post_with_media_type
from lumen_conformance.contract.expectations import (
    describe,
    expect_answer,
    expect_client_error,
    expect_complete,
    expect_header_tokens,
    expect_status,
)
from lumen_conformance.contract.prerequisites import RESPONSIBLE_CHECKS, need_answers, need_refusal, responsible_checks
from lumen_conformance.contract.session import KEY, ClaimAssertion, ContractSession, question
from lumen_conformance.gateway.exchange import ReceivedRequest
from lumen_conformance.http.client import Capture
from lumen_conformance.registry.declaration import Check, check, check_each
from lumen_conformance.registry.refutation import NotJudged, expect
from lumen_conformance.targets.endpoint import CHAT

OVERSIZE_BYTES = 1_048_576 + 1  # one more than the limit in docs/behaviour.md
HUGE_BYTES = 16 * 1_048_576  # far above the limit: still no reset
OVERSIZE = {"F3-oversize": OVERSIZE_BYTES, "F3-oversize-huge": HUGE_BYTES}
UNAUTHORIZED = "RFC 9110, 15.5.2; openai-python raises AuthenticationError for 401 only"
Send = Callable[[ContractSession], Capture]
FORM = (*judges("F1.1"), *judges("B1.5"), *judges("B1", "F1"))  # the first failure explains why others are not judged


def oversize(proxy: ContractSession, total_bytes: int = OVERSIZE_BYTES) -> Capture:
    """Send a valid request of this size."""
    frame = len(b'{"model":"lumen-gateway","messages":[{"role":"user","content":""}]}')
    text = b"x" * (total_bytes - frame)
    body = b'{"model":"lumen-gateway","messages":[{"role":"user","content":"' + text + b'"}]}'
    return proxy.call("POST", CHAT, body=body, headers=[JSON])


# Methods that the OpenAI API does not document; GET on chats lists stored chats.
ROUTES: dict[Check, tuple[Send, tuple[int, ...]]] = {
    Check("F3-unknown-route", "S"): (lambda proxy: proxy.lost, (404,)),
    Check("F3-unknown-route-post", "S"): (lambda proxy: proxy.post(question(), "/v1/chat/completion"), (404,)),
    Check("F3-unknown-route-root", "S"): (lambda proxy: proxy.call("GET", "/nothing-here"), (404,)),
    Check("F3-unknown-model", "S"): (lambda proxy: get_exchange(proxy, "unknown_model"), (404,)),
    Check("F3-malformed", "S"): (lambda proxy: proxy.malformed, (400,)),
    Check("F3-wrong-method-put", "S"): (lambda proxy: get_exchange(proxy, "wrong_method"), (405,)),
    Check("F3-wrong-method-patch", "S"): (lambda proxy: proxy.call("PATCH", CHAT, json=question()), (405,)),
    Check("F3-wrong-method-delete", "S"): (lambda proxy: proxy.call("DELETE", "/v1/models"), (405,)),
    Check("F3-media-type-urlencoded", "S"): (
        lambda proxy: post_with_media_type(proxy, "application/x-www-form-urlencoded"),
        (400, 415),
    ),
    Check("F3-media-type-text", "S"): (lambda proxy: get_exchange(proxy, "wrong_media_type"), (400, 415)),
    Check("F3-media-type-none", "S"): (lambda proxy: post_with_media_type(proxy, None), (400, 415)),
}
EXACT: dict[str, tuple[Send, int]] = {
    "F3-exact-413": (oversize, 413),
    "F3-exact-415": (lambda proxy: post_with_media_type(proxy, "text/plain"), 415),
}


@check_each("row", ROUTES, source="RFC 9110, 15.5.1, 15.5.5, 15.5.6, 15.5.16")
def test_http_errors(row: tuple[Send, tuple[int, ...]], proxy: ContractSession) -> None:
    """An HTTP error ({row}) has the status of RFC 9110, and the connection is not reset."""
    send, statuses = row
    capture = send(proxy)
    expect_status(capture, *statuses)
    expect_complete(capture)


@check_each(
    "exchange",
    {f"{RESPONSIBLE_CHECKS[name]}-form": name for name in NOT_SENT_BY_CLIENTS},
    tier="S",
    source="openapi.yaml: ErrorResponse",
)
def test_form(exchange: str, proxy: ContractSession, assert_holds: ClaimAssertion) -> None:
    """The error for a request that no client library sends ({row}) has the form of all errors."""
    capture = get_exchange(proxy, exchange)
    need_answers(proxy, capture)
    need_refusal(capture, responsible_checks(proxy.target, exchange))
    for judge in FORM:
        assert_holds(judge, capture)


@check_each(
    "total_bytes", OVERSIZE, source="RFC 9112, 9.6: a reset can destroy a response that the client has not read"
)
def test_oversize(total_bytes: int, proxy: ContractSession) -> None:
    """A request that is too large ({row}) is refused without a connection reset; other targets may accept it."""
    capture = oversize(proxy, total_bytes)
    need_answers(proxy, capture)
    if capture.ended == "timeout" and proxy.target.profile != "lumen":  # a model may need minutes for megabytes
        raise NotJudged(f"no end after {proxy.target.answer_s} s (--proxy-timeout): {describe(capture)}", ())
    expect_complete(capture)  # not reset while it is sent: most clients stop reading then
    expect_status(capture, *([200] if proxy.target.profile != "lumen" else []), 400, 413)


@check_each("row", EXACT, tier="S", source="RFC 9110, 15.5.14 and 15.5.16")
def test_exact_status(row: tuple[Send, int], proxy: ContractSession) -> None:
    """The status is the one that RFC 9110 defines for the error."""
    expect_status(row[0](proxy), row[1])


@check("F3-allow", tier="S", source="RFC 9110, 15.5.6")
def test_allow(proxy: ContractSession) -> None:
    """The error for a wrong method has the header Allow with the right methods."""
    capture = get_exchange(proxy, "wrong_method")
    if capture.status != 405:
        raise NotJudged(f"the status is {capture.status}, not 405", ("F3-wrong-method-put",))
    expect_header_tokens(capture, "Allow", "POST")


@check("F3-limit-is-inclusive", tier="S", source="docs/behaviour.md: LUMEN_MAX_BODY_BYTES")
def test_as_large_as_allowed(proxy: ContractSession) -> None:
    """A request of exactly the size limit is not refused for its size."""
    capture = oversize(proxy, OVERSIZE_BYTES - 1)
    expect(capture.status not in {413, None}, "a status other than 413", describe(capture))


KEYS = {
    "F3-no-key": "",
    "F3-wrong-key": "Bearer sk-wrong-6b1e77",
    "F3-key-of-another-scheme": "Basic {key}",
    "F3-key-cut": "Bearer {cut}",
    "F3-key-not-ascii": "Bearer 열쇠",
}
GUARDED = ("/v1/models", "/models", "/metrics")


@check_each("authorization", KEYS, source="RFC 9110, 15.5.2; CWE-209")
def test_key_refused(authorization: str, keyed_proxy: ContractSession, assert_holds: ClaimAssertion) -> None:
    """A request without the right key ({row}) is refused, and the error contains neither the right nor the sent key."""
    capture = keyed_proxy.with_key(authorization)
    expect_client_error(capture)
    shown = (keyed_proxy.target.api_key or KEY).encode() in capture.raw_head + capture.body
    expect(not shown, "an error without the right key", "the right key in its headers or its body")
    assert_holds(JUDGES["F6.4"], capture)


@check_each("authorization", {f"{name}-status": sent for name, sent in KEYS.items()}, tier="S", source=UNAUTHORIZED)
def test_status_of_a_refused_key(authorization: str, keyed_proxy: ContractSession) -> None:
    """A request without the right key ({row}) gets status 401."""
    expect_status(keyed_proxy.with_key(authorization), 401)


SPELLINGS = {
    "F3-key-scheme-lower": "bearer {key}",
    "F3-key-scheme-upper": "BEARER {key}",
    "F3-key-spaces": "Bearer   {key}",
}


def right_key(session: ContractSession) -> Capture:
    """The response to a question with the right key."""
    return session.once("right_key", lambda: session.with_key("Bearer {key}"))


@check("F3-right-key", source="openapi.yaml: security, ApiKeyAuth")
def test_key_accepted(keyed_proxy: ContractSession) -> None:
    """A request with the right key gets an answer."""
    expect_answer(keyed_proxy, right_key(keyed_proxy), "안녕")


@check_each(
    "authorization", SPELLINGS, tier="S", source="RFC 9110, 11.1 and 11.4; SamSaffron/term-llm#414, jetkvm/cloud-api#85"
)
def test_spelling_of_the_scheme(authorization: str, keyed_proxy: ContractSession) -> None:
    """The scheme Bearer has any case, and any number of spaces ({row}) before the right key."""
    if right_key(keyed_proxy).status != 200:
        raise NotJudged(f"the right key is refused: {describe(right_key(keyed_proxy))}", ("F3-right-key",))
    expect_status(keyed_proxy.with_key(authorization), 200)


@check("F3-key-guards-models", source="docs/behaviour.md: PROXY_API_KEY")
def test_key_guards_models(keyed_proxy: ContractSession) -> None:
    """The models and the metrics require the key, the health does not."""
    for path in GUARDED:
        expect_client_error(keyed_proxy.call("GET", path))
    expect_status(keyed_proxy.call("GET", "/health"), 200)


@check("F3-key-guards-models-status", tier="S", source=UNAUTHORIZED)
def test_status_of_guarded_models(keyed_proxy: ContractSession) -> None:
    """Requests without the key for the models and the metrics get status 401."""
    for path in GUARDED:
        expect_status(keyed_proxy.call("GET", path), 401)


@check("F3-key-stays-here", source="docs/behaviour.md: PROXY_API_KEY")
def test_key_stays_here(keyed_proxy: ContractSession) -> None:
    """The client's key is not sent to the gateway."""
    before = len(keyed_proxy.gateway.chats)
    capture = keyed_proxy.with_key("Bearer {key}")
    asked = keyed_proxy.gateway.chats[before:]
    expect(bool(asked), "a request to the gateway", f"none; {describe(capture)}")
    expect(not [call for call in asked if shows(call, KEY)], "a request without the key", "the key in it")


def shows(call: ReceivedRequest, key: str) -> bool:
    """Whether a request to the gateway has this key, or any Authorization header."""
    return call.header("authorization") is not None or key in str(call)
