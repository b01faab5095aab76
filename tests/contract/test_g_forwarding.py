"""G1, G2, G3, G8 for a target whose gateway has the OpenAI API: requests, answers and errors are forwarded.

The gateway fails for every request in the same way, because a proxy may retry.
"""

import re
from collections.abc import Mapping
from typing import Any

import pytest

from lumen_conformance.contract.exchanges import ask_failing_gateway, ask_stopped_gateway
from lumen_conformance.contract.expectations import (
    describe,
    describe_header,
    expect_answer,
    expect_failure,
    expect_one_call,
    expect_status,
)
from lumen_conformance.contract.session import MODEL, ContractSession
from lumen_conformance.gateway import openai_requests, replies
from lumen_conformance.gateway.exchange import ReceivedRequest, Reply
from lumen_conformance.gateway.replies import respond_with
from lumen_conformance.http.client import Capture
from lumen_conformance.http.documents import assistant_text, error_documents
from lumen_conformance.registry.declaration import check, check_each
from lumen_conformance.registry.refutation import NotJudged, expect
from lumen_conformance.schemas.descriptions import escape_invisible, format_value

pytestmark = [pytest.mark.needs("gateway"), pytest.mark.profile("openai")]

SCHEMA = "openapi.yaml: CreateChatCompletionRequest"
ERRORS = "RFC 9110, 15.6: a gateway reports failures of its upstream; openapi.yaml: ErrorResponse"
STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
PREFIX_CHARS = 9  # the first characters of the questions of this file are different from each other and from all others
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


def ask_gateway(
    proxy: ContractSession, messages: list[dict[str, Any]], **fields: object
) -> tuple[Capture, list[ReceivedRequest]]:
    """Send a conversation; return the response and the requests to the gateway for it."""
    before = len(proxy.gateway.chats)
    capture = proxy.post({"model": MODEL, "messages": messages, **fields})
    last = next(turn["content"] for turn in reversed(messages) if turn["role"] == "user")
    question = _beginning("".join(_texts(last)))
    # A proxy may still retry for a client that has disconnected; those calls have another question.
    return capture, [call for call in proxy.gateway.chats[before:] if _beginning(call.message) == question]


def turns(messages: object) -> list[tuple[str, list[str], object]]:
    """The role, the texts and the tool calls of each message; developer counts as system, as for older models."""
    found = [turn for turn in messages if isinstance(turn, dict)] if isinstance(messages, list) else []
    return [(_who(turn), _texts(turn.get("content")), turn.get("tool_calls") or None) for turn in found]


def same_turns(found: list[tuple[str, list[str], object]], sent: list[tuple[str, list[str], object]]) -> bool:
    """Whether two lists of messages are equal; parts may be joined with any white space between them."""
    pairs = zip(found, sent, strict=False)
    alike = all((a[0], a[2]) == (b[0], b[2]) and _joined(a[1], b[1]) for a, b in pairs)
    return len(found) == len(sent) and alike


def _describe(turns: list[tuple[str, list[str], object]]) -> str:
    """Describe messages, for example: ``system: be brief; user: hi``."""
    described = (
        f"{who}: {' + '.join(map(escape_invisible, filter(None, texts))) or '(no text)'}"
        + (f", calls {format_value(calls)}" if calls else "")
        for who, texts, calls in turns
    )
    return "; ".join(described) or "none"


def _joined(found: list[str], sent: list[str]) -> bool:
    return found == sent or re.fullmatch(r"\s*".join(map(re.escape, sent)), "".join(found)) is not None


def _who(turn: Mapping[str, Any]) -> str:
    role = str(turn.get("role"))
    return {"developer": "system", "tool": f"tool {turn.get('tool_call_id')}"}.get(role, role)


def _texts(content: object) -> list[str]:
    parts = content if isinstance(content, list) else [{"text": content}]
    return [str(part.get("text") or "") for part in parts if isinstance(part, dict)]


def _beginning(text: str) -> str:
    """The first characters of a question without white space, which identify it."""
    return "".join(text.split())[:PREFIX_CHARS]


@STREAMED
@check_each("name", {f"G1-forwarded-{name}": name for name in CONVERSATIONS}, source=SCHEMA)
def test_one_question(stream: bool, name: str, proxy: ContractSession) -> None:  # noqa: FBT001 -- a row
    """One request ({row}) makes exactly one request to the gateway, and it fits OpenAI's schema."""
    capture, calls = ask_gateway(proxy, CONVERSATIONS[name], stream=stream)
    if not calls and capture.status is not None and capture.status >= 400:
        raise NotJudged(f"the conversation is refused: {describe(capture)}", (f"G2-forwarded-{name}",))
    expect_one_call(calls, capture)
    refused = openai_requests.refusal(calls[0])
    expect(refused is None, "a request to the gateway that fits OpenAI's schema", format_value(refused))


