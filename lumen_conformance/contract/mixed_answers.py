"""When a response is the answer to another request: it has the other's words, its request id, or another kind."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from lumen_conformance.contract.expectations import describe, told_header
from lumen_conformance.contract.session import Talk
from lumen_conformance.http.capture import WITNESS, Capture
from lumen_conformance.http.documents import asks_stream, media_type, said
from lumen_conformance.registry.refutation import expect

STREAM, PLAIN = "text/event-stream", "application/json"
SHORT_TOKENS = 16  # of a model on this machine, which would write for minutes after twenty clients have left


@dataclass(frozen=True)
class Asked:
    """A question whose words nobody else has said, the request id that it had (empty: none), and what came."""

    text: str
    request_id: str
    seen: Capture


def nonce(words: str) -> str:
    """Words that no other question has."""
    return f"{words} {uuid.uuid4().hex}"


def short(talk: Talk) -> dict[str, Any]:
    """What keeps a model on this machine from writing for minutes."""
    own_model = not talk.target.url and "gateway" not in talk.target.can
    return {"max_tokens": SHORT_TOKENS} if own_model else {}


def expect_own(talk: Talk, asked: Collection[Asked]) -> None:
    """No response has the words or the request id of another question, and each is of the kind that was asked for."""
    for one in asked:
        WITNESS.saw(one.seen)
        others = [each for each in asked if each is not one]
        found = f"the answer to another: {describe(one.seen)}"
        expect(not any(each.text.split()[-1] in said(one.seen) for each in others), "the answer to this request", found)
        id_of_another = one.seen.header("x-request-id") in {each.request_id for each in others} - {""}
        expect(not id_of_another, f"no request id of another request; own: {one.request_id}", _id_told(one.seen))
    if (media_type(talk.chat), media_type(talk.stream)) == (PLAIN, STREAM):
        _expect_kinds([one.seen for one in asked if one.seen.status == 200])


def _expect_kinds(seen: Collection[Capture]) -> None:
    """Plain answers and streams were not exchanged: one kind alone in the place of the other is another defect."""
    plain = [each for each in seen if not asks_stream(each) and media_type(each) == STREAM]
    streams = [each for each in seen if asks_stream(each) and media_type(each) == PLAIN]
    if plain and streams:
        WITNESS.saw(streams[0])
        wanted = f"media type {STREAM}, as this request has asked for"
        expect(holds=False, expected=wanted, found=f"{PLAIN}, as another has, which got a stream")


def _id_told(seen: Capture) -> str:
    return f"that of another: {told_header(seen, 'X-Request-Id')}"
