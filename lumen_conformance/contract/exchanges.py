"""The shared exchanges by name: one for each kind of error, and answers to texts of several lengths.

Each is made once for a session. Other shared exchanges are attributes of `ContractSession`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from lumen_conformance.contract.session import MODEL, ContractSession, question
from lumen_conformance.contract.tool_requests import SCRIPTED_EXCHANGES, TOOL_EXCHANGES
from lumen_conformance.gateway.exchange import Reply
from lumen_conformance.gateway.replies import reset_after_request, respond_with
from lumen_conformance.http.client import Capture
from lumen_conformance.targets.endpoint import CHAT

STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
"""A check asks for a plain answer, and for a stream."""
ATTEMPTS = 3  # a proxy may retry before it reports a failure of its gateway: twice, like the OpenAI libraries
JSON = ("Content-Type", "application/json")
# Texts for checks of token counts. Their lengths cover all values modulo 4, in characters and in bytes: many servers
# estimate a quarter of the length.
TOKEN_COUNT_TEXTS = {
    "latin": "Say hi.",
    "korean": "안녕이라고 말해",
    "emoji": "Repeat: 👋🏽",
    "mixed": "Say 안녕 again.",
}
MANY_CLIENTS = 20  # concurrent clients
FEW_CLIENTS = 4  # by URL, where answers may cost money; two in one second show an id that is made of the time
# Exchanges that end with an error if the target refuses what OpenAI refuses.
REFUSALS = ("refusal", "refused_stream", "unparsable", "wrong_type", "lost", "unknown_model", "wrong_method",
            "wrong_media_type", "no_key", "oversize", "malformed", "gateway_error", "gateway_reset",
            "gateway_away")  # fmt: skip
# Errors that no client library causes, because it uses one method and one media type for chats.
NOT_SENT_BY_CLIENTS = ("wrong_method", "wrong_media_type")
CLIENT_REFUSALS = tuple(each for each in REFUSALS if each not in NOT_SENT_BY_CLIENTS)
USAGE_REQUESTED: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}


def post_unparsable_body(session: ContractSession) -> Capture:
    """Send a body that is not JSON."""
    return session.call("POST", CHAT, body=b"{'model': 1}", headers=[JSON])


def post_wrong_type(session: ContractSession) -> Capture:
    """Send a field of a wrong type; frameworks refuse it before they call the application."""
    return session.post({"model": MODEL, "messages": "hello"})


def put_chat(session: ContractSession) -> Capture:
    """Send a method that the API does not document for chats."""
    return session.call("PUT", CHAT, json=question())


def post_with_media_type(session: ContractSession, media_type: str | None) -> Capture:
    """Send a valid question with this media type."""
    headers = [("Content-Type", media_type)] if media_type else []
    return session.call("POST", CHAT, body=json.dumps(question("hi")).encode(), headers=headers)


def ask_patiently(session: ContractSession, *, stream: bool = False) -> Capture:
    """Ask a question with time for `ATTEMPTS` answers."""
    return session.ask("안녕", stream=stream, timeout_s=ATTEMPTS * session.target.answer_s)


def ask_failing_gateway(session: ContractSession, reply: Reply, *, stream: bool = False) -> Capture:
    """Ask a question while the gateway fails with this reply."""
    with session.failing(reply):
        return ask_patiently(session, stream=stream)


def ask_stopped_gateway(session: ContractSession) -> Capture:
    """Ask a question while the gateway does not listen."""
    session.gateway.down()
    try:
        return ask_patiently(session)
    finally:
        session.gateway.up()


SERVER_ERROR = respond_with(
    {"error": {"message": "scripted failure", "type": "server_error", "param": None, "code": None}}, 500
)
EXCHANGES: dict[str, Callable[[ContractSession], Capture]] = {
    "unparsable": post_unparsable_body,
    "wrong_type": post_wrong_type,
    "unknown_model": lambda session: session.call("GET", "/v1/models/no-such-model"),
    "wrong_method": put_chat,
    "wrong_media_type": lambda session: post_with_media_type(session, "text/plain"),
    "no_key": lambda session: session.with_key(""),
    "gateway_error": lambda session: ask_failing_gateway(session, SERVER_ERROR),
    "gateway_away": ask_stopped_gateway,
    "gateway_reset": lambda session: ask_failing_gateway(session, reset_after_request),
    **TOOL_EXCHANGES,
    **SCRIPTED_EXCHANGES,
}


def get_exchange(session: ContractSession, name: str) -> Capture:
    """The exchange with this name; a text of `TOKEN_COUNT_TEXTS` may follow after a hyphen."""
    kind, _, text = name.partition("-")
    if text:
        return session.once(
            name, lambda: session.ask(TOKEN_COUNT_TEXTS[text], **(USAGE_REQUESTED if kind == "usage_stream" else {}))
        )
    if make := EXCHANGES.get(kind):
        return session.once(name, lambda: make(session))
    found: Capture = getattr(session, name)
    return found
