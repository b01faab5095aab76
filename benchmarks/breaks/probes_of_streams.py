"""Probes of streams."""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Iterator
from dataclasses import replace

from tests.fixtures.faults.changing import in_chunks, in_each_chunk, in_framing, with_text
from tests.fixtures.faults.chunks import FAULTS, counted, delta_of, finish, finishing, first
from tests.fixtures.faults.fault import Fault, table
from tests.fixtures.faults.framing import done, open_end
from tests.fixtures.faults.reference.http import Request, Response, as_json
from tests.fixtures.faults.reference.steps import Events, Json, Steps, framed

LOGPROBS = (
    b'"logprobs": {"content": [{"token": "a", "logprob": -1e999, "bytes": null, "top_logprobs": []}], "refusal": null}'
)


def every_delta(chunks: list[Json], **members: object) -> None:
    """More members in each delta that has words."""
    for chunk in with_text(chunks):
        delta_of(chunk).update(members)


def without_finish(chunks: list[Json]) -> None:
    """The chunk that finishes is missing."""
    chunks.remove(finishing(chunks))


def finished_twice(chunks: list[Json]) -> None:
    """The chunk that finishes comes twice."""
    chunks.insert(chunks.index(finishing(chunks)), finishing(chunks))


def named(events: Events, name: bytes) -> Iterator[bytes]:
    """Each event with a name."""
    for event in events:
        yield b"event: " + name + b"\n" + (event if isinstance(event, bytes) else b"data: " + as_json(event) + b"\n\n")


def as_page(_: Request | None, sent: Response) -> Response:
    """A stream that is called a page of HTML."""
    if not isinstance(sent.body, bytes):
        sent.set("Content-Type", "text/html")
    return sent


def marked(events: Events) -> bytes:
    """A byte order mark, and the role together with the first words, as many servers send it."""
    told = list(events)
    if spoken := with_text([event for event in told if isinstance(event, dict) and "choices" in event])[:1]:
        delta_of(spoken[0]).update(role="assistant")
        told = told[1:]
    return BOM_UTF8 + b"".join(framed(told))


