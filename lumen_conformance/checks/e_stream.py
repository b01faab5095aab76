"""E: a stream as a state machine, one per choice: role, then pieces, then exactly one end, then nothing."""

from collections.abc import Iterator
from itertools import groupby, pairwise

from lumen_conformance.checks.c_answer import FINISH_REASONS, is_finish_reason
from lumen_conformance.checks.findings import fits_schema, fits_wire, how_often, shorten, wrong
from lumen_conformance.checks.preconditions import no_text, stream_chunks, stream_finish, streamed
from lumen_conformance.checks.verdict import (
    Finding,
    Findings,
    Known,
    NotApplicable,
    NotSeen,
    informed,
    judge,
    judges_in,
)
from lumen_conformance.http.capture import Capture
from lumen_conformance.http.documents import (
    Choice,
    by_index,
    choices,
    chunks,
    contents,
    documents,
    finish_of,
    is_error,
    said,
)
from lumen_conformance.schemas.compiler import Breach
from lumen_conformance.schemas.descriptions import format_value

CUMULATIVE_PIECES = 3  # three pieces of which each begins with the one before: no increments look like that
AROUND_CHARS = 20  # on either side of the first difference of two texts: one line of a report


@judge(
    "E1.1",
    "M",
    "unify-chat-provider#29; openai-python raises on null, on choices that are no list, and on an error",
    given=streamed,
)
def chunks_fit(seen: Capture) -> Iterator[Finding]:
    """Every event is a chunk with what clients need of it."""
    if not choices(seen):
        yield Finding("chunks with choices", f"none: {seen.ended}, {shorten(seen.body)}", 0)
    for document in documents(seen):
        if is_error(document):
            yield wrong(document, ("error",), "no such key, or an error status before the stream")
        elif document.readable:
            yield from fits_schema(document, "openai-chat-chunk", _told_elsewhere)


@judge("E1.2", "S", "openapi.yaml: each chunk has the same ID", given=stream_chunks)
def id_is_constant(seen: Capture) -> Findings:
    """All chunks have the same id."""
    yield from _constant(seen, "id")


@judge("E1.3", "S", "openapi.yaml: each chunk has the same timestamp", given=stream_chunks)
def created_is_constant(seen: Capture) -> Findings:
    """All chunks have the same created."""
    yield from _constant(seen, "created")


@judge("E1.4", "S", "openapi.yaml: the model to generate the completion", given=stream_chunks)
def model_is_constant(seen: Capture) -> Findings:
    """All chunks have the same model."""
    yield from _constant(seen, "model")


@judge("E1.5", "S", "openapi.yaml:33665; minimind#738, foundry-local#144", given=stream_chunks)
def details_fit(seen: Capture) -> Iterator[Finding]:
    """The id, the model, the time and the details of every chunk are those that OpenAI's schema has."""
    for document in chunks(seen):
        yield from fits_wire(document, "openai-chat-chunk")


@judge("E2.1", "M", "langwatch#6196, tensorzero#1265", given=stream_chunks)
def role_first(seen: Capture) -> Iterator[Finding]:
    """The first delta of every choice has the role assistant."""
    for first, *_ in by_index(seen).values():
        if first.delta.get("role") != "assistant":
            yield wrong(first.document, (*first.path, "delta", "role"), '"assistant"')


@judge("E2.2", "S", "recorded streams of api.openai.com", given=stream_chunks)
def role_once(seen: Capture) -> Iterator[Finding]:
    """No later delta has a role."""
    for choice in _later(seen):
        if "role" in choice.delta:
            yield wrong(choice.document, (*choice.path, "delta", "role"), "no such key after the first delta")


@judge("E2.3", "M", "clients join roles or take the last one", given=stream_chunks)
def role_never_changes(seen: Capture) -> Iterator[Finding]:
    """A role that is repeated is the same, never empty."""
    for choice in _later(seen):
        if choice.delta.get("role", "assistant") not in ("assistant", None):
            yield wrong(choice.document, (*choice.path, "delta", "role"), '"assistant", or no such key')


@judge("E3.1", "S", "vllm#19662; openapi.yaml requires it, no client misses it", given=stream_chunks)
def finish_reason_present(seen: Capture) -> Iterator[Finding]:
    """Every choice of every chunk has the key finish_reason."""
    for choice in choices(seen):
        if "finish_reason" not in choice.value:
            yield wrong(choice.document, (*choice.path, "finish_reason"), "null until the end")


@judge("E3.2", "M", "ollama#4357 sent an empty text", given=stream_chunks)
def finish_reason_known(seen: Capture) -> Iterator[Finding]:
    """Every finish_reason is null or one of the five words."""
    for choice in choices(seen):
        reason = choice.value.get("finish_reason")
        if reason is not None and not is_finish_reason(reason):
            expected = f"null, or one of {', '.join(sorted(FINISH_REASONS))}"
            yield wrong(choice.document, (*choice.path, "finish_reason"), expected)


@judge(
    "E3.3", "M", "the AI SDK raises without one; vercel/ai#19165: a truncated stream looks finished",
    given=stream_chunks,
)  # fmt: skip
def one_end(seen: Capture) -> Iterator[Finding]:
    """Every choice ends with exactly one finish_reason."""
    for index, own in by_index(seen).items():
        ends = [choice for choice in own if choice.value.get("finish_reason")]
        if len(ends) != 1:
            last = ends[-1] if ends else own[-1]
            found = how_often("finish_reason", len(ends), seen)
            yield Finding(f"one finish_reason of choice {index}", found, last.offset("finish_reason"))


