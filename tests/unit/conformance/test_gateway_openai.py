"""The scripted gateway as a server of OpenAI: it answers as a request asks, and refuses what OpenAI refuses."""

import json
from collections.abc import Callable

import pytest

from lumen_conformance.checks.j_structured import FITTING
from lumen_conformance.checks.tool_calls import CompleteCall, complete_calls, tool_calls
from lumen_conformance.contract.answer_details import DETAILS
from lumen_conformance.contract.tool_requests import SCRIPTED_CALLS
from lumen_conformance.gateway import replies
from lumen_conformance.gateway.exchange import Exchange, Reply
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http.client import Capture, call
from lumen_conformance.http.documents import answer_json, assistant_text, chunks, finish_of, media_type
from lumen_conformance.targets.endpoint import CHAT

TEXT = "안녕하세요 👩‍👩‍👧‍👦, how are you today? I am fine, thank you."
JSON = ("Content-Type", "application/json")
TOOLS = [{"type": "function", "function": {"name": name}} for name in ("now", "then")]
SCRIPTED: dict[str, Callable[[], Reply]] = {
    "echo": lambda: replies.echo,
    "answers": lambda: replies.answer_with(TEXT),
    "streams": replies.stream_in_halves,
    "byte-by-byte": lambda: replies.stream_byte_by_byte,
    "dripping": lambda: replies.drip(0.0),
    "split": lambda: replies.split(20),
    "delayed": lambda: replies.delayed(0.0),
    "spread": lambda: replies.spread(0.0),
}
PLAIN: dict[str, dict[str, object]] = {"absent": {}, "null": {"stream": None}, "false": {"stream": False}}


def question(**fields: object) -> dict[str, object]:
    """Return a good request."""
    return {"model": "m", "messages": [{"role": "user", "content": TEXT}], **fields}


def ask(gateway: ScriptedGateway, **fields: object) -> Capture:
    """Return the answer to it."""
    return call(gateway.url, "POST", CHAT, json=question(**fields))


@pytest.mark.parametrize("fields", PLAIN.values(), ids=PLAIN)
@pytest.mark.parametrize("name", SCRIPTED)
def test_plain_as_asked(name: str, fields: dict[str, object], gateway: ScriptedGateway) -> None:
    """With any script, a request without a stream gets a plain answer."""
    gateway.script(SCRIPTED[name]())
    capture = ask(gateway, **fields)
    assert (capture.status, capture.ended, media_type(capture), assistant_text(capture)) == (
        200,
        "complete",
        "application/json",
        TEXT,
    )


@pytest.mark.parametrize("name", SCRIPTED)
def test_streamed_as_asked(name: str, gateway: ScriptedGateway) -> None:
    """With any script, a request for a stream gets one."""
    gateway.script(SCRIPTED[name]())
    capture = ask(gateway, stream=True)
    assert (capture.status, capture.ended, media_type(capture), assistant_text(capture)) == (
        200,
        "complete",
        "text/event-stream",
        TEXT,
    )
    assert capture.body.endswith(b"data: [DONE]\n\n")


LATE: dict[str, tuple[Reply, str]] = {
    "reset": (Exchange.reset, "reset"),
    "cut": (Exchange.close, "aborted"),
    "error": (replies.error_event, "aborted"),
}


@pytest.mark.parametrize("name", LATE)
def test_a_plain_body_fails_in_its_middle(name: str, gateway: ScriptedGateway) -> None:
    """A late failure cuts a plain answer in its middle, as it cannot contain an error event."""
    fail, ended = LATE[name]
    gateway.script(replies.stream_in_halves(midway=lambda exchange: fail(exchange) is not None))
    capture = ask(gateway)
    assert (capture.status, media_type(capture), capture.ended) == (200, "application/json", ended)
    assert b"[DONE]" not in capture.body
    assert b"server_error" not in capture.body


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_half_an_answer(stream: bool, gateway: ScriptedGateway) -> None:  # noqa: FBT001 -- a row
    """Half an answer is half of what was requested."""
    gateway.script(replies.truncated)
    capture = ask(gateway, stream=stream)
    assert (capture.status, capture.ended) == (200, "aborted")
    assert media_type(capture) == ("text/event-stream" if stream else "application/json")


