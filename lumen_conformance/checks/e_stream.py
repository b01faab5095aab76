"""E: the chunks of a stream. Each choice has a role first, then content, then exactly one finish_reason."""

from collections.abc import Iterator
from itertools import groupby, pairwise

from lumen_conformance.checks.c_choices import FINISH_REASONS, is_finish_reason
from lumen_conformance.checks.findings import (
    describe_count,
    find_schema_breaches,
    find_wire_breaches,
    quote,
    wrong_value,
)
from lumen_conformance.checks.preconditions import (
    explain_missing_text,
    require_stream,
    require_stream_chunks,
    require_stream_finish,
    requires_tool_call,
)
from lumen_conformance.checks.verdict import (
    Finding,
    Findings,
    JudgeContext,
    NotApplicable,
    NotObserved,
    judge,
    judge_with_context,
    judges_in,
)
from lumen_conformance.http.capture import Capture
from lumen_conformance.http.documents import (
    Choice,
    assistant_text,
    choices,
    choices_by_index,
    chunks,
    content_pieces,
    documents,
    finish_of,
    is_error,
)
from lumen_conformance.schemas.compiler import Breach
from lumen_conformance.schemas.descriptions import format_value

CUMULATIVE_PIECES = 3  # three pieces that each begin with the previous one are not increments
AROUND_CHARS = 20  # before and after the first difference of two texts: one line of a report


@judge(
    "E1.1",
    "M",
    "openapi.yaml:33665; smallmain/vscode-unify-chat-provider#29; "
    "openai-python raises on null, other choices, and an error",
    given=require_stream,
)
def chunks_fit(capture: Capture) -> Iterator[Finding]:
    """Every event is a chunk with the fields that clients require."""
    if not choices(capture):
        yield Finding("chunks with choices", f"none: {capture.ended}, {quote(capture.body)}", 0)
    for document in documents(capture):
        if is_error(document):
            yield wrong_value(document, ("error",), "no such key, or an error status before the stream")
        elif document.readable:
            yield from find_schema_breaches(document, "openai-chat-chunk", _has_own_check)


@judge("E1.2", "S", "openapi.yaml: each chunk has the same ID", given=require_stream_chunks)
def id_is_constant(capture: Capture) -> Findings:
    """All chunks have the same id."""
    yield from _constant(capture, "id")


@judge("E1.3", "S", "openapi.yaml: each chunk has the same timestamp", given=require_stream_chunks)
def created_is_constant(capture: Capture) -> Findings:
    """All chunks have the same created."""
    yield from _constant(capture, "created")


@judge("E1.4", "S", "openapi.yaml: the model to generate the completion", given=require_stream_chunks)
def model_is_constant(capture: Capture) -> Findings:
    """All chunks have the same model."""
    yield from _constant(capture, "model")


@judge(
    "E1.5",
    "S",
    "openapi.yaml:33665; jingyaogong/minimind#738, microsoft/foundry-local#144",
    given=require_stream_chunks,
)
def details_fit(capture: Capture) -> Iterator[Finding]:
    """The fields of every chunk match OpenAI's schema, also where clients do not depend on them."""
    for document in chunks(capture):
        yield from find_wire_breaches(document, "openai-chat-chunk")


@judge("E2.1", "M", "langwatch/langwatch#6196, tensorzero/tensorzero#1265", given=require_stream_chunks)
def role_first(capture: Capture) -> Iterator[Finding]:
    """The first delta of every choice has the role assistant."""
    for first, *_ in choices_by_index(capture).values():
        if first.delta.get("role") != "assistant":
            yield wrong_value(first.document, (*first.path, "delta", "role"), '"assistant"')


@judge("E2.2", "S", "recorded streams of api.openai.com", given=require_stream_chunks)
def role_once(capture: Capture) -> Iterator[Finding]:
    """Only the first delta of a choice has a role."""
    for choice in _later(capture):
        if "role" in choice.delta:
            yield wrong_value(choice.document, (*choice.path, "delta", "role"), "no such key after the first delta")


