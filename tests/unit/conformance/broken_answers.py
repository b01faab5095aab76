"""Plain answers with one defect each, and the checks that must fail."""

from collections.abc import Mapping

from lumen_conformance.http.client import Capture
from tests.unit.conformance import samples as s
from tests.unit.conformance.broken_errors import Defect
from tests.unit.conformance.samples import ABSENT, ANSWER, ERROR, chunks, edited, framed


def of_answer(*edits: tuple[str, object]) -> Capture:
    """A plain answer with changes."""
    return s.plain(edited(ANSWER, *edits))


def of_two(*indexes: object) -> Capture:
    """An answer of two choices that were asked for."""
    return s.plain(edited(ANSWER, ("choices", [{**ANSWER["choices"][0], "index": i} for i in indexes])), asked={"n": 2})


RAW = s.encoded(ANSWER)
MESSAGE = "choices.0.message"

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

NOW, TODAY = ({"type": "function", "function": {"name": name}} for name in ("now", "today"))
CALL = {"id": "call_1", "type": "function", "function": {"name": "now", "arguments": "{}"}}
REQUIRED = {"tools": [NOW, TODAY], "tool_choice": "required"}
NAMED = {"tools": [NOW, TODAY], "tool_choice": TODAY}
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
WITH_PARAMETERS = {**REQUIRED, "tools": [{**NOW, "function": {"name": "now", "parameters": PARAMETERS}}]}


def of_calls(calls: object, *edits: tuple[str, object], asked: Mapping[str, object] = REQUIRED) -> Capture:
    """A plain answer with tool calls, with changes."""
    changes = (
        (f"{MESSAGE}.content", None),
        (f"{MESSAGE}.tool_calls", calls),
        ("choices.0.finish_reason", "tool_calls"),
    )
    return s.plain(edited(ANSWER, *changes, *edits), asked=asked)


def of_call(*edits: tuple[str, object], asked: Mapping[str, object] = REQUIRED) -> Capture:
    """The same with changes in its one call."""
    return of_calls([edited(CALL, *edits)], asked=asked)


TOOL_ANSWERS: dict[str, Defect] = {
    "text-instead": (s.plain(asked=REQUIRED), {"C9.1"}),
    "no-calls": (of_calls([]), {"C6.1", "C9.1"}),
    "not-a-list": (of_calls(CALL), {"C9.1"}),
    "status-400": (s.plain(ERROR, status=400, asked=REQUIRED), {"C1.1", "C9.1"}),
    "cut-off": (s.late(s.plain(b"", asked=REQUIRED), status=None, ended="reset"), {"C1.1", "C9.1"}),
    "id-absent": (of_call(("id", ABSENT)), {"C9.2"}),
    "id-empty": (of_call(("id", "")), {"C9.2"}),
    "id-number": (of_call(("id", 7)), {"C9.2"}),
    "ids-shared": (of_calls([CALL, CALL]), {"C9.2"}),
    "type-absent": (of_call(("type", ABSENT)), {"C9.3"}),
    "type-in-capitals": (of_call(("type", "FUNCTION")), {"C9.3"}),
    "name-absent": (of_call(("function.name", ABSENT)), {"C9.4"}),
    "name-unknown": (of_call(("function.name", "then")), {"C9.4"}),
    "no-function": (of_call(("function", ABSENT)), {"C9.4", "C9.5"}),
    "arguments-object": (of_call(("function.arguments", {})), {"C9.5"}),
    "arguments-absent": (of_call(("function.arguments", ABSENT)), {"C9.5"}),
    "arguments-empty": (of_call(("function.arguments", ""), asked=WITH_PARAMETERS), {"C9.8"}),
    "arguments-list": (of_call(("function.arguments", "[]")), {"C9.8"}),
    "arguments-quoted": (of_call(("function.arguments", '"{}"')), {"C9.8"}),
    "finish-stop": (of_calls([CALL], ("choices.0.finish_reason", "stop")), {"C9.6"}),
    "another-function": (of_call(asked=NAMED), {"C9.7"}),
    "text-instead-of-the-function": (s.plain(asked=NAMED), {"C9.7"}),
}