TOKEN = TEXT[:24]  # one piece of a stream
CUT: dict[str, tuple[dict[str, object], str, str]] = {
    "stop": ({"stop": "how"}, TEXT.partition("how")[0], "stop"),
    "stop-first": ({"stop": ["fine", "you"]}, TEXT.partition("you")[0], "stop"),
    "stop-elsewhere": ({"stop": ["####"]}, TEXT, "stop"),
    "stop-empty": ({"stop": ""}, TEXT, "stop"),
    "stop-none": ({"stop": []}, TEXT, "stop"),
    "max-tokens": ({"max_tokens": 1}, TOKEN, "length"),
    "max-completion-tokens": ({"max_completion_tokens": 1}, TOKEN, "length"),
    "limit-not-reached": ({"max_tokens": 1000}, TEXT, "stop"),
    "limit-after-stop": ({"max_tokens": 1, "stop": "how"}, TEXT.partition("how")[0], "stop"),
    "limit-null": ({"max_tokens": None}, TEXT, "stop"),
    "no-limit": ({"max_tokens": -1, "max_completion_tokens": -1}, TEXT, "stop"),
}


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("name", CUT)
def test_text_ends_where_the_request_says(name: str, stream: bool, gateway: ScriptedGateway) -> None:  # noqa: FBT001 -- a row
    """Stop sequences and limits end the text, with the finish reason; values without an effect are ignored."""
    fields, text, reason = CUT[name]
    capture = ask(gateway, stream=stream, **fields)
    assert (assistant_text(capture), finish_of(capture)) == (text, reason)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("name", DETAILS)
def test_details_as_asked(name: str, stream: bool, gateway: ScriptedGateway) -> None:  # noqa: FBT001 -- a row
    """A detail of an answer comes in a plain answer and in a stream, and is read from both."""
    how: dict[str, object] = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    with gateway.replying(replies.edited(DETAILS[name].change)):
        changed = ask(gateway, **how)
    assert DETAILS[name].read(changed) == DETAILS[name].expected(TEXT)
    assert DETAILS[name].read(ask(gateway, **how)) != DETAILS[name].expected(TEXT)


FORMATS: dict[str, tuple[object, object]] = {
    "text": ({"type": "text"}, None),
    "object": ({"type": "json_object"}, {"text": TEXT}),
    "schema": (FITTING, {"city": TEXT, "coastal": True, "rivers": [TEXT]}),
    "no-schema": ({"type": "json_schema", "json_schema": {"name": "any"}}, {}),
}


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("name", FORMATS)
def test_format_as_asked(name: str, stream: bool, gateway: ScriptedGateway) -> None:  # noqa: FBT001 -- a row
    """A text is JSON that fits where the request asks for it."""
    form, value = FORMATS[name]
    capture = ask(gateway, stream=stream, response_format=form)
    assert assistant_text(capture) == TEXT if value is None else json.loads(assistant_text(capture)) == value


def usage_of(capture: Capture) -> dict[str, int]:
    """Return the usage of an answer."""
    found: dict[str, int] = (answer_json(capture) or chunks(capture)[-1].value)["usage"]
    return found