@judge("E2.3", "M", "clients join roles or take the last one", given=require_stream_chunks)
def role_never_changes(capture: Capture) -> Iterator[Finding]:
    """A repeated role is the same role."""
    for choice in _later(capture):
        if choice.delta.get("role", "assistant") not in ("assistant", None):
            yield wrong_value(choice.document, (*choice.path, "delta", "role"), '"assistant", or no such key')


@judge(
    "E3.1",
    "S",
    "vllm-project/vllm#19662; openapi.yaml requires it; no client depends on it",
    given=require_stream_chunks,
)
def finish_reason_present(capture: Capture) -> Iterator[Finding]:
    """Every choice of every chunk has the key finish_reason."""
    for choice in choices(capture):
        if "finish_reason" not in choice.value:
            yield wrong_value(choice.document, (*choice.path, "finish_reason"), "null until the end")


@judge("E3.2", "M", "openapi.yaml:33665; ollama/ollama#4357 sent an empty string", given=require_stream_chunks)
def finish_reason_known(capture: Capture) -> Iterator[Finding]:
    """Every finish_reason of a stream is null or one of the five values of OpenAI's schema."""
    for choice in choices(capture):
        reason = choice.value.get("finish_reason")
        if reason is not None and not is_finish_reason(reason):
            expected = f"null, or one of {', '.join(sorted(FINISH_REASONS))}"
            yield wrong_value(choice.document, (*choice.path, "finish_reason"), expected)


@judge(
    "E3.3", "M", "the AI SDK raises without one; vercel/ai#19165: a truncated stream looks complete",
    given=require_stream_chunks,
)  # fmt: skip
def one_end(capture: Capture) -> Iterator[Finding]:
    """Every choice of a stream has exactly one finish_reason."""
    for index, own in choices_by_index(capture).items():
        ends = [choice for choice in own if choice.value.get("finish_reason")]
        if len(ends) != 1:
            last = ends[-1] if ends else own[-1]
            found = describe_count("finish_reason", len(ends), capture)
            yield Finding(f"one finish_reason of choice {index}", found, last.offset("finish_reason"))


@judge("E3.4", "M", "anomalyco/opencode#49167 sent content after it", given=require_stream_finish)
def nothing_after_the_end(capture: Capture) -> Iterator[Finding]:
    """No part of the message follows the finish_reason of a choice."""
    for own in choices_by_index(capture).values():
        ended = False
        for choice in own:
            if ended and not choice.value.get("finish_reason") and _carries(choice):
                yield wrong_value(choice.document, (*choice.path, "delta"), "empty after the finish_reason")
            ended = ended or bool(choice.value.get("finish_reason"))


@judge("E4", "S", "recorded streams of api.openai.com", given=require_stream_finish)
def end_is_empty(capture: Capture) -> Iterator[Finding]:
    """The delta with the finish_reason has no part of the message."""
    for choice in choices(capture):
        if choice.value.get("finish_reason") and _carries(choice):
            yield wrong_value(choice.document, (*choice.path, "delta"), "{}")


@judge_with_context(
    "E6.1",
    "M",
    "openapi.yaml: stream, the model response is sent as it is generated",
    needs="text",
    given=require_stream_chunks,
)
def same_text(capture: Capture, context: JudgeContext) -> Findings:
    """The joined deltas are equal to the text of the plain answer."""
    found, wanted = assistant_text(capture), context.text or ""
    if requires_tool_call(capture):
        yield NotApplicable("the request requires a tool call")
    elif context.text is not None and found != wanted:
        pairs = enumerate(zip(found, wanted, strict=False))
        at = next((place for place, (a, b) in pairs if a != b), min(len(found), len(wanted)))
        expected, there = (
            f"a text of {len(text)} characters, at character {at} {_excerpt(text, at)}" for text in (wanted, found)
        )
        yield Finding(expected, there, 0)


