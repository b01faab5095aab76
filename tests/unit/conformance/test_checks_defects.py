"""Judges against broken captures: each defect breaks exactly the claims that it should."""

from collections.abc import Iterable

import pytest

from lumen_conformance.checks import catalogue
from lumen_conformance.checks.verdict import EXCHANGE, Judge, Known, NotSeen
from lumen_conformance.http.client import Capture
from tests.unit.conformance import samples as s
from tests.unit.conformance.broken_errors import BREAKS, REFUSALS, Defect
from tests.unit.conformance.samples import ABSENT, ANSWER, ERROR, TEXT, chunk, chunks, edited, framed, with_usage

KNOWN = Known(text=TEXT, finish="stop", secrets=("sk-hush-hush",), upstream=("gateway.example",))
USAGE_ASKED = {"stream_options": {"include_usage": True}}


def of_answer(*edits: tuple[str, object]) -> Capture:
    """A plain answer with changes."""
    return s.plain(edited(ANSWER, *edits))


def of_two(*indexes: object) -> Capture:
    """An answer of two choices that were asked for."""
    return s.plain(edited(ANSWER, ("choices", [{**ANSWER["choices"][0], "index": i} for i in indexes])), asked={"n": 2})


def of_chunks(*edits: tuple[str, object]) -> Capture:
    """A stream with changes in its list of chunks."""
    return s.stream(edited(chunks(), *edits))


def of_usage(*edits: tuple[str, object]) -> Capture:
    """A stream with usage, with changes in its list of chunks."""
    return s.stream(edited(with_usage(), *edits), asked=USAGE_ASKED)


def tools(*calls: object) -> Capture:
    """A stream of tool calls."""
    deltas = [chunk({"tool_calls": [call]}) for call in calls]
    return s.stream([chunk({"role": "assistant", "content": None}), *deltas, chunk({}, "tool_calls")])


