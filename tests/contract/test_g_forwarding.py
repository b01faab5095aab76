"""G1, G2, G3, G8 of a target whose gateway speaks OpenAI's own words: nothing is lost, nothing is made up.

The gateway fails in the same way as often as it is asked, because a proxy may try again; that is its own affair.
"""

import re
from collections.abc import Mapping
from typing import Any

import pytest

from lumen_conformance.contract.exchanges import away, failed
from lumen_conformance.contract.expectations import (
    describe,
    expect_answer,
    expect_failure,
    expect_one_call,
    expect_status,
    told_header,
)
from lumen_conformance.contract.session import MODEL, Talk
from lumen_conformance.gateway import openai_requests, replies
from lumen_conformance.gateway.exchange import ReceivedRequest, Reply
from lumen_conformance.gateway.replies import respond_with
from lumen_conformance.http.client import Capture
from lumen_conformance.http.documents import errors, said
from lumen_conformance.registry.declaration import check, check_each
from lumen_conformance.registry.refutation import NotJudged, expect
from lumen_conformance.schemas.descriptions import value_text, visible

pytestmark = [pytest.mark.needs("gateway"), pytest.mark.profile("openai")]

STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
KNOWN_BY = 9  # characters in which the questions of this file differ from each other and from all others
PARTS = [{"type": "text", "text": "second question"}, {"type": "text", "text": "its rest"}]
CALL = {"id": "call_7", "type": "function", "function": {"name": "weather_of", "arguments": '{"city": "Seoul"}'}}
CONVERSATIONS: dict[str, list[dict[str, Any]]] = {
    "lone": [{"role": "user", "content": "  안녕,\n\nwhat is 1 + 1?\t"}],
    "system": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}],
    "history": [
        {"role": "system", "content": "first instruction"},
        {"role": "user", "content": "first question"},
        {"role": "assistant", "content": "first answer"},
        {"role": "user", "content": "second question"},
    ],
    "parts": [{"role": "user", "content": PARTS}],
    "developer": [{"role": "developer", "content": "be polite"}, {"role": "user", "content": "whom do I obey?"}],
    "tools": [
        {"role": "user", "content": "is it raining in Seoul?"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": CALL["id"], "content": "23 degrees, dry"},
    ],
}


def asked(talk: Talk, messages: list[dict[str, Any]], **fields: object) -> tuple[Capture, list[ReceivedRequest]]:
    """The answer to a conversation, and what the gateway was asked for it."""
    before = len(talk.gateway.chats)
    seen = talk.post({"model": MODEL, "messages": messages, **fields})
    last = next(turn["content"] for turn in reversed(messages) if turn["role"] == "user")
    question = _beginning("".join(_texts(last)))
    # A proxy may still be trying again for a client that has left long ago: that is no call of this question.
    return seen, [call for call in talk.gateway.chats[before:] if _beginning(call.message) == question]


def turns(messages: object) -> list[tuple[str, list[str], object]]:
    """Who says or does what; a developer may be called system, as for older models."""
    found = [turn for turn in messages if isinstance(turn, dict)] if isinstance(messages, list) else []
    return [(_who(turn), _texts(turn.get("content")), turn.get("tool_calls") or None) for turn in found]


def same_turns(found: list[tuple[str, list[str], object]], sent: list[tuple[str, list[str], object]]) -> bool:
    """Whether nothing was lost or added on the way; parts may be joined, with any white space between them."""
    pairs = zip(found, sent, strict=False)
    alike = all((a[0], a[2]) == (b[0], b[2]) and _joined(a[1], b[1]) for a, b in pairs)
    return len(found) == len(sent) and alike


def _in_words(turns: list[tuple[str, list[str], object]]) -> str:
    """Turns as a person writes them down: ``system: be brief; user: hi``."""
    told = (
        f"{who}: {' + '.join(map(visible, filter(None, texts))) or '(no text)'}"
        + (f", calls {value_text(calls)}" if calls else "")
        for who, texts, calls in turns
    )
    return "; ".join(told) or "none"


def _joined(found: list[str], sent: list[str]) -> bool:
    return found == sent or re.fullmatch(r"\s*".join(map(re.escape, sent)), "".join(found)) is not None


def _who(turn: Mapping[str, Any]) -> str:
    role = str(turn.get("role"))
    return {"developer": "system", "tool": f"tool {turn.get('tool_call_id')}"}.get(role, role)


def _texts(content: object) -> list[str]:
    parts = content if isinstance(content, list) else [{"text": content}]
    return [str(part.get("text") or "") for part in parts if isinstance(part, dict)]


def _beginning(text: str) -> str:
    """What a question is known by, whatever happens to its white space and its later parts."""
    return "".join(text.split())[:KNOWN_BY]