@judge_with_context(
    "E6.2",
    "M",
    "openapi.yaml: stream, the model response is sent as it is generated",
    needs="finish",
    given=require_stream_finish,
)
def same_finish(capture: Capture, context: JudgeContext) -> Findings:
    """The finish_reason of a stream is that of the plain answer."""
    if requires_tool_call(capture):
        yield NotApplicable("the request requires a tool call")
    elif context.finish is not None and finish_of(capture) != context.finish:
        found = f"finish_reason: {format_value(finish_of(capture))}"
        yield Finding(f"finish_reason: {format_value(context.finish)}, as in the plain answer", found)


@judge(
    "E7",
    "M",
    "openapi.yaml: a delta is generated by the streamed response; clients append it",
    given=require_stream_chunks,
)
def deltas_are_increments(capture: Capture) -> Findings:
    """Each delta has only new text, not the whole text so far."""
    if not any(map(content_pieces, choices_by_index(capture).values())):
        yield explain_missing_text(capture)
    for own in choices_by_index(capture).values():
        pieces = [
            piece for piece, _ in groupby(content_pieces(own))
        ]  # the delta with the finish_reason may repeat the whole text
        grown = all(b.startswith(a) for a, b in pairwise(pieces))
        if grown and len(pieces) >= CUMULATIVE_PIECES:
            found = f"each delta begins with the previous one: {format_value(pieces[:CUMULATIVE_PIECES])}"
            yield Finding("deltas with new text only", found, own[0].offset(), "")


@judge_with_context(
    "E9",
    "S",
    "BerriAI/litellm#29557 and LostRuins/koboldcpp#1168 buffer a stream until its end",
    profile="openai",
    needs="said_mono_s",
    given=require_stream_chunks,
)
def passed_on(capture: Capture, context: JudgeContext) -> Findings:
    """The first content of a streaming gateway arrives before the gateway has sent its last."""
    first = next((choice for choice in choices(capture) if choice.delta.get("content")), None)
    if context.said_mono_s is None:
        yield NotApplicable("the gateway was not asked for a stream")
    elif first is None:
        yield NotObserved("the stream has no content", ("E6.1",))
    else:
        late_s = (
            capture.sent_mono_s + (capture.arrived_s(first.offset("delta", "content")) or 0.0) - context.said_mono_s
        )
        if late_s > 0:
            found = f"the first content {late_s:.3f} s after the gateway sent its last"
            yield Finding("the first content before the gateway sends its last", found, first.offset())


def _excerpt(text: str, at: int) -> str:
    return format_value(text[max(0, at - AROUND_CHARS) : at + AROUND_CHARS])


def _later(capture: Capture) -> Iterator[Choice]:
    for own in choices_by_index(capture).values():
        yield from own[1:]


def _carries(choice: Choice) -> bool:
    """Whether a delta has a part of the message; a role, null and empty values are no parts."""
    return any(value for name, value in choice.delta.items() if name != "role")


def _constant(capture: Capture, name: str) -> Findings:
    """A finding for each chunk whose value is not that of the first chunk; check E1.5 reports missing values."""
    having = [chunk for chunk in chunks(capture) if chunk.value.get(name) not in (None, "")]
    if not having:
        yield NotObserved(f"no chunk has {name}", ("E1.5",))
    for chunk in having[1:]:
        if chunk.value[name] != having[0].value[name]:
            yield wrong_value(chunk, (name,), f"{format_value(having[0].value[name])}, as in the first chunk")


def _has_own_check(breach: Breach) -> bool:
    """Whether another check reports this breach."""
    last = breach.path[-1] if breach.path else ""
    if last in {"created", "index"} and not breach.missing:
        return True  # B2.1, B2.2
    if "tool_calls" in breach.path and last in {"index", "type", "arguments"}:
        return True  # E8.1, E8.3, E8.5
    return last == "finish_reason"  # E3.2


JUDGES = judges_in(globals())