RAW = s.encoded(ANSWER)
MESSAGE = "choices.0.message"
WHOLE_CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{"}}

ANSWERS: dict[str, Defect] = {
    "latin-1": (s.plain(RAW.replace("안".encode(), b"\xe9")), {"B1.1"}),
    "nan": (
        s.plain(RAW.replace(b'"total_tokens": 18', b'"total_tokens": NaN')),
        {"B1.2", "B2.3", "C5.1"},
    ),
    "infinity": (s.plain(RAW[:-1] + b', "x": -Infinity}'), {"B1.2"}),
    "integer-too-long": (s.plain(RAW[:-1] + b', "x": -%b}' % (b"9" * 4_301)), {"B1.6"}),
    "number-too-large": (s.plain(RAW[:-1] + b', "x": 1e999}'), {"B1.7"}),
    "created-too-large": (of_answer(("created", 10**400)), {"B1.7", "B2.1", "B2.4"}),
    "created-too-long": (s.plain(RAW.replace(b"1761268140", b"1" * 5_000)), {"B1.6", "B2.4"}),
    "tokens-too-large": (of_answer(("usage.total_tokens", 10**400)), {"B1.7", "B2.3", "C5.1"}),
    "integer-too-large": (s.plain(RAW[:-1] + b', "x": 1%b}' % (b"0" * 309)), {"B1.7"}),
    "duplicate-key": (s.plain(RAW[:-1] + b', "id": "chatcmpl-1"}'), {"B1.3"}),
    "lone-surrogate": (s.plain(RAW.replace("안".encode(), rb"\ud83d")), {"B1.4"}),
    "done-glued-on-C47": (s.plain(RAW + b"data: [DONE]\n\n"), {"B1.5"}),
    "raw-newline-in-text": (s.plain(RAW.replace("안".encode(), b"\n")), {"B1.5"}),
    "truncated": (s.plain(RAW[:100]), {"B1.5"}),
    "empty-body": (s.plain(b""), {"B1.5"}),
    "streams-unasked-C48": (
        s.plain(framed(chunks()), media_type="text/event-stream"),
        {"B1.5", "C1.2"},
    ),
    "created-float-C29": (of_answer(("created", s.NOW_S)), {"B2.1"}),
    "created-string-C30": (of_answer(("created", "2025-10-24")), {"B2.1"}),
    "created-in-ms": (of_answer(("created", int(s.NOW_S * 1000))), {"B2.4"}),
    "index-true": (of_answer(("choices.0.index", True)), {"B2.2", "C3.1"}),
    "index-float": (of_answer(("choices.0.index", 0.0)), {"B2.2"}),
    "tokens-string": (of_answer(("usage.prompt_tokens", "2")), {"B2.3", "C5.1"}),
    "cut-short": (s.late(s.plain(), ended="aborted"), {"C1.4"}),
    "never-ends": (s.late(s.plain(), ended="timeout", ended_s=10.0), {"C1.4"}),
    "status-201": (s.plain(status=201), {"C1.1"}),
    "text-plain": (s.plain(media_type="text/plain"), {"C1.2"}),
    "error-with-200-C67": (s.plain(ERROR), {"C1.3"}),
    "empty-id-C14": (of_answer(("id", "")), {"C2.6"}),
    "id-null": (of_answer(("id", None)), {"C2.1"}),
    "model-empty": (of_answer(("model", "")), {"C2.6"}),
    "created-null": (of_answer(("created", None)), {"C2.6"}),
    "created-absent": (of_answer(("created", ABSENT)), {"C2.6"}),
    "text-completion-C20": (of_answer(("object", "text_completion")), {"C2.2"}),
    "model-null-C16": (of_answer(("model", None)), {"C2.3"}),
    "no-choices": (of_answer(("choices", [])), {"C2.4"}),
    "choices-null": (of_answer(("choices", None)), {"C2.4"}),
    "two-choices-unasked": (of_answer(("choices", ANSWER["choices"] * 2)), {"C3.1"}),
    "n-ignored-C37": (s.plain(asked={"n": 2}), {"C3.1", "C3.2", "C3.3"}),
    "n-same-index": (of_two(0, 0), {"C3.1", "C3.2", "C3.3"}),
    "role-absent": (of_answer((f"{MESSAGE}.role", ABSENT)), {"C4.1"}),
    "content-absent-C31": (of_answer((f"{MESSAGE}.content", ABSENT)), {"C4.5"}),
    "content-list": (of_answer((f"{MESSAGE}.content", [{"type": "text", "text": "a"}])), {"C4.2"}),
    "finish-null": (of_answer(("choices.0.finish_reason", None)), {"C4.4"}),
    "finish-absent": (of_answer(("choices.0.finish_reason", ABSENT)), {"C4.4"}),
    "finish-invented": (of_answer(("choices.0.finish_reason", "done")), {"C4.3"}),
    "finish-list": (of_answer(("choices.0.finish_reason", ["stop"])), {"C4.3"}),
    "no-usage": (of_answer(("usage", ABSENT)), {"C5.1"}),
    "no-total-C28": (of_answer(("usage.total_tokens", ABSENT)), {"C5.1"}),
    "tokens-negative": (of_answer(("usage.prompt_tokens", -2)), {"C5.2"}),
    "total-floored": (of_answer(("usage.total_tokens", 17)), {"C5.2"}),
    "usage-zero-C27": (of_answer(("usage", dict.fromkeys(s.USAGE, 0))), {"C5.3"}),
    "tool-calls-empty-C32": (of_answer((f"{MESSAGE}.tool_calls", [])), {"C6.1"}),
    "tool-calls-null": (of_answer((f"{MESSAGE}.tool_calls", None)), {"C6.2"}),
    "no-refusal-C34": (of_answer((f"{MESSAGE}.refusal", ABSENT)), {"C6.3"}),
    "no-logprobs": (of_answer(("choices.0.logprobs", ABSENT)), {"C6.4"}),
    "details-string": (of_answer(("usage.prompt_tokens_details", "none")), {"C2.5"}),
    "annotations-object": (of_answer((f"{MESSAGE}.annotations", {})), {"C2.5"}),
    "no-message": (of_answer(("choices.0.message", ABSENT)), {"C2.5"}),
    "list-as-body": (s.plain([1, 2]), {"C2.5"}),
    "empty-object": (s.plain({}), {"C2.5"}),
    "service-tier-unknown": (of_answer(("service_tier", "standard")), {"C2.6"}),
    "status-500": (s.plain(ERROR, status=500), {"C1.1"}),
    "two-framings": (
        s.late(s.plain(), headers=(*s.plain().headers, ("content-length", "9"), ("transfer-encoding", "chunked"))),
        {"D7"},
    ),
    "gateway-address-in-metadata": (of_answer(("lumen_metadata", "http://gateway.example/chat")), {"F6.3"}),
    "no-request-id": (s.late(s.plain(), headers=s.plain().headers[:1]), {"F8"}),
}

STREAMS: dict[str, Defect] = {
    "json-type-C44": (s.stream(media_type="application/json"), {"D1.1"}),
    "plain-type-C45": (s.stream(media_type="text/plain"), {"D1.1"}),
    "keepalive-event-C56": (s.stream(b"event: keepalive\n\n" + framed(chunks())), {"D1.2"}),
    "ids": (s.stream(framed(chunks(), prefix=b"id: 1\ndata: ")), {"D1.4"}),
    "retry": (s.stream(b"retry: 3000\n\n" + framed(chunks())), {"D1.2"}),
    "retry-beside-data": (s.stream(framed(chunks(), prefix=b"retry: 3000\ndata: ")), {"D1.4"}),
    "named-message": (s.stream(framed(chunks(), prefix=b"event: message\ndata: ")), {"D1.4"}),
    "named-otherwise": (s.stream(framed(chunks(), prefix=b"event: chunk\ndata: ")), {"D1.3"}),
    "comment-after-an-id": (
        s.stream(framed(chunks(), prefix=b"id: 1\ndata: ", end=b"\n\n: ping\n\n")),
        {"D1.2", "D1.4"},
    ),
    "nothing-but-done": (s.stream([]), {"E1.1"}),
    "empty": (s.stream(b""), {"E1.1"}),
    "status-500": (s.late(s.stream(s.encoded(ERROR)), status=500), {"C1.1"}),
    "integer-too-long": (s.stream(framed(chunks()).replace(b'{"id"', b'{"x": %b, "id"' % (b"9" * 5_000))), {"B1.6"}),
    "number-too-large": (s.stream(framed(chunks()).replace(b'{"id"', b'{"x": -1e999, "id"')), {"B1.7"}),
    "byte-order-mark": (s.stream(b"\xef\xbb\xbf" + framed(chunks())), {"D2.4"}),
    "byte-order-mark-before-each-line": (
        s.stream(framed(chunks(), prefix=b"\xef\xbb\xbfdata: ")),
        {"D2.4", "D3.1", "E3.3", "E6.1"},
    ),
    "last-event-open": (s.stream(framed(chunks())[:-1]), {"D2.3"}),
    "finish-open": (s.stream(framed(chunks()).removesuffix(b"\ndata: [DONE]\n\n")), {"D2.1", "D3.1"}),
    "split-at-u2028-C51": (
        s.stream(framed(chunks()).replace("\u2028".encode(), b"\n")),
        {"B1.5", "D1.4", "D2.2", "E6.1"},
    ),
    "done-missing-C09": (s.stream(framed(chunks()).removesuffix(b"data: [DONE]\n\n")), {"D3.1"}),
    "done-twice": (s.stream([*chunks(), b"[DONE]"]), {"D3.1", "D3.2"}),
    "done-lower-case": (
        s.stream(framed(chunks()).replace(b"[DONE]", b"[done]")),
        {"B1.5", "D2.2", "D3.1"},
    ),
    "event-after-done": (
        s.stream(framed(chunks()) + framed([])[:-15] + b"data: {}\n\n"),
        {"D3.2"},
    ),
    "socket-open-C10": (s.late(s.stream(), ended="timeout", ended_s=9.0), {"D3.3"}),
    "closed-too-late": (s.late(s.stream(), ended_s=3.0), {"D3.3"}),
    "replacement-C49": (
        s.stream(framed(chunks()).replace("안".encode(), b"\xef\xbf\xbd" * 3)),
        {"D4", "E6.1"},
    ),
    "replacement-escaped": (s.stream(framed(chunks()).replace("안".encode(), rb"\uFFFD")), {"D4", "E6.1"}),
    "comment-within-event": (s.stream(framed(chunks(), end=b"\n: ping\n\n")), {"D5"}),
    "comment-as-data-C54": (s.stream([b": ping", *chunks()]), {"B1.5", "D2.2"}),
    "cached": (
        s.late(s.stream(), headers=(("content-type", "text/event-stream"), ("x-request-id", "1"))),
        {"D6.1", "D6.2"},
    ),
    "error-amid-the-words": (s.stream([*chunks()[:2], ERROR, *chunks()[2:]]), {"E1.1"}),
    "error-after-the-end": (s.stream([*chunks(), ERROR]), {"E1.1"}),
    "null-event": (s.stream([*chunks()[:2], None, *chunks()[2:]]), {"E1.1"}),
    "string-event": (s.stream([*chunks()[:2], "hello", *chunks()[2:]]), {"E1.1"}),
    "list-event": (s.stream([*chunks(), [1, 2]]), {"E1.1"}),
    "number-event": (s.stream([7, *chunks()]), {"E1.1"}),
    "id-absent-C12": (of_chunks(("2.id", ABSENT)), {"E1.5"}),
    "id-null": (of_chunks(("2.id", None)), {"E1.5"}),
    "id-empty": (of_chunks(("2.id", "")), {"E1.5"}),
    "id-number": (of_chunks(("2.id", 7)), {"E1.1", "E1.2"}),
    "created-absent": (of_chunks(("2.created", ABSENT)), {"E1.5"}),
    "created-null": (of_chunks(("2.created", None)), {"E1.5"}),
    "object-and-id-absent": (of_chunks(("2.object", ABSENT), ("2.id", ABSENT)), {"E1.1", "E1.5"}),
    "id-changes": (of_chunks(("2.id", "chatcmpl-2")), {"E1.2"}),
    "model-changes": (of_chunks(("0.model", "lumen")), {"E1.4"}),
    "created-changes": (of_chunks(("2.created", int(s.NOW_S) + 1)), {"E1.3"}),
    "created-float-C29": (of_chunks(("2.created", s.NOW_S)), {"B2.1"}),
    "model-null-C16": (of_chunks(("1.model", None)), {"E1.5"}),
    "object-of-plain-answer": (of_chunks(("1.object", "chat.completion")), {"E1.1"}),
    "no-delta-C19": (of_chunks(("4.choices.0.delta", ABSENT)), {"E1.1"}),
    "no-role-C17": (of_chunks(("0.choices.0.delta", {"content": ""})), {"E2.1"}),
    "role-again": (of_chunks(("2.choices.0.delta.role", "assistant")), {"E2.2"}),
    "role-empty": (of_chunks(("2.choices.0.delta.role", "")), {"E2.2", "E2.3"}),
    "role-list": (of_chunks(("2.choices.0.delta.role", [])), {"E1.1", "E2.2", "E2.3"}),
    "finish-key-absent-C01": (of_chunks(("1.choices.0.finish_reason", ABSENT)), {"E3.1"}),
    "finish-empty-C02": (of_chunks(("1.choices.0.finish_reason", "")), {"E3.2"}),
    "never-finishes-C04": (s.stream(chunks()[:-1]), {"E3.3"}),
    "finishes-twice": (s.stream([*chunks(), chunk({}, "stop")]), {"E3.3"}),
    "content-after-finish-C07": (s.stream([*chunks(("a",)), chunk({"content": "b"})]), {"E3.4", "E6.1"}),
    "finish-with-content": (s.stream([*chunks()[:-2], chunk({"content": s.PIECES[-1]}, "stop")]), {"E4"}),
    "logprobs-text": (of_chunks(("1.choices.0.logprobs", {"content": "a"})), {"E1.1"}),
    "function-call-text": (of_chunks(("1.choices.0.delta.function_call", "f()")), {"E1.1"}),
    "logprobs-without-token": (of_chunks(("1.choices.0.logprobs", {"content": [{}]})), {"E1.5"}),
    "usage-with-the-finish": (of_chunks(("4.usage", s.USAGE)), {"E5.7"}),
    "usage-unasked": (s.stream(with_usage()), {"E5.5"}),
    "text-differs": (s.stream(chunks((*s.PIECES, "!"))), {"E6.1"}),
    "finish-differs": (of_chunks(("4.choices.0.finish_reason", "length")), {"E6.2"}),
    "cumulative": (s.stream(chunks([TEXT[:3], TEXT[:6], TEXT])), {"E6.1", "E7"}),
    "cumulative-again-with-the-finish": (
        s.stream([*chunks([TEXT[:3], TEXT[:6], TEXT])[:-1], chunk({"content": TEXT}, "stop")]),
        {"E4", "E6.1", "E7"},
    ),
    "plain-answer-to-a-stream": (s.stream(s.encoded(ANSWER), media_type="application/json"), {"D1.1", "E1.1"}),
}

USAGES: dict[str, Defect] = {
    "usage-ignored-C21": (s.stream(asked=USAGE_ASKED), {"E5.1"}),
    "usage-with-choices-C23": (of_usage(("5.choices", chunk({}, "stop")["choices"])), {"E3.3", "E5.8"}),
    "usage-with-the-finish": (
        s.stream([*with_usage()[:-2], {**with_usage()[-2], "usage": s.USAGE}], asked=USAGE_ASKED),
        {"E5.8"},
    ),
    "usage-twice": (s.stream([*with_usage(), with_usage()[-1]], asked=USAGE_ASKED), {"E5.1"}),
    "usage-choices-null": (of_usage(("5.choices", None)), {"E1.1"}),
    "usage-before-finish": (
        s.stream([*with_usage()[:-2], with_usage()[-1], with_usage()[-2]], asked=USAGE_ASKED),
        {"E5.2"},
    ),
    "usage-floored": (of_usage(("5.usage.total_tokens", 17)), {"E5.9"}),
    "usage-string": (of_usage(("5.usage.total_tokens", "18")), {"B2.3", "E5.3"}),
    "usage-half": (of_usage(("5.usage.total_tokens", 17.5)), {"B2.3", "E5.3"}),
    "usage-float": (of_usage(("5.usage.total_tokens", 18.0)), {"B2.3", "E5.9"}),
    "usage-null": (of_usage(("5.usage.total_tokens", None)), {"E5.3"}),
    "usage-all-null": (of_usage(("5.usage", dict.fromkeys(s.USAGE))), {"E5.3"}),
    "usage-without-total": (of_usage(("5.usage.total_tokens", ABSENT)), {"E5.3"}),
    "usage-negative": (of_usage(("5.usage.total_tokens", -1)), {"E5.9"}),
    "usage-not-null-elsewhere-C24": (of_usage(("1.usage", ABSENT)), {"E5.4"}),
    "usage-zero-C27": (of_usage(("5.usage", dict.fromkeys(s.USAGE, 0))), {"E5.6"}),
}

TOOLS: dict[str, Defect] = {
    "no-index": (tools(edited(WHOLE_CALL, ("index", ABSENT))), {"E8.1"}),
    "name-again": (
        tools(CALL, {**CALL, "function": {"name": "f", "arguments": "}"}}),
        {"E8.2"},
    ),
    "id-again": (tools(CALL, {"index": 0, "id": "call_1", "function": {"arguments": "}"}}), {"E8.2"}),
    "type-emptied": (tools(CALL, {"index": 0, "type": "", "function": {"arguments": "}"}}), {"E8.5"}),
    "type-null": (tools(CALL, {"index": 0, "type": None, "function": {"arguments": "}"}}), {"E8.5"}),
    "type-absent": (tools(edited(WHOLE_CALL, ("type", ABSENT))), {"E8.5"}),
    "arguments-object": (tools(edited(WHOLE_CALL, ("function.arguments", {}))), {"E8.3"}),
    "required-call-missing": (s.stream(asked={"tool_choice": "required"}), {"E8.4"}),
    "arguments-cut": (tools(CALL, {"index": 0, "function": {"arguments": '"a":'}}), {"E8.3"}),
}

MARKED = 'a [DONE] b\ndata: {"c": 1}'
MARKERS: dict[str, Defect] = {"cut-at-a-marker": (s.stream(chunks(("a ",))), {"D3.4", "E6.1"})}

COLLECTED: dict[str, Defect] = {"collected-to-the-end-C57": (s.late(s.stream(), sent_mono_s=100.0), {"E9"})}


def _rows(table: dict[str, Defect], judges: Iterable[Judge], known: Known) -> list[object]:
    return [pytest.param(seen, expected, tuple(judges), known, id=name) for name, (seen, expected) in table.items()]


TABLES = [
    *_rows(ANSWERS, catalogue.ANSWER, KNOWN),
    *_rows(STREAMS, catalogue.STREAM, KNOWN),
    *_rows(USAGES, catalogue.USAGE_STREAM, KNOWN),
    *_rows(TOOLS, catalogue.TOOL_STREAM, Known()),
    *_rows(MARKERS, catalogue.STREAM, Known(text=MARKED)),
    *_rows(COLLECTED, catalogue.STREAM, Known(said_mono_s=100.0)),
    *_rows(REFUSALS, catalogue.judges("B1", "D7", "F1", "F2", "F4", "F6"), KNOWN),
    *_rows(BREAKS, catalogue.judges("B1", "D1", "D2", "D5", "D7", "F1", "F5", "F6"), KNOWN),
]


@pytest.mark.parametrize(("seen", "expected", "judges", "known"), TABLES)
def test_defect_breaks_its_claims_only(
    seen: Capture, expected: set[str], judges: tuple[Judge, ...], known: Known
) -> None:
    """A defect breaks exactly the claims that it should."""
    verdicts = [judge(seen, known) for judge in judges]
    assert {verdict.check for verdict in verdicts if verdict.failed} == expected


@pytest.mark.parametrize(("seen", "expected", "judges", "known"), TABLES)
def test_what_is_not_judged_names_what_failed(
    seen: Capture, expected: set[str], judges: tuple[Judge, ...], known: Known
) -> None:
    """A claim that is not judged does not apply, or names a check that failed, or that of the exchange."""
    unjudged = [verdict.unjudged for verdict in (judge(seen, known) for judge in judges)]
    missing = [each for each in unjudged if isinstance(each, NotSeen)]
    assert [each for each in missing if not {*expected, EXCHANGE} & set(each.because_of)] == []


def test_an_unknown_model_is_a_question_about_the_option() -> None:
    """A 404 that tells of the model asks whether the option is right; any other 404 does not."""
    asked = {"model": "nomodel", "messages": []}
    told = {
        "by its code": {"error": {"message": "unknown", "code": "model_not_found"}},
        "by its name": {"detail": "no such model: nomodel"},
    }
    for body in told.values():
        failure = catalogue.JUDGES["C1.1"](s.plain(body, status=404, asked=asked)).failure
        assert failure
        assert failure.found == "status 404, complete; is --proxy-model right?"
    failure = catalogue.JUDGES["C1.1"](s.plain({"detail": "Not Found"}, status=404, asked=asked)).failure
    assert failure
    assert failure.found == "status 404, complete"


def test_a_missing_end_is_told_in_words() -> None:
    """What a stream lacks is named, and how the stream ended."""
    failure = catalogue.JUDGES["D3.1"](s.stream(framed(chunks()).removesuffix(b"data: [DONE]\n\n"))).failure
    assert failure
    assert failure.found == "no `data: [DONE]`; the stream ended normally"