@STREAMED
@check_each("name", {f"G1.forwarded-{name}": name for name in CONVERSATIONS})
def test_one_question(stream: bool, name: str, talk: Talk) -> None:  # noqa: FBT001 -- a row
    """One request makes exactly one request of the gateway, which OpenAI would accept."""
    seen, calls = asked(talk, CONVERSATIONS[name], stream=stream)
    if not calls and seen.status is not None and seen.status >= 400:
        raise NotJudged(f"the conversation is refused: {describe(seen)}", (f"G2.forwarded-{name}",))
    expect_one_call(calls, seen)
    refused = openai_requests.refusal(calls[0])
    expect(refused is None, "a request to the gateway that OpenAI would accept", value_text(refused))


@check_each("messages", {f"G2.forwarded-{name}": messages for name, messages in CONVERSATIONS.items()})
def test_every_word(messages: list[dict[str, Any]], talk: Talk) -> None:
    """Instructions, history and parts of a text reach the gateway in their order, and nothing else does."""
    seen, calls = asked(talk, messages)
    expect(bool(calls), "a request to the gateway", f"none; {describe(seen)}")
    found, sent = turns(openai_requests.read_object(calls[0]).get("messages")), turns(messages)
    expect(same_turns(found, sent), f"the messages {_in_words(sent)}", _in_words(found))


def status(code: int, kind: str, *headers: tuple[str, str]) -> Reply:
    """An error as OpenAI tells it."""
    return respond_with(openai_requests.error(f"scripted failure {code}", kind), code, headers=headers)


INVALID, SERVER = "invalid_request_error", "server_error"
FAILURES: dict[str, Reply] = {
    **{f"status-{code}": status(code, INVALID) for code in (400, 401, 403, 404, 413)},
    "status-429": status(429, "rate_limit_error", ("Retry-After", "7")),
    **{f"status-{code}": status(code, SERVER) for code in (500, 502, 503, 504)},
    "html-502": respond_with(replies.HTML, 502, media_type="text/html"),
    "reset": replies.reset_after_request,
}


def streamed_failure(talk: Talk, name: str) -> Capture:
    """A question for a stream whose gateway fails like this, asked once for all checks that read it."""
    return talk.once(f"forwarded {name}", lambda: failed(talk, FAILURES[name], stream=True))


@STREAMED
@check_each("name", {f"G3.forwarded-{name}": name for name in FAILURES})
def test_failure(stream: bool, name: str, talk: Talk) -> None:  # noqa: FBT001 -- a row
    """A failure of the gateway is told as an error, and never an answer."""
    seen = streamed_failure(talk, name) if stream else failed(talk, FAILURES[name])
    told = stream and seen.status == 200 and errors(seen) and not said(seen)  # clients raise on the event, too
    if not told:
        expect_failure(seen)


@check_each("name", {f"G3.forwarded-{name}.status": name for name in FAILURES}, tier="S")
def test_status_of_a_failure(name: str, talk: Talk) -> None:
    """A failure of the gateway has the status of an error, though a stream was asked for."""
    seen = streamed_failure(talk, name)
    if seen.status == 200 and (said(seen) or not errors(seen)):
        raise NotJudged(f"the failure is not told as an error: {describe(seen)}", (f"G3.forwarded-{name}",))
    expect_failure(seen)


@check("G3.forwarded-truncated")
def test_truncated(talk: Talk) -> None:
    """Half an answer of the gateway is an error, and never an answer (half a stream is for F5)."""
    expect_failure(failed(talk, replies.truncated))


@STREAMED
@check("G3.forwarded-error-with-200", tier="S")  # whoever passes bytes on passes on this lie, too
def test_error_with_200(stream: bool, talk: Talk) -> None:  # noqa: FBT001 -- a row
    """An error that the gateway tells with status 200 is told with the status of an error."""
    expect_failure(failed(talk, respond_with(openai_requests.error("scripted failure", SERVER)), stream=stream))


@check("G8.forwarded-retry-after", tier="S")
def test_retry_after(talk: Talk) -> None:
    """A client of a busy gateway is told that it is busy, and when to come again."""
    seen = failed(talk, FAILURES["status-429"])
    expect_status(seen, 429)
    told = seen.header("retry-after") or ""
    expect(told.isdigit(), "the header Retry-After with whole seconds", told_header(seen, "Retry-After"))


@check("G3.forwarded-refused")
def test_healthy_again(talk: Talk) -> None:
    """While the gateway is away the client is told so; when it is back it is answered, without a restart."""
    expect_failure(away(talk))
    expect_answer(talk, talk.ask("다시"), "다시", at="after the gateway is back")
