"""Steps of the forwarding reference that change events of streams, answers, errors and requests."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.client import HTTPConnection, HTTPResponse
from typing import Any

from tests.fixtures.faults.edits import in_chats, in_responses
from tests.fixtures.faults.reference import forwarder
from tests.fixtures.faults.reference.http import Refused, Request, Response, as_json
from tests.fixtures.faults.reference.steps import Steps

Json = dict[str, Any]
DONE = "[DONE]"
REFUSED_HERE = "refused_by_the_defect"
TEXT = "text/plain"
JSON = "application/json"
SSE = "text/event-stream"
HEAD: Json = {"id": "chatcmpl-0", "created": 1, "model": "gpt-4o-mini"}  # of a chunk or an answer of its own


def body_of(request: Request) -> Json:
    """The object of a chat request; empty for any other body."""
    try:
        found = json.loads(request.body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def split_events(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Each event of a stream with its blank line, as soon as it is whole; what remains at the end, unchanged."""
    waiting = b""
    for piece in pieces:
        waiting += piece
        while b"\n\n" in waiting:
            event, _, waiting = waiting.partition(b"\n\n")
            yield event + b"\n\n"
    if waiting:
        yield waiting


def payload_of(event: bytes) -> Json | str | None:
    """The object of an event of one data line, DONE, or None for any other event."""
    if not event.startswith(b"data:") or event.strip().count(b"\n"):
        return None
    text = event.removeprefix(b"data:").strip()
    if text == DONE.encode():
        return DONE
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def first_choice(payload: Json | str) -> Json:
    """The first choice of a chunk; empty for DONE and for a chunk without choices."""
    found: Json = (payload.get("choices") or [{}])[0] if isinstance(payload, dict) else {}
    return found


def in_events(change: Callable[[Request], Callable[[Json | str], list[Json | bytes] | None]]) -> Steps:
    """Replace events of streams: for each request one function, which is given each chunk and DONE.

    It returns the events in its place, as objects or as bytes; None leaves the event, byte by byte as it came.
    """

    def edited(pieces: Iterator[bytes], each: Callable[[Json | str], list[Json | bytes] | None]) -> Iterator[bytes]:
        for event in split_events(pieces):
            payload = payload_of(event)
            found = None if payload is None else each(payload)
            if found is None:
                yield event
            else:
                yield from (one if isinstance(one, bytes) else b"data: " + as_json(one) + b"\n\n" for one in found)

    def edit(request: Request, sent: Response) -> None:
        if not isinstance(sent.body, bytes):
            sent.body = edited(iter(sent.body), change(request))

    return in_chats(edit)


def in_chunks(change: Callable[[Json], object]) -> Steps:
    """Change the object of each chunk in place; a chunk that stays the same is sent byte by byte as it came."""

    def each(payload: Json | str) -> list[Json | bytes] | None:
        if isinstance(payload, str):
            return None
        before = copy.deepcopy(payload)
        try:
            change(payload)
        except (LookupError, TypeError, AttributeError):
            return None  # no chunk of a chat
        return None if payload == before else [payload]

    return in_events(lambda _: each)


def in_answers(change: Callable[[Json], object]) -> Steps:
    """Change the object of each successful plain answer in place."""

    def edit(_: Request, sent: Response) -> None:
        if isinstance(sent.body, bytes) and sent.body:
            answer = json.loads(sent.body)
            try:
                change(answer)
            except (LookupError, TypeError, AttributeError):
                return
            sent.body = as_json(answer)

    return in_chats(edit)


def send_whole(sent: Response, limit: int | None = None) -> None:
    """Send a stream when it has ended; one above the limit is an error of the server."""
    pieces = sent.body
    assert not isinstance(pieces, bytes)
    if limit is None:
        sent.body = (b"".join(pieces) for _ in range(1))
        return
    whole = b"".join(pieces)
    if len(whole) > limit:
        sent.status, sent.body = 500, b"Internal Server Error"
        sent.set("Content-Type", TEXT)
    else:
        sent.body = iter([whole])


def refuse(when: Callable[[Json], bool], status: int, body: bytes, media_type: str) -> Steps:
    """Answer some chats with an error of the server itself, without asking the gateway."""

    def forward(connection: HTTPConnection, request: Request) -> HTTPResponse:
        if request.method == "POST" and when(body_of(request)):
            raise Refused(status, REFUSED_HERE, "")
        return forwarder.forward(connection, request)

    return Steps(forward=forward, response=own_error(body, media_type).response)


def own_error(body: bytes, media_type: str) -> Steps:
    """Replace the body of what was refused with `REFUSED_HERE`."""

    def edit(_: Request, sent: Response) -> None:
        if isinstance(sent.body, bytes) and REFUSED_HERE.encode() in sent.body:
            sent.body = body
            sent.set("Content-Type", media_type)

    return in_responses(edit)


def in_errors(change: Callable[[Request, Response, Json], object]) -> Steps:
    """Change each response that is an error in the form of OpenAI."""

    def edit(request: Request, sent: Response) -> None:
        if sent.status < 400 or not isinstance(sent.body, bytes):
            return
        try:
            error = json.loads(sent.body)["error"]
        except (ValueError, LookupError, TypeError):
            return
        if isinstance(error, dict):
            change(request, sent, error)

    return in_responses(edit)


def both(first: Steps, second: Steps) -> Steps:
    """The steps of the first, whose responses the second changes too."""

    def response(request: Request | None, sent: Response) -> Response:
        return second.response(request, first.response(request, sent))

    return replace(first, response=response)
