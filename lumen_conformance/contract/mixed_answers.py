"""Detect a response to another request: it has the other request's text or request id, or the wrong kind."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from lumen_conformance.contract.expectations import describe, describe_header
from lumen_conformance.contract.session import ContractSession
from lumen_conformance.http.capture import LAST_CAPTURE, Capture
from lumen_conformance.http.documents import assistant_text, media_type, requests_stream
from lumen_conformance.registry.refutation import expect

STREAM, PLAIN = "text/event-stream", "application/json"
MAX_TOKENS = 16  # a model on this machine would generate for minutes after twenty clients have disconnected


@dataclass(frozen=True)
class SentQuestion:
    """A question with a unique text, its request id (empty: none), and the response."""

    text: str
    request_id: str
    capture: Capture


def make_unique(text: str) -> str:
    """Append a random number to a text."""
    return f"{text} {uuid.uuid4().hex}"


def limit_tokens(session: ContractSession) -> dict[str, Any]:
    """A token limit for a model on this machine; without it twenty answers take minutes."""
    own_model = not session.target.url and "gateway" not in session.target.can
    return {"max_tokens": MAX_TOKENS} if own_model else {}


def expect_own_answers(session: ContractSession, asked: Collection[SentQuestion]) -> None:
    """No response has the text or the request id of another question, and each has the requested kind."""
    for one in asked:
        LAST_CAPTURE.record(one.capture)
        others = [each for each in asked if each is not one]
        found = f"the answer to another request: {describe(one.capture)}"
        expect(
            not any(each.text.split()[-1] in assistant_text(one.capture) for each in others),
            "the answer to this request",
            found,
        )
        id_of_another = one.capture.header("x-request-id") in {each.request_id for each in others} - {""}
        expect(not id_of_another, f"no request id of another request; own: {one.request_id}", _describe_id(one.capture))
    if (media_type(session.chat), media_type(session.stream)) == (PLAIN, STREAM):
        _expect_kinds([one.capture for one in asked if one.capture.status == 200])


def _expect_kinds(captures: Collection[Capture]) -> None:
    """No plain answer and stream are exchanged; one of them alone is another defect, which C1.2 and D1.1 report."""
    plain = [each for each in captures if not requests_stream(each) and media_type(each) == STREAM]
    streams = [each for each in captures if requests_stream(each) and media_type(each) == PLAIN]
    if plain and streams:
        LAST_CAPTURE.record(streams[0])
        wanted = f"media type {STREAM}, as requested"
        expect(holds=False, expected=wanted, found=f"{PLAIN}; another request, for a plain answer, got a stream")


def _describe_id(capture: Capture) -> str:
    return f"that of another request: {describe_header(capture, 'X-Request-Id')}"