STREAMS = table(
    Fault(
        "byte-order-mark-before-words",
        "a byte order mark before a first event that has words",
        "D2.4",
        Steps(frame=lambda events: iter([marked(events)])),
    ),
    Fault(
        "chunks-with-5000-digits",
        "chunks have an integer of 5,000 digits",
        "B1.6",
        in_framing(lambda body: re.sub(rb"(?m)^data: \{", b'data: {"note": %b, ' % (b"9" * 5_000), body)),
    ),
    Fault(
        "logprob-beyond-double",
        "a log probability of chunks is -1e999",
        "B1.7",
        in_framing(lambda body: body.replace(b'"logprobs": null', LOGPROBS)),
    ),
    Fault(
        "chunk-choices-null", "the usage chunk has `choices: null`", "E1.1", counted(lambda c: c.update(choices=None))
    ),
    Fault("chunk-choices-missing", "the usage chunk has no choices", "E1.1", counted(lambda c: c.pop("choices"))),
    Fault(
        "delta-null", "the finish chunk has `delta: null`", "E1.1", finish(lambda c: c["choices"][0].update(delta=None))
    ),
    Fault(
        "chunk-index-missing",
        "choices of chunks have no index",
        "E1.1",
        in_each_chunk(lambda c: [choice.pop("index") for choice in c["choices"]]),
    ),
    Fault(
        "chunk-index-null",
        "choices of chunks have `index: null`",
        "E1.1",
        in_each_chunk(lambda c: [choice.update(index=None) for choice in c["choices"]]),
    ),
    Fault(
        "chunk-object-wrong",
        "chunks are called chat.completion",
        "E1.1",
        in_each_chunk(lambda c: c.update(object="chat.completion")),
    ),
    Fault("chunk-created-missing", "chunks have no `created`", "E1.5", in_each_chunk(lambda c: c.pop("created"))),
    Fault("chunk-created-null", "chunks have `created: null`", "E1.5", in_each_chunk(lambda c: c.update(created=None))),
    Fault(
        "chunk-created-string",
        "`created` of chunks is a date in words",
        "B2.1",
        in_each_chunk(lambda c: c.update(created="2026-01-01T00:00:00Z")),
    ),
    Fault("chunk-id-null", "chunks have `id: null`", "E1.5", in_each_chunk(lambda c: c.update(id=None))),
    Fault("chunk-id-empty", "chunks have an empty id", "E1.5", in_each_chunk(lambda c: c.update(id=""))),
    Fault("chunk-id-number", "the id of chunks is a number", "E1.1", in_each_chunk(lambda c: c.update(id=7))),
    Fault("chunk-model-missing", "chunks have no model", "E1.5", in_each_chunk(lambda c: c.pop("model"))),
    Fault("chunk-model-empty", "chunks have an empty model", "E1.5", in_each_chunk(lambda c: c.update(model=""))),
    Fault("chunk-model-number", "the model of chunks is a number", "E1.1", in_each_chunk(lambda c: c.update(model=7))),
    Fault("chunk-object-missing", "chunks have no object", "E1.1", in_each_chunk(lambda c: c.pop("object"))),
    Fault(
        "stream-role-of-a-user",
        "the first delta has the role user",
        "E2.1",
        first(lambda c: delta_of(c).update(role="user")),
    ),
    Fault(
        "role-null-again", "later deltas have `role: null`", "E2.2", in_chunks(lambda cs: every_delta(cs, role=None))
    ),
    Fault(
        "role-changes", "later deltas have the role user", "E2.3", in_chunks(lambda cs: every_delta(cs, role="user"))
    ),
    Fault(
        "stream-finish-invented",
        "a finish_reason that no client knows",
        "E3.2",
        finish(lambda c: c["choices"][0].update(finish_reason="done")),
    ),
    Fault("finish-missing", "no chunk has a finish_reason", "E3.3", in_chunks(without_finish)),
    Fault("finish-twice", "the finish chunk comes twice", "E3.3", in_chunks(finished_twice)),
    Fault(
        "usage-counts-missing",
        "a stream's usage has no total",
        "E5.9",
        counted(lambda c: c["usage"].pop("total_tokens")),
    ),
    Fault(
        "usage-counts-null",
        "the total of a stream's usage is null",
        "E5.9",
        counted(lambda c: c["usage"].update(total_tokens=None)),
    ),
    Fault(
        "usage-counts-negative",
        "a count of a stream's usage is negative",
        "E5.9",
        counted(lambda c: c["usage"].update(prompt_tokens=-1)),
    ),
    Fault(
        "stream-usage-details-string",
        "details of a stream's usage are a string",
        "E1.1",
        counted(lambda c: c["usage"].update(prompt_tokens_details="none")),
    ),
    Fault("done-quoted", "the end is a JSON string", "D3.1", done(b'data: "[DONE]"\n\n')),
    Fault("retry-line-alone", "a bare `retry:`", "D1.2", Steps(done=lambda: [b"retry: 1000\n\n", b"data: [DONE]\n\n"])),
    Fault("data-empty", "an empty `data:`", "D2.2", Steps(done=lambda: [b"data:\n\n", b"data: [DONE]\n\n"])),
    Fault(
        "event-named-message",
        "`event: message` beside the data",
        "D1.4",
        Steps(frame=lambda events: named(events, b"message")),
    ),
    Fault(
        "event-named-chunk",
        "`event: chunk` beside the data",
        "D1.3",
        Steps(frame=lambda events: named(events, b"chunk")),
    ),
    Fault("last-event-unended", "no line end after [DONE]", "D2.3", done(b"data: [DONE]")),
    Fault(
        "last-words-open",
        "the last words come with the finish_reason, and the stream ends within that event",
        "D2.1",
        replace(FAULTS["finish-with-words"].steps, frame=in_framing(open_end).frame),
    ),
    Fault("html-stream", "a stream is called text/html", "D1.1", Steps(response=as_page)),
)
