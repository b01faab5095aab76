"""Streams with one defect each, and the checks that must fail."""

from lumen_conformance.http.client import Capture
from tests.unit.conformance import samples as s
from tests.unit.conformance.broken_errors import Defect
from tests.unit.conformance.samples import ABSENT, ANSWER, ERROR, TEXT, chunk, chunks, edited, framed, with_usage

USAGE_ASKED = {"stream_options": {"include_usage": True}}


def of_chunks(*edits: tuple[str, object]) -> Capture:
    """A stream with changes in its list of chunks."""
    return s.stream(edited(chunks(), *edits))


def of_usage(*edits: tuple[str, object]) -> Capture:
    """A stream with usage, with changes in its list of chunks."""
    return s.stream(edited(with_usage(), *edits), asked=USAGE_ASKED)


def tools(*calls: object, finish: str = "tool_calls") -> Capture:
    """A stream of tool calls."""
    deltas = [chunk({"tool_calls": [call]}) for call in calls]
    return s.stream([chunk({"role": "assistant", "content": None}), *deltas, chunk({}, finish)], asked=OFFERED)


OFFERED = {"tools": [{"type": "function", "function": {"name": "f"}}]}
REQUIRED = {"tool_choice": "required"}
WHOLE_CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{"}}

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
    "required-call-missing": (s.stream(asked=REQUIRED), {"E8.4"}),
    "index-string": (tools(edited(WHOLE_CALL, ("index", "0"))), {"B2.2", "E8.1"}),
    "finish-stop": (tools(WHOLE_CALL, finish="stop"), {"E8.6"}),
    "name-null": (tools(CALL, {"index": 0, "function": {"name": None, "arguments": "}"}}), {"E8.7"}),
    "name-empty": (tools(CALL, {"index": 0, "function": {"name": "", "arguments": "}"}}), {"E8.7"}),
    "id-null": (tools(CALL, {"index": 0, "id": None, "function": {"arguments": "}"}}), {"E8.7"}),
    "two-of-one-index": (tools(WHOLE_CALL, {**WHOLE_CALL, "id": "call_2"}), {"E8.8"}),
    "two-of-one-id": (tools(WHOLE_CALL, {**WHOLE_CALL, "index": 1}), {"E8.9"}),
    "numbered-from-1": (tools(edited(WHOLE_CALL, ("index", 1))), {"E8.10"}),
    "numbered-backwards": (tools({**WHOLE_CALL, "index": 1, "id": "call_2"}, WHOLE_CALL), {"E8.10"}),
    "arguments-null": (tools(edited(WHOLE_CALL, ("function.arguments", "null"))), {"E8.12"}),
    "name-not-offered": (tools(edited(WHOLE_CALL, ("function.name", "g"))), {"E8.11"}),
    "not-a-list": (
        s.stream([chunk({"role": "assistant", "tool_calls": WHOLE_CALL}), chunk({}, "tool_calls")], asked=REQUIRED),
        {"E1.1"},
    ),
    "arguments-cut": (tools(CALL, {"index": 0, "function": {"arguments": '"a":'}}), {"E8.12"}),
}

MARKED = 'a [DONE] b\ndata: {"c": 1}'
MARKERS: dict[str, Defect] = {"cut-at-a-marker": (s.stream(chunks(("a ",))), {"D3.4", "E6.1"})}

COLLECTED: dict[str, Defect] = {"collected-to-the-end-C57": (s.late(s.stream(), sent_mono_s=100.0), {"E9"})}