@pytest.mark.parametrize("fields", [{}, {"n": 3}, {"max_tokens": 2}, {"stop": "how"}], ids=str)
def test_counts_can_be_counted(fields: dict[str, object], gateway: ScriptedGateway) -> None:
    """The tokens of an answer are the pieces of its stream; every count is above zero, and the total is their sum."""
    plain, stream = ask(gateway, **fields), ask(gateway, stream=True, stream_options={"include_usage": True}, **fields)
    pieces = [one for chunk in chunks(stream) for one in chunk.value["choices"] if one["delta"].get("content")]
    usage = usage_of(plain)
    assert usage == usage_of(stream)
    assert usage["completion_tokens"] == len(pieces)
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert min(usage.values()) > 0


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_several_choices(stream: bool, gateway: ScriptedGateway) -> None:  # noqa: FBT001 -- a row
    """An answer has the requested number of choices."""
    capture = ask(gateway, stream=stream, n=3)
    choices = (
        answer_json(capture)["choices"] if not stream else [one for c in chunks(capture) for one in c.value["choices"]]
    )
    assert {one["index"] for one in choices} == {0, 1, 2}


CHOICES: dict[str, tuple[object, str | None]] = {
    "required": ("required", "now"),
    "named": ({"type": "function", "function": {"name": "then"}}, "then"),
    "auto": ("auto", None),
    "none": ("none", None),
}


@pytest.mark.parametrize("name", CHOICES)
def test_tools(name: str, gateway: ScriptedGateway) -> None:
    """A tool is called where the request requires it; otherwise the text is answered."""
    choice, called = CHOICES[name]
    (found,) = answer_json(ask(gateway, tools=TOOLS, tool_choice=choice))["choices"]
    calls = [one["function"]["name"] for one in found["message"].get("tool_calls", [])]
    finish = "tool_calls" if choice == "required" else "stop"  # as OpenAI (vllm-project/vllm#25054)
    expected = ([called], None, finish) if called else ([], TEXT, "stop")
    assert (calls, found["message"]["content"], found["finish_reason"]) == expected


@pytest.mark.parametrize("name", SCRIPTED_CALLS)
def test_scripted_tool_calls(name: str, gateway: ScriptedGateway) -> None:
    """Scripted calls are sent unchanged, plain and streamed, with the text beside them; a stream has them in pieces."""
    calls, text = SCRIPTED_CALLS[name]
    gateway.script(replies.call_tools(*calls, text=text), replies.call_tools(*calls, text=text))
    plain, stream = ask(gateway, tools=TOOLS), ask(gateway, tools=TOOLS, stream=True)
    sent = [CompleteCall(call["function"]["name"], call["function"]["arguments"]) for call in calls]
    assert complete_calls(plain) == complete_calls(stream) == sent
    assert assistant_text(plain) == assistant_text(stream) == (text or "")
    assert len(tool_calls(stream)) > len(calls)


REFUSED: dict[str, tuple[dict[str, object], str]] = {
    "stream-options-alone": ({"stream_options": {"include_usage": True}}, "stream_options"),
    "stream-options-of-no-stream": ({"stream": False, "stream_options": {}}, "stream_options"),
    "no-token-at-all": ({"max_tokens": 0}, "max_tokens"),
    "tool-without-name": ({"tools": [{"type": "function"}]}, "tools[0]"),
    "tool-of-no-kind": ({"tools": [{"type": "smell", "smell": {"name": "rose"}}]}, "tools[0]"),
    "tool-not-there": (
        {"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "x"}}},
        "tool_choice",
    ),
    "no-tools": ({"tool_choice": "required"}, "tool_choice"),
    "n-zero": ({"n": 0}, "n"),
    **{f"null-{name}": ({name: None}, name) for name in ("user", "tools", "tool_choice", "response_format")},
    "null-model": ({"model": None}, "model"),
    "role": ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, gateway: ScriptedGateway) -> None:
    """An invalid parameter is refused with 400 and its name."""
    fields, param = REFUSED[name]
    capture = ask(gateway, **fields)
    assert (capture.status, capture.json()["error"]["param"]) == (400, param), capture.text


def test_half_a_character_is_refused(gateway: ScriptedGateway) -> None:
    """Half a surrogate pair cannot be answered in UTF-8."""
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "\ud83c"}]}).encode()
    assert call(gateway.url, "POST", CHAT, body=body, headers=[JSON]).status == 400
