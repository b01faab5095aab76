"""No judge fails for a valid exchange, in any form that clients accept."""

import pytest

from lumen_conformance.checks import catalogue
from lumen_conformance.checks.verdict import Judge, JudgeContext
from lumen_conformance.http.client import Capture
from tests.unit.conformance import samples as s
from tests.unit.conformance.samples import ANSWER, ERROR, TEXT, chunk, chunks, edited, framed, with_usage

SECRET, MODEL, PATHS = "ollama", "/srv/models/mistral", 'put it into /usr/local/bin\n"main.py"'
KNOWN = JudgeContext(text=TEXT, finish="stop", secrets=(SECRET,), model=MODEL)
USAGE_ASKED = {"stream_options": {"include_usage": True}}
CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}
WHOLE_ARGUMENTS = {"index": 1, "function": {"arguments": "{}"}}
EXTRA = {"lumen_metadata": {"persona": {"name": "비노슈"}}, "service_tier": "default", "system_fingerprint": None}


def broken(capture: Capture, judges: tuple[Judge, ...], context: JudgeContext = KNOWN) -> list[str]:
    """The texts of the failed verdicts for a capture."""
    return [str(verdict) for verdict in (judge(capture, context) for judge in judges) if verdict.failed]


@pytest.mark.parametrize(
    "capture",
    [
        pytest.param(s.plain(), id="plain"),
        pytest.param(s.plain({**ANSWER, **EXTRA}), id="extra-fields"),
        pytest.param(s.plain(media_type="application/json; charset=utf-8"), id="charset"),
        pytest.param(s.plain(s.encoded(ANSWER).replace("안".encode(), rb"\uc548")), id="escaped"),
        pytest.param(s.plain(b" \r\n\t" + s.encoded(ANSWER) + b"\n"), id="white-space-around"),
        pytest.param(s.plain(s.encoded(ANSWER).replace("안".encode(), rb"\ud83d\ude00")), id="surrogate-pair"),
        pytest.param(s.plain(edited(ANSWER, ("choices.0.finish_reason", "length"))), id="length"),
        pytest.param(s.plain(edited(ANSWER, ("choices.0.message.content", None))), id="content-null"),
        pytest.param(
            s.plain(
                edited(ANSWER, ("choices", [{**ANSWER["choices"][0], "index": i} for i in range(2)])), asked={"n": 2}
            ),
            id="n-2",
        ),
        pytest.param(
            s.plain(edited(ANSWER, ("usage.prompt_tokens_details", {"cached_tokens": None, "audio_tokens": 0}))),
            id="unknown-details",
        ),
        pytest.param(
            s.plain(edited(ANSWER, ("choices.0.message.function_call", None), ("choices.0.message.annotations", []))),
            id="details-null",
        ),
        pytest.param(s.plain(edited(ANSWER, ("choices.0.message.content", r"\ufffd"))), id="talks-about-an-escape"),
        pytest.param(s.plain(edited(ANSWER, ("choices.0.message.content", PATHS))), id="talks-about-files"),
        pytest.param(s.plain(edited(ANSWER, ("choices.0.message.content", SECRET))), id="says-a-word-like-the-key"),
        pytest.param(s.plain({**ANSWER, "system_fingerprint": f"fp_{SECRET}"}), id="key-within-a-word"),
        pytest.param(
            s.plain({**ANSWER, "model": "/srv/models/llama-3"}, asked={"model": "/srv/models/llama-3"}),
            id="model-is-a-path",
        ),
        pytest.param(s.plain({**ANSWER, "model": SECRET}, asked={"model": SECRET}), id="model-is-called-like-the-key"),
        pytest.param(s.plain({**ANSWER, "x_served_by": MODEL}), id="names-the-model-it-was-told-to-serve"),
    ],
)
def test_plain_answers(capture: Capture) -> None:
    """A valid answer breaks no claim."""
    assert broken(capture, catalogue.ANSWER) == []


