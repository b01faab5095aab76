"""F3: wrong addresses, methods, sizes, media types and keys: the right status, in the envelope, without a reset."""

import json
from collections.abc import Callable

import pytest

from tests.contract.talking import Demand, Talk, question
from tests.fixtures.capture import Capture, call
from tests.fixtures.gateway import Gateway
from tests.fixtures.judges.catalogue import JUDGES, REFUSAL
from tests.fixtures.processes import Launches
from tests.fixtures.report.checks import check, check_each
from tests.fixtures.served import CHAT
from tests.fixtures.targets import Target

JSON = ("Content-Type", "application/json")
KEY = "sk-lumen-6b1e77"
OVERSIZE_BYTES = 1_048_576 + 1  # one beyond the limit of behaviour.md
HUGE_BYTES = 16 * 1_048_576  # far beyond it: still no reset
Send = Callable[[Talk], Capture]


def oversize(talk: Talk, total_bytes: int = OVERSIZE_BYTES) -> Capture:
    """A healthy request but for its size."""
    frame = len(b'{"model":"lumen-gateway","messages":[{"role":"user","content":""}]}')
    text = b"x" * (total_bytes - frame)
    body = b'{"model":"lumen-gateway","messages":[{"role":"user","content":"' + text + b'"}]}'
    return talk.call("POST", CHAT, body=body, headers=[JSON])


def of_type(talk: Talk, media_type: str | None) -> Capture:
    """A healthy request but for its media type."""
    headers = [("Content-Type", media_type)] if media_type else []
    return talk.call("POST", CHAT, body=json.dumps(question("hi")).encode(), headers=headers)


ROUTES: dict[str, tuple[Send, set[int]]] = {
    "F3.unknown-route": (lambda talk: talk.lost, {404}),
    "F3.unknown-route-post": (lambda talk: talk.post(question(), "/v1/chat/completion"), {404}),
    "F3.unknown-route-root": (lambda talk: talk.call("GET", "/nothing-here"), {404}),
    "F3.unknown-model": (lambda talk: talk.call("GET", "/v1/models/no-such-model"), {404}),
    "F3.wrong-method-get": (lambda talk: talk.call("GET", CHAT), {405}),
    "F3.wrong-method-put": (lambda talk: talk.call("PUT", CHAT, json=question()), {405}),
    "F3.wrong-method-delete": (lambda talk: talk.call("DELETE", "/v1/models"), {405}),
    "F3.media-type-form": (lambda talk: of_type(talk, "application/x-www-form-urlencoded"), {400, 415}),
    "F3.media-type-text": (lambda talk: of_type(talk, "text/plain"), {400, 415}),
    "F3.media-type-none": (lambda talk: of_type(talk, None), {400, 415}),
}
EXACT: dict[str, tuple[Send, int]] = {
    "F3.exact-413": (oversize, 413),
    "F3.exact-415": (lambda talk: of_type(talk, "text/plain"), 415),
}


@check_each("row", ROUTES)
def test_http_errors(row: tuple[Send, set[int]], talk: Talk, demand: Demand) -> None:
    """An HTTP error has its own status, in the envelope, on an orderly connection."""
    send, statuses = row
    seen = send(talk)
    assert seen.ended == "complete", seen.error
    assert seen.status in statuses
    for judge in REFUSAL:
        demand(judge, seen)


@check_each("total_bytes", {"F3.oversize": OVERSIZE_BYTES, "F3.oversize-huge": HUGE_BYTES})
def test_oversize(total_bytes: int, talk: Talk, demand: Demand) -> None:
    """A request that is too large is refused in the envelope, never reset; a foreign target may have room for it."""
    seen = oversize(talk, total_bytes)
    assert (seen.ended, seen.error) == ("complete", None)  # a reset while it is sent, too: most clients read no further
    if talk.target.profile != "lumen" and seen.status == 200:
        return
    assert seen.status in {400, 413}
    for judge in REFUSAL:
        demand(judge, seen)


@check_each("row", EXACT, tier="S")
def test_exact_status(row: tuple[Send, int], talk: Talk) -> None:
    """The status is the one that RFC 9110 has for it."""
    assert row[0](talk).status == row[1]


@check("F3.allow")
def test_allow(talk: Talk) -> None:
    """A wrong method is answered with the methods that are right."""
    allowed = talk.call("GET", CHAT).header("allow") or ""
    assert "POST" in allowed


@check("F3.limit-is-inclusive")
def test_as_large_as_allowed(talk: Talk) -> None:
    """A request as large as the limit is not refused for its size."""
    assert oversize(talk, OVERSIZE_BYTES - 1).status not in {413, None}


@pytest.fixture(scope="module")
def locked(target: Target, request: pytest.FixtureRequest, module_launch: Launches, echoing: Gateway) -> Talk:
    """A proxy with a key; a foreign target has the one that was given for it."""
    if target.foreign and target.api_key:
        keyed: Talk = request.getfixturevalue("talk")
        return keyed
    return Talk(module_launch(gateway=echoing, env={"PROXY_API_KEY": KEY, "LUMEN_STANDBY": "0"}), echoing)


def with_key(talk: Talk, authorization: str) -> Capture:
    """A healthy request with this header and no other key; ``{key}`` is the right one, ``{cut}`` nearly so."""
    key = talk.target.api_key or KEY
    others = [pair for pair in talk.target.headers if pair[0].lower() != "authorization"]
    own = [("Authorization", authorization.format(key=key, cut=key[:-1]))] if authorization else []
    return call(
        talk.proxy.url,
        "POST",
        CHAT,
        json=talk.own(question("안녕")),
        headers=[*own, *others],
        timeout_s=talk.target.answer_s,
    )


KEYS = {
    "F3.no-key": "",
    "F3.wrong-key": "Bearer sk-wrong-6b1e77",
    "F3.key-of-another-scheme": "Basic {key}",
    "F3.key-cut": "Bearer {cut}",
    "F3.key-not-ascii": "Bearer 열쇠",
}


@check_each("authorization", KEYS)
def test_key_refused(authorization: str, locked: Talk, demand: Demand) -> None:
    """Without the key the answer is 401, in the envelope."""
    seen = with_key(locked, authorization)
    assert seen.status == 401
    assert (locked.target.api_key or KEY) not in seen.text
    for judge in REFUSAL:
        demand(judge, seen)


@check("F3.right-key")
def test_key_accepted(locked: Talk) -> None:
    """With the key the answer comes."""
    assert locked.answered(with_key(locked, "Bearer {key}"), "안녕")


@check("F3.key-guards-models")
def test_key_guards_models(locked: Talk) -> None:
    """The models need the key, the health does not."""
    statuses = [locked.call("GET", path).status for path in ("/v1/models", "/models", "/metrics", "/health")]
    assert statuses == [401, 401, 401, 200]


@check("F3.key-stays-here")
def test_key_stays_here(locked: Talk) -> None:
    """The caller's key never goes to the gateway."""
    with_key(locked, "Bearer {key}")
    asked = locked.gateway.chats[-1]
    assert asked.header("authorization") is None
    assert KEY not in str(asked)
    assert JUDGES["F6.4"](with_key(locked, "")).ok