@check_each("messages", {f"G2-forwarded-{name}": turns for name, turns in CONVERSATIONS.items()}, source=SCHEMA)
def test_every_word(messages: list[dict[str, Any]], proxy: ContractSession) -> None:
    """The gateway receives all messages of a conversation ({row}) in their order, and no others."""
    capture, calls = ask_gateway(proxy, messages)
    expect(bool(calls), "a request to the gateway", f"none; {describe(capture)}")
    found, sent = turns(openai_requests.read_object(calls[0]).get("messages")), turns(messages)
    expect(same_turns(found, sent), f"the messages {_describe(sent)}", _describe(found))


def status(code: int, kind: str, *headers: tuple[str, str]) -> Reply:
    """An error in the form of OpenAI's errors."""
    return respond_with(openai_requests.error(f"scripted failure {code}", kind), code, headers=headers)


INVALID, SERVER = "invalid_request_error", "server_error"
FAILURES: dict[str, Reply] = {
    **{f"status-{code}": status(code, INVALID) for code in (400, 401, 403, 404, 413)},
    "status-429": status(429, "rate_limit_error", ("Retry-After", "7")),
    **{f"status-{code}": status(code, SERVER) for code in (500, 502, 503, 504)},
    "html-502": respond_with(replies.HTML, 502, media_type="text/html"),
    "reset": replies.reset_after_request,
}


def streamed_failure(proxy: ContractSession, name: str) -> Capture:
    """The stream while the gateway fails; it is made once for all checks."""
    return proxy.once(f"forwarded {name}", lambda: ask_failing_gateway(proxy, FAILURES[name], stream=True))


@STREAMED
@check_each("name", {f"G3-forwarded-{name}": name for name in FAILURES}, source=ERRORS)
def test_failure(stream: bool, name: str, proxy: ContractSession) -> None:  # noqa: FBT001 -- a row
    """A failure of the gateway ({row}) gives an error, not an answer."""
    capture = streamed_failure(proxy, name) if stream else ask_failing_gateway(proxy, FAILURES[name])
    told = (
        stream and capture.status == 200 and error_documents(capture) and not assistant_text(capture)
    )  # clients also raise for an error event
    if not told:
        expect_failure(capture)


@check_each("name", {f"G3-forwarded-{name}-status": name for name in FAILURES}, tier="S", source=ERRORS)
def test_status_of_a_failure(name: str, proxy: ContractSession) -> None:
    """A failure of the gateway before a stream ({row}) gives an error status."""
    capture = streamed_failure(proxy, name)
    if capture.status == 200 and (assistant_text(capture) or not error_documents(capture)):
        raise NotJudged(f"the failure does not give an error: {describe(capture)}", (f"G3-forwarded-{name}",))
    expect_failure(capture)


@check("G3-forwarded-truncated", source="RFC 9112, 8: an incomplete response is an error")
def test_truncated(proxy: ContractSession) -> None:
    """An incomplete answer of the gateway gives an error; F5 tests incomplete streams."""
    expect_failure(ask_failing_gateway(proxy, replies.truncated))


@STREAMED
@check("G3-forwarded-error-with-200", tier="S", source=ERRORS)  # S: a proxy that forwards bytes forwards this, too
def test_error_with_200(stream: bool, proxy: ContractSession) -> None:  # noqa: FBT001 -- a row
    """An error of the gateway with status 200 gives an error status."""
    expect_failure(
        ask_failing_gateway(proxy, respond_with(openai_requests.error("scripted failure", SERVER)), stream=stream)
    )


@check("G8-forwarded-retry-after", tier="S", source="RFC 9110, 10.2.3; RFC 6585, 4")
def test_retry_after(proxy: ContractSession) -> None:
    """A 429 of the gateway gives a 429 with the header Retry-After."""
    capture = ask_failing_gateway(proxy, FAILURES["status-429"])
    expect_status(capture, 429)
    retry_after = capture.header("retry-after") or ""
    expect(retry_after.isdigit(), "the header Retry-After with whole seconds", describe_header(capture, "Retry-After"))


@check("G3-forwarded-refused", source="RFC 9110, 15.6.3")
def test_healthy_again(proxy: ContractSession) -> None:
    """A gateway that does not listen gives an error; when it listens again, requests succeed without a restart."""
    expect_failure(ask_stopped_gateway(proxy))
    expect_answer(proxy, proxy.ask("다시"), "다시", at="after the gateway listens again")