@pytest.mark.parametrize(
    "capture",
    [
        pytest.param(s.stream(), id="lf"),
        pytest.param(s.stream(framed(chunks(), end=b"\r\n\r\n")), id="crlf"),
        pytest.param(s.stream(framed(chunks(), end=b"\r\r")), id="cr"),
        pytest.param(s.stream(framed(chunks(), prefix=b"data:")), id="no-space"),
        pytest.param(s.stream(framed(chunks(), prefix=b": ping\n\ndata: ")), id="comments"),
        pytest.param(s.stream(framed(chunks(), prefix=b": ping\ndata: ")), id="comment-before-data"),
        pytest.param(s.stream(b"\n\n" + framed(chunks())), id="leading-blank-lines"),
        pytest.param(s.stream([{**each, **EXTRA} for each in chunks()]), id="extra-fields"),
        pytest.param(s.stream(framed(chunks()).replace(b', "id"', b',\ndata: "id"')), id="several-data-lines"),
        pytest.param(s.stream([{**each, "usage": None} for each in chunks()]), id="usage-null-unasked"),
        pytest.param(s.stream(edited(chunks(), ("4.choices.0.delta", {"content": ""}))), id="content-empty-at-the-end"),
        pytest.param(s.stream(edited(chunks(), ("0.choices.0.delta.content", None))), id="content-null-first"),
        pytest.param(s.stream(chunks(TEXT)), id="one-character-pieces"),
        pytest.param(s.stream([chunk({}, choices=[]), *chunks()]), id="prologue-without-choices"),
    ],
)
def test_streams(capture: Capture) -> None:
    """A valid stream breaks no claim, in any framing that clients parse."""
    assert broken(capture, catalogue.STREAM) == []


def test_streams_with_usage() -> None:
    """A stream with usage breaks no claim."""
    assert broken(s.stream(with_usage(), asked=USAGE_ASKED), catalogue.USAGE_STREAM) == []


@pytest.mark.parametrize(
    "calls",
    [
        pytest.param([CALL, {"index": 0, "function": {"arguments": "{}"}}], id="in-pieces"),
        pytest.param([CALL, {"index": 0, "type": "function", "function": {"arguments": "{}"}}], id="type-again"),
        pytest.param(
            [{"index": 0, "id": "call_1", "type": "custom", "custom": {"name": "f", "input": "any text"}}], id="custom"
        ),
        pytest.param(
            [
                CALL,
                {"index": 0, "function": {"arguments": "{}"}},
                {**CALL, "index": 1, "id": "call_2"},
                WHOLE_ARGUMENTS,
            ],
            id="two-calls",
        ),
    ],
)
def test_tool_calls(calls: list[object]) -> None:
    """Valid tool calls break no claim."""
    deltas = [chunk({"tool_calls": [call]}) for call in calls]
    sent = [chunk({"role": "assistant", "content": None}), *deltas, chunk({}, "tool_calls")]
    capture = s.stream(sent, asked={"tools": [TOOL]})
    assert broken(capture, catalogue.TOOL_STREAM, JudgeContext()) == []


TOOL = {"type": "function", "function": {"name": "f"}}
PLAIN_CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
WITHOUT_ARGUMENTS = {**PLAIN_CALL, "function": {"name": "f", "arguments": ""}}
CUSTOM_CALL = {"id": "call_1", "type": "custom", "custom": {"name": "f", "input": "any text"}}


@pytest.mark.parametrize(
    ("calls", "content", "finish", "choice"),
    [
        pytest.param([PLAIN_CALL], None, "tool_calls", "required", id="content-null"),
        pytest.param([PLAIN_CALL], "", "tool_calls", "required", id="content-empty"),
        pytest.param([PLAIN_CALL], TEXT, "tool_calls", "required", id="content-beside"),
        pytest.param([PLAIN_CALL], None, "length", "required", id="cut"),
        pytest.param([PLAIN_CALL], None, "stop", TOOL, id="named-stop"),
        pytest.param([PLAIN_CALL], None, "tool_calls", TOOL, id="named-tool-calls"),
        pytest.param([WITHOUT_ARGUMENTS], None, "tool_calls", "required", id="no-arguments"),
        pytest.param([CUSTOM_CALL], None, "tool_calls", "required", id="custom"),
        pytest.param([PLAIN_CALL, {**PLAIN_CALL, "id": "call_2"}], None, "tool_calls", "required", id="two-calls"),
    ],
)
def test_plain_tool_calls(calls: list[object], content: str | None, finish: str, choice: object) -> None:
    """Valid tool calls of a plain answer break no claim."""
    message = {"role": "assistant", "content": content, "refusal": None, "tool_calls": calls}
    answer = edited(ANSWER, ("choices.0.message", message), ("choices.0.finish_reason", finish))
    capture = s.plain(answer, asked={"tools": [TOOL], "tool_choice": choice})
    assert broken(capture, catalogue.TOOL_ANSWER) == []


def test_stream_that_is_passed_on() -> None:
    """Check E9 passes when the first content arrives before the gateway has sent its last."""
    capture = s.late(s.stream(), sent_mono_s=100.0)
    assert broken(capture, catalogue.judges("E9"), JudgeContext(said_mono_s=100.2)) == []


def test_same_pieces() -> None:
    """Equal pieces are not cumulative text."""
    assert broken(s.stream(chunks("ㅋㅋㅋㅋ")), catalogue.judges("E7"), JudgeContext()) == []


