"""G1, G2, G3, G8 of a target whose gateway speaks OpenAI's own words: nothing is lost, nothing is made up.

The gateway fails in the same way as often as it is asked, because a proxy may try again; that is its own affair.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from tests.contract.talking import MODEL, Demand, Talk
from tests.fixtures import openai_wire, replies
from tests.fixtures.capture import Capture
from tests.fixtures.exchange import Call, Reply
from tests.fixtures.judges.catalogue import JUDGES, REFUSAL
from tests.fixtures.judges.documents import said
from tests.fixtures.replies import says
from tests.fixtures.report.checks import check, check_each

pytestmark = [pytest.mark.needs("gateway"), pytest.mark.profile("openai")]

STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
PATIENCE_S = 60.0  # a proxy may try again, with back-off, before it says what happened
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


def asked(talk: Talk, messages: list[dict[str, Any]], **fields: object) -> tuple[Capture, list[Call]]:
    """The answer to a conversation, and what the gateway was asked for it."""
    before = len(talk.gateway.chats)
    seen = talk.post({"model": MODEL, "messages": messages, **fields})
    question = _beginning(next(_words(turn["content"]) for turn in reversed(messages) if turn["role"] == "user"))
    # A proxy may still be trying again for a client that has left long ago: that is no call of this question.
    return seen, [call for call in talk.gateway.chats[before:] if _beginning(call.message) == question]


def turns(messages: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, object]]:
    """Who says or does what; parts may be joined on the way, and a developer be called system as in older models."""
    return [(_who(turn), _words(turn.get("content")), turn.get("tool_calls") or None) for turn in messages]


def _who(turn: Mapping[str, Any]) -> str:
    role = str(turn.get("role"))
    return {"developer": "system", "tool": f"tool {turn.get('tool_call_id')}"}.get(role, role)


def _words(content: object) -> str:
    parts = content if isinstance(content, list) else [{"text": content}]
    return "".join(str(part.get("text") or "") for part in parts)


def _beginning(text: str) -> str:
    """What a question is known by, whatever happens to its white space and its later parts."""
    return "".join(text.split())[:KNOWN_BY]


@STREAMED
@check_each("messages", {f"G1.forwarded-{name}": messages for name, messages in CONVERSATIONS.items()})
def test_one_question(stream: bool, messages: list[dict[str, Any]], talk: Talk) -> None:  # noqa: FBT001 -- a row
    """One request makes exactly one request of the gateway, which OpenAI would accept."""
    _, calls = asked(talk, messages, stream=stream)
    assert [call.method for call in calls] == ["POST"]
    assert openai_wire.refusal(calls[0]) is None


@check_each("messages", {f"G2.forwarded-{name}": messages for name, messages in CONVERSATIONS.items()})
def test_every_word(messages: list[dict[str, Any]], talk: Talk) -> None:
    """Instructions, history and parts of a text reach the gateway in their order, and nothing else does."""
    _, calls = asked(talk, messages)
    assert [turns(openai_wire.asked(call).get("messages") or []) for call in calls] == [turns(messages)]


@contextmanager
def failing(talk: Talk, reply: Reply) -> Iterator[None]:
    """A gateway that fails like this, however often it is asked."""
    standing, talk.gateway.standing = talk.gateway.standing, reply
    try:
        yield
    finally:
        talk.gateway.standing = standing


def status(code: int, kind: str, *headers: tuple[str, str]) -> Reply:
    """An error as OpenAI tells it."""
    return says(openai_wire.error(f"scripted failure {code}", kind), code, headers=headers)


INVALID, SERVER = "invalid_request_error", "server_error"
FAILURES: dict[str, Reply] = {
    **{f"status-{code}": status(code, INVALID) for code in (400, 401, 403, 404, 413)},
    "status-429": status(429, "rate_limit_error", ("Retry-After", "7")),
    **{f"status-{code}": status(code, SERVER) for code in (500, 502, 503, 504)},
    "html-502": says(replies.HTML, 502, media_type="text/html"),
    "reset": replies.reset_after_request,
}


@STREAMED
@check_each("reply", {f"G3.forwarded-{name}": reply for name, reply in FAILURES.items()})
def test_failure(stream: bool, reply: Reply, talk: Talk, demand: Demand) -> None:  # noqa: FBT001 -- a row
    """A failure of the gateway is an error with an error's status, and never an answer."""
    with failing(talk, reply):
        seen = talk.ask("안녕", stream=stream, timeout_s=PATIENCE_S)
    assert said(seen) == ""
    for judge in (JUDGES["F4"], *REFUSAL):
        demand(judge, seen)


@check("G3.forwarded-truncated")
def test_truncated(talk: Talk, demand: Demand) -> None:
    """Half an answer of the gateway is an error, and never an answer (half a stream is for F5)."""
    with failing(talk, replies.truncated):
        seen = talk.ask("안녕", timeout_s=PATIENCE_S)
    assert said(seen) == ""
    for judge in (JUDGES["F4"], *REFUSAL):
        demand(judge, seen)


@STREAMED
@check("G3.forwarded-error-with-200", tier="S")  # whoever passes bytes on passes on this lie, too
def test_error_with_200(stream: bool, talk: Talk, demand: Demand) -> None:  # noqa: FBT001 -- a row
    """An error that the gateway tells with status 200 is told with the status of an error."""
    with failing(talk, says(openai_wire.error("scripted failure", SERVER))):
        seen = talk.ask("안녕", stream=stream, timeout_s=PATIENCE_S)
    demand(JUDGES["F4"], seen)


@check("G8.forwarded-retry-after")
def test_retry_after(talk: Talk) -> None:
    """A client of a busy gateway is told that it is busy, and when to come again."""
    with failing(talk, FAILURES["status-429"]):
        seen = talk.ask("안녕", timeout_s=PATIENCE_S)
    assert seen.status == 429
    told = seen.header("retry-after")
    assert (told or "").isdigit(), f"the header Retry-After is {told!r}, not whole seconds"


@check("G3.forwarded-refused")
def test_healthy_again(talk: Talk, demand: Demand) -> None:
    """While the gateway is away the client is told so; when it is back it is answered, without a restart."""
    talk.gateway.down()
    try:
        seen = talk.ask("안녕", timeout_s=PATIENCE_S)
    finally:
        talk.gateway.up()
    for judge in (JUDGES["F4"], *REFUSAL):
        demand(judge, seen)
    assert talk.answered(talk.ask("다시"), "다시")