@judge("E3.4", "M", "opencode#49167 sent content after the end", given=stream_finish)
def nothing_after_the_end(seen: Capture) -> Iterator[Finding]:
    """No part of a choice's message follows its finish_reason."""
    for own in by_index(seen).values():
        ended = False
        for choice in own:
            if ended and not choice.value.get("finish_reason") and _carries(choice):
                yield wrong(choice.document, (*choice.path, "delta"), "empty after the finish_reason")
            ended = ended or bool(choice.value.get("finish_reason"))


@judge("E4", "S", "recorded streams of api.openai.com", given=stream_finish)
def end_is_empty(seen: Capture) -> Iterator[Finding]:
    """The finishing delta carries no part of the message."""
    for choice in choices(seen):
        if choice.value.get("finish_reason") and _carries(choice):
            yield wrong(choice.document, (*choice.path, "delta"), "{}")


@informed("E6.1", "M", "what is streamed and what is not are one answer", needs="text", given=stream_chunks)
def same_text(seen: Capture, known: Known) -> Iterator[Finding]:
    """The joined deltas are the text of the plain answer, byte for byte."""
    found, wanted = said(seen), known.text or ""
    if known.text is not None and found != wanted:
        pairs = enumerate(zip(found, wanted, strict=False))
        at = next((place for place, (a, b) in pairs if a != b), min(len(found), len(wanted)))
        expected, there = (
            f"a text of {len(text)} characters, at character {at} {_around(text, at)}" for text in (wanted, found)
        )
        yield Finding(expected, there, 0)


@informed("E6.2", "M", "what is streamed and what is not are one answer", needs="finish", given=stream_finish)
def same_finish(seen: Capture, known: Known) -> Iterator[Finding]:
    """The finish_reason is that of the plain answer."""
    if known.finish is not None and finish_of(seen) != known.finish:
        found = f"finish_reason: {format_value(finish_of(seen))}"
        yield Finding(f"finish_reason: {format_value(known.finish)}, as in the plain answer", found)


@judge("E7", "M", "cumulative text passes checks of the last chunk only", given=stream_chunks)
def deltas_are_increments(seen: Capture) -> Findings:
    """Deltas are increments, not the text so far."""
    if not any(map(contents, by_index(seen).values())):
        yield no_text(seen)
    for own in by_index(seen).values():
        pieces = [piece for piece, _ in groupby(contents(own))]  # the whole text may come again with the finish
        grown = all(b.startswith(a) for a, b in pairwise(pieces))
        if grown and len(pieces) >= CUMULATIVE_PIECES:
            found = f"each begins with the one before: {format_value(pieces[:CUMULATIVE_PIECES])}"
            yield Finding("deltas that have new text only", found, own[0].offset(), "")


@informed(
    "E9",
    "S",
    "litellm#29557, koboldcpp#1168 collect a stream until its end",
    profile="openai",
    needs="said_mono_s",
    given=stream_chunks,
)
def passed_on(seen: Capture, known: Known) -> Findings:
    """The first words of a streaming upstream arrive before it has sent its last."""
    first = next((choice for choice in choices(seen) if choice.delta.get("content")), None)
    if known.said_mono_s is None:
        yield NotApplicable("no stream was asked of the upstream")
    elif first is None:
        yield NotSeen("the stream has no words", ("E6.1",))
    else:
        late_s = seen.sent_mono_s + (seen.arrived_s(first.offset("delta", "content")) or 0.0) - known.said_mono_s
        if late_s > 0:
            found = f"the first words {late_s:.3f} s after it sent the last"
            yield Finding("the first words before the upstream sent the last", found, first.offset())


def _around(text: str, at: int) -> str:
    return format_value(text[max(0, at - AROUND_CHARS) : at + AROUND_CHARS])


def _later(seen: Capture) -> Iterator[Choice]:
    for own in by_index(seen).values():
        yield from own[1:]


def _carries(choice: Choice) -> bool:
    """Whether a delta has a part of the message; a role, null and what is empty are none."""
    return any(value for name, value in choice.delta.items() if name != "role")


def _constant(seen: Capture, name: str) -> Findings:
    """A finding for each chunk whose value is not the first one; E1.5 tells of those that have none."""
    having = [chunk for chunk in chunks(seen) if chunk.value.get(name) not in (None, "")]
    if not having:
        yield NotSeen(f"no chunk has {name}", ("E1.5",))
    for chunk in having[1:]:
        if chunk.value[name] != having[0].value[name]:
            yield wrong(chunk, (name,), f"{format_value(having[0].value[name])}, as in the first chunk")


def _told_elsewhere(breach: Breach) -> bool:
    """Whether a check of its own tells this breach."""
    last = breach.path[-1] if breach.path else ""
    if last in {"created", "index"} and not breach.missing:
        return True  # B2.1, B2.2
    if "tool_calls" in breach.path and last in {"index", "type", "arguments"}:
        return True  # E8.1, E8.3, E8.5
    return last == "finish_reason"  # E3.2


JUDGES = judges_in(globals())