def test_file_paths_in_pieces_of_a_stream() -> None:
    """The text of a stream may contain file paths, also in several data lines."""
    plain = s.stream(chunks(["see ", "/usr/local/bin"]))
    assert broken(plain, catalogue.judges("F6"), KNOWN) == []
    split = s.late(plain, body=plain.body.replace(b', "id"', b',\ndata: "id"'))
    assert broken(split, catalogue.judges("F6"), KNOWN) == []


def test_text_with_markers() -> None:
    """Markers of the protocol in the text break no claim."""
    text = 'a [DONE] b\ndata: {"c": 1}\n\ndata: [DONE]\n\n'
    assert broken(s.stream(chunks(text)), catalogue.STREAM, JudgeContext(text=text, finish="stop")) == []


@pytest.mark.parametrize(
    "capture",
    [
        pytest.param(s.error(), id="plain"),
        pytest.param(s.error(edited(ERROR, ("error.request_id", "req-1"))), id="extra-field"),
        pytest.param(s.error(edited(ERROR, ("error.message", "no such route: POST /v1/chat"))), id="names-a-route"),
        pytest.param(s.error(edited(ERROR, ("error.message", "messages[0].content is None"))), id="none-in-a-sentence"),
    ],
)
def test_refusals(capture: Capture) -> None:
    """A valid error breaks no claim."""
    assert broken(capture, (*catalogue.BAD_REQUEST, *catalogue.judges("F4"))) == []


@pytest.mark.parametrize(
    "capture",
    [
        pytest.param(s.stream([*chunks()[:3], ERROR]), id="then-done"),
        pytest.param(s.stream(framed([*chunks()[:3], ERROR]).removesuffix(b"data: [DONE]\n\n")), id="then-closed"),
        pytest.param(s.late(s.stream(framed(chunks()[:3])[:-14]), ended="aborted"), id="aborted"),
        pytest.param(s.late(s.stream(framed(chunks()[:3])[:-40]), ended="reset"), id="reset-within-an-event"),
        pytest.param(s.late(s.stream(b": ping\n\n"), ended="aborted"), id="aborted-before-any-event"),
    ],
)
def test_streams_that_fail_aloud(capture: Capture) -> None:
    """A stream that ends with an error event, or that is aborted, breaks no claim."""
    assert broken(capture, catalogue.BROKEN_STREAM) == []


NOT_IN_A_PLAIN_ANSWER = {"C3.2", "C3.3"}  # one choice was asked for
NOT_WITHOUT_USAGE = {"B2.3"}


@pytest.mark.parametrize(
    ("capture", "judges", "unjudged"),
    [
        pytest.param(s.plain(), catalogue.ANSWER, NOT_IN_A_PLAIN_ANSWER, id="plain"),
        pytest.param(s.stream(), catalogue.STREAM, NOT_WITHOUT_USAGE, id="stream"),
        pytest.param(s.stream(with_usage(), asked=USAGE_ASKED), catalogue.USAGE_STREAM, set(), id="usage"),
        pytest.param(s.error(), catalogue.BAD_REQUEST, set(), id="refusal"),
        pytest.param(s.stream([*chunks()[:3], ERROR]), catalogue.BROKEN_STREAM, set(), id="broken-stream"),
    ],
)
def test_what_is_asked_can_be_judged(capture: Capture, judges: tuple[Judge, ...], unjudged: set[str]) -> None:
    """All claims about a valid exchange are decided, except those that do not apply to it."""
    context = JudgeContext(text=f"{TEXT} [DONE]", finish="stop", secrets=(SECRET,), upstream=("h",), said_mono_s=9.0)
    assert {judge.claim.check for judge in judges if judge(capture, context).unjudged} == unjudged


@pytest.mark.parametrize(
    ("capture", "judges"),
    [
        pytest.param(s.late(s.plain(b""), status=None, ended="refused"), catalogue.ANSWER, id="no-answer"),
        pytest.param(s.late(s.stream(b""), status=None, ended="refused"), catalogue.TOOL_STREAM, id="no-stream"),
        pytest.param(s.late(s.stream(b"")), catalogue.TOOL_STREAM, id="empty-stream"),
        pytest.param(s.plain(b""), catalogue.ANSWER, id="empty-answer"),
    ],
)
def test_claims_without_a_body(capture: Capture, judges: tuple[Judge, ...]) -> None:
    """Without a body, only claims about the head of the response hold."""
    passed = {judge.claim.check for judge in judges if judge(capture, KNOWN).ok}
    head = {"C1.1", "C1.2", "C1.4", "D1.1", "D6.1", "D6.2", "D7", "F6.1", "F6.2", "F6.3", "F6.4", "F8"}
    assert passed <= head
