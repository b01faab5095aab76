"""Probes of streams."""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from dataclasses import replace

from tests.fixtures.faults.answers import COUNTS
from tests.fixtures.faults.chunks import FAULTS, delta_of, finish_chunk_of, in_finish, in_first, in_usage_chunk
from tests.fixtures.faults.edits import Change, in_chunks, in_each_choice, in_each_chunk, in_framing, with_text
from tests.fixtures.faults.fault import Fault, table
from tests.fixtures.faults.reference.http import Request, Response
from tests.fixtures.faults.reference.steps import Events, Json, Steps, framed
from tests.fixtures.faults.sse_format import leave_open_end, with_end

LOGPROBS = (
    b'"logprobs": {"content": [{"token": "a", "logprob": -1e999, "bytes": null, "top_logprobs": []}], "refusal": null}'
)


def each(name: str, defect: str, check: str, change: Change) -> Fault:
    """A probe of every chunk."""
    return Fault(name, defect, check, in_each_chunk(change))


def usage(name: str, defect: str, check: str, change: Change) -> Fault:
    """A probe of the chunk with usage."""
    return Fault(name, defect, check, in_usage_chunk(change))


def every_delta(chunks: list[Json], **members: object) -> None:
    """More members in each delta that has words."""
    for chunk in with_text(chunks):
        delta_of(chunk).update(members)


def without_finish(chunks: list[Json]) -> None:
    """The chunk that finishes is missing."""
    chunks.remove(finish_chunk_of(chunks))


def finished_twice(chunks: list[Json]) -> None:
    """The chunk that finishes comes twice."""
    chunks.insert(chunks.index(finish_chunk_of(chunks)), finish_chunk_of(chunks))


def as_page(_: Request | None, sent: Response) -> Response:
    """Send a stream with the media type of HTML."""
    if not isinstance(sent.body, bytes):
        sent.set("Content-Type", "text/html")
    return sent


def marked(events: Events) -> bytes:
    """A byte order mark, and the role together with the first text, as many servers send it."""
    sent = list(events)
    if texts := with_text([event for event in sent if isinstance(event, dict) and "choices" in event])[:1]:
        delta_of(texts[0]).update(role="assistant")
        sent = sent[1:]
    return BOM_UTF8 + b"".join(framed(sent))


ISO, ANSWER = "2026-01-01T00:00:00Z", "chat.completion"
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
    usage("chunk-choices-null", "the usage chunk has `choices: null`", "E1.1", lambda c: c.update(choices=None)),
    usage("chunk-choices-missing", "the usage chunk has no choices", "E1.1", lambda c: c.pop("choices")),
    Fault(
        "delta-null",
        "the finish chunk has `delta: null`",
        "E1.1",
        in_finish(lambda c: c["choices"][0].update(delta=None)),
    ),
    Fault(
        "chunk-index-missing", "choices of chunks have no index", "E1.1", in_each_choice(lambda one: one.pop("index"))
    ),
    Fault(
        "chunk-index-null",
        "choices of chunks have `index: null`",
        "E1.1",
        in_each_choice(lambda one: one.update(index=None)),
    ),
    each("chunk-object-wrong", "chunks are called chat.completion", "E1.1", lambda c: c.update(object=ANSWER)),
    each("chunk-created-missing", "chunks have no `created`", "E1.5", lambda c: c.pop("created")),
    each("chunk-created-null", "chunks have `created: null`", "E1.5", lambda c: c.update(created=None)),
    each("chunk-created-string", "`created` of chunks is a date in words", "B2.1", lambda c: c.update(created=ISO)),
    each("chunk-id-null", "chunks have `id: null`", "E1.5", lambda c: c.update(id=None)),
    each("chunk-id-empty", "chunks have an empty id", "E1.5", lambda c: c.update(id="")),
    each("chunk-id-number", "the id of chunks is a number", "E1.1", lambda c: c.update(id=7)),
    each("chunk-model-missing", "chunks have no model", "E1.5", lambda c: c.pop("model")),
    each("chunk-model-empty", "chunks have an empty model", "E1.5", lambda c: c.update(model="")),
    each("chunk-model-number", "the model of chunks is a number", "E1.1", lambda c: c.update(model=7)),
    each("chunk-object-missing", "chunks have no object", "E1.1", lambda c: c.pop("object")),
    Fault(
        "stream-role-of-a-user",
        "the first delta has the role user",
        "E2.1",
        in_first(lambda c: delta_of(c).update(role="user")),
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
        in_finish(lambda c: c["choices"][0].update(finish_reason="done")),
    ),
    Fault("finish-missing", "no chunk has a finish_reason", "E3.3", in_chunks(without_finish)),
    Fault("finish-twice", "the finish chunk comes twice", "E3.3", in_chunks(finished_twice)),
    usage("usage-counts-missing", "a stream's usage has no total", "E5.3", lambda c: c["usage"].pop("total_tokens")),
    usage(
        "usage-counts-null",
        "the counts of a stream's usage are null",
        "E5.3",
        lambda c: c["usage"].update(dict.fromkeys(COUNTS)),
    ),
    usage(
        "usage-prompt-null",
        "the count of a stream's question is null",
        "E5.3",
        lambda c: c["usage"].update(prompt_tokens=None),
    ),
    usage(
        "usage-counts-negative",
        "a count of a stream's usage is negative",
        "E5.9",
        lambda c: c["usage"].update(prompt_tokens=-1),
    ),
    usage(
        "stream-usage-details-string",
        "details of a stream's usage are a string",
        "E1.1",
        lambda c: c["usage"].update(prompt_tokens_details="none"),
    ),
    Fault("done-quoted", "the end is a JSON string", "D3.1", with_end(b'data: "[DONE]"\n\n')),
    Fault("data-empty", "an empty `data:`", "D2.2", with_end(b"data:\n\n", b"data: [DONE]\n\n")),
    Fault(
        "last-words-open",
        "the last words come with the finish_reason, and the stream ends within that event",
        "D2.1",
        replace(FAULTS["finish-with-words"].steps, frame=in_framing(leave_open_end).frame),
    ),
    Fault("html-stream", "a stream is called text/html", "D1.1", Steps(response=as_page)),
)
