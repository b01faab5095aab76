"""Exchanges that many checks read, by name: one of each kind of refusal, and answers to texts of several lengths.

Each is made once for a talk. Those that tests read by attribute are in `talking.py`; so are plain answers and streams.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from lumen_conformance.contract.session import MODEL, Talk, question
from lumen_conformance.gateway.exchange import Reply
from lumen_conformance.gateway.replies import reset_after_request, respond_with
from lumen_conformance.http.client import Capture
from lumen_conformance.targets.endpoint import CHAT

ATTEMPTS = 3  # a proxy may try again before it tells what happened to its gateway: twice, as the OpenAI libraries do
JSON = ("Content-Type", "application/json")
# What token counts are asked of: of all lengths modulo 4, in characters and in bytes, as counts are often quarters.
COUNTED = {"latin": "Say hi.", "korean": "안녕이라고 말해", "emoji": "Repeat: 👋🏽", "mixed": "Say 안녕 again."}
AT_ONCE = 20  # clients at the same time
FEW_AT_ONCE = 4  # by URL, where answers may cost money; two in one second already show an id that is made of the time
# Exchanges that are refusals, of any target that refuses what OpenAI refuses.
REFUSALS = ("refusal", "refused_stream", "unparsable", "wrong_type", "lost", "unknown_model", "wrong_method",
            "wrong_media_type", "no_key", "oversize", "malformed", "gateway_error", "gateway_reset",
            "gateway_away")  # fmt: skip
# Refusals that no client library provokes: it has one method and one media type for chats. Their form is OpenAI's (S).
UNPROVOKED = ("wrong_method", "wrong_media_type")
PROVOKED = tuple(each for each in REFUSALS if each not in UNPROVOKED)
USAGE: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}


def unparsable(talk: Talk) -> Capture:
    """A body that is no JSON."""
    return talk.call("POST", CHAT, body=b"{'model': 1}", headers=[JSON])


def wrong_type(talk: Talk) -> Capture:
    """A field of a wrong type: frameworks refuse it before the application sees it."""
    return talk.post({"model": MODEL, "messages": "hello"})


def wrong_method(talk: Talk) -> Capture:
    """A method that nobody documents for chats."""
    return talk.call("PUT", CHAT, json=question())


def of_type(talk: Talk, media_type: str | None) -> Capture:
    """A healthy question but for its media type."""
    headers = [("Content-Type", media_type)] if media_type else []
    return talk.call("POST", CHAT, body=json.dumps(question("hi")).encode(), headers=headers)


def asked_patiently(talk: Talk, *, stream: bool = False) -> Capture:
    """A question whose every attempt may last as long as an answer."""
    return talk.ask("안녕", stream=stream, timeout_s=ATTEMPTS * talk.target.answer_s)


def failed(talk: Talk, reply: Reply, *, stream: bool = False) -> Capture:
    """A question whose gateway fails like this."""
    with talk.failing(reply):
        return asked_patiently(talk, stream=stream)


def away(talk: Talk) -> Capture:
    """A question whose gateway does not listen."""
    talk.gateway.down()
    try:
        return asked_patiently(talk)
    finally:
        talk.gateway.up()


BROKEN = respond_with(
    {"error": {"message": "scripted failure", "type": "server_error", "param": None, "code": None}}, 500
)
KINDS: dict[str, Callable[[Talk], Capture]] = {
    "unparsable": unparsable,
    "wrong_type": wrong_type,
    "unknown_model": lambda talk: talk.call("GET", "/v1/models/no-such-model"),
    "wrong_method": wrong_method,
    "wrong_media_type": lambda talk: of_type(talk, "text/plain"),
    "no_key": lambda talk: talk.with_key(""),
    "gateway_error": lambda talk: failed(talk, BROKEN),
    "gateway_away": away,
    "gateway_reset": lambda talk: failed(talk, reset_after_request),
}


def exchange_of(talk: Talk, name: str) -> Capture:
    """The exchange of this name; behind a hyphen stands one of the texts of `COUNTED`."""
    kind, _, text = name.partition("-")
    if text:
        return talk.once(name, lambda: talk.ask(COUNTED[text], **(USAGE if kind == "usage_stream" else {})))
    if make := KINDS.get(kind):
        return talk.once(name, lambda: make(talk))
    found: Capture = getattr(talk, name)
    return found
