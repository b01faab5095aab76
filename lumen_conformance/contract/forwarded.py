"""What a request of a client becomes at a gateway that has the OpenAI API; each request is sent once for all checks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from lumen_conformance.contract.session import MODEL, ContractSession, without_default
from lumen_conformance.contract.turns import texts_of
from lumen_conformance.gateway.exchange import ReceivedRequest
from lumen_conformance.gateway.openai_requests import JsonObject, read_object
from lumen_conformance.http.capture import LAST_CAPTURE
from lumen_conformance.http.client import Capture

PREFIX_CHARS = 9  # the first characters of a question that is forwarded are different from those of all others


@dataclass(frozen=True)
class ForwardedRequest:
    """The response to a client, and the requests to the gateway for it."""

    capture: Capture
    calls: tuple[ReceivedRequest, ...]

    @property
    def received(self) -> JsonObject:
        """The JSON object of the first request to the gateway; empty when there is none."""
        return read_object(self.calls[0]) if self.calls else {}

    @property
    def is_refused(self) -> bool:
        """Whether the target refuses the request itself."""
        return not self.calls and self.capture.is_refusal


def requests_behind(session: ContractSession, capture: Capture) -> list[ReceivedRequest]:
    """The requests to the gateway from the beginning of an exchange to its end; empty without a gateway."""
    began_mono_s = capture.sent_mono_s - (capture.elapsed_s - capture.ended_s)
    ended_mono_s = capture.sent_mono_s + capture.ended_s
    return [call for call in session.gateway.chats if began_mono_s <= call.at_mono_s <= ended_mono_s]


_FORWARDED: WeakKeyDictionary[ContractSession, dict[str, ForwardedRequest]] = WeakKeyDictionary()


def forward(session: ContractSession, name: str, messages: list[dict[str, Any]], **fields: object) -> ForwardedRequest:
    """Send a conversation when it is first needed; ``name`` and whether it is streamed identify it."""
    kept = _FORWARDED.setdefault(session, {})
    key = f"{name} {fields.get('stream')}"
    if key not in kept:
        kept[key] = _send(session, messages, fields)
    LAST_CAPTURE.record(kept[key].capture)
    return kept[key]


def _send(session: ContractSession, messages: list[dict[str, Any]], fields: dict[str, object]) -> ForwardedRequest:
    before = len(session.gateway.chats)
    capture = session.post({"model": MODEL, "messages": messages, **without_default(fields)})
    questions = {_beginning(texts_of(turn.get("content"))) for turn in messages if turn["role"] == "user"}
    # A proxy may still retry for a client that has disconnected; those calls have another question.
    calls = (call for call in session.gateway.chats[before:] if _beginning([call.message]) in questions)
    return ForwardedRequest(capture, tuple(calls))


def _beginning(texts: Iterable[str]) -> str:
    """The first characters of a question without white space, which identify it."""
    return "".join("".join(texts).split())[:PREFIX_CHARS]
