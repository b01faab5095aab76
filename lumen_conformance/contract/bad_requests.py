"""Invalid requests. Each has one defect, and the field that the error should name.

Ranges are those of ``CreateChatCompletionRequest`` in OpenAI's openapi.yaml. Requests for optional features (images,
tools) are in `UNSUPPORTED_REQUESTS`, for targets without these features.
"""

import json
from dataclasses import dataclass

from lumen_conformance.contract.session import question

DEEP = 100_000  # levels of nesting: more than the stack of any parser
LONG_DIGITS = 10_000  # more than the 4,300 digits that Python converts


@dataclass(frozen=True)
class BadRequest:
    """A request body, and the beginning of the expected ``param`` of the error."""

    body: bytes
    field: str | None = None


def _sent(field: str | None = None, **fields: object) -> BadRequest:
    return BadRequest(json.dumps(question("안녕", **fields)).encode(), field)


def _turns(*messages: object, field: str = "messages") -> BadRequest:
    return BadRequest(json.dumps({"model": "lumen-gateway", "messages": messages}).encode(), field)


def _content(content: object, field: str = "messages[0].content") -> BadRequest:
    return _turns({"role": "user", "content": content}, field=field)


GOOD = json.dumps(question("안녕")).encode()
BODIES = {
    "not-json": BadRequest(b"{'model': 1}"),
    "json-cut": BadRequest(GOOD[:-2]),
    "json-twice": BadRequest(GOOD + GOOD),
    "json-nan": BadRequest(GOOD[:-1] + b', "seed": NaN}'),
    "json-deep": BadRequest(b"[" * DEEP),
    "json-long-number": BadRequest(GOOD[:-1] + b', "seed": ' + b"1" * LONG_DIGITS + b"}"),
    "not-utf8": BadRequest(GOOD.replace(rb"\uc548", b"\xbe\xc8")),  # a syllable in code page 949
    "empty-body": BadRequest(b""),
    "body-null": BadRequest(b"null"),
    "body-number": BadRequest(b"1"),
    "body-string": BadRequest(b'"hello"'),
    "body-list": BadRequest(b"[" + GOOD + b"]"),
}
MESSAGES = {
    "messages-missing": BadRequest(b'{"model": "lumen-gateway"}', "messages"),
    "messages-null": BadRequest(b'{"model": "lumen-gateway", "messages": null}', "messages"),
    "messages-empty": _turns(),
    "messages-string": BadRequest(b'{"model": "lumen-gateway", "messages": "hello"}', "messages"),
    "messages-object": BadRequest(b'{"model": "lumen-gateway", "messages": {"role": "user"}}', "messages"),
    "message-null": _turns(None, field="messages[0]"),
    "message-string": _turns("hello", field="messages[0]"),
    "message-empty": _turns({}, field="messages[0]"),
    "role-missing": _turns({"content": "hello"}, field="messages[0]"),
    "role-unknown": _turns({"role": "robot", "content": "hello"}, field="messages[0].role"),
    "role-number": _turns({"role": 1, "content": "hello"}, field="messages[0].role"),
    "role-list": _turns({"role": ["user"], "content": "hello"}, field="messages[0].role"),
    "content-missing": _turns({"role": "user"}, field="messages[0]"),
    "content-null": _content(None),
    "content-number": _content(1),
    "content-true": _content(content=True),
    "content-object": _content({"type": "text", "text": "hello"}),
    "content-empty-list": _content([]),
    "part-string": _content(["hello"]),
    "part-null": _content([None]),
    "part-without-type": _content([{"text": "hello"}]),
    "part-type-unknown": _content([{"type": "smell", "text": "hello"}]),
    "part-type-number": _content([{"type": 1, "text": "hello"}]),
    "part-without-text": _content([{"type": "text"}]),
    "part-text-number": _content([{"type": "text", "text": 1}]),
}
OPTIONS = {
    "model-number": _sent("model", model=1),
    "stream-string": _sent("stream", stream="false"),
    "stream-number": _sent("stream", stream=1),
    "stream-options-string": _sent("stream_options", stream=True, stream_options="include_usage"),
    "include-usage-string": _sent("stream_options", stream=True, stream_options={"include_usage": "yes"}),
    "temperature-high": _sent("temperature", temperature=2.1),
    "temperature-low": _sent("temperature", temperature=-0.1),
    "temperature-string": _sent("temperature", temperature="1"),
    "temperature-true": _sent("temperature", temperature=True),
    "top-p-high": _sent("top_p", top_p=1.1),
    "top-p-low": _sent("top_p", top_p=-0.1),
    "n-zero": _sent("n", n=0),
    "n-high": _sent("n", n=129),
    "n-string": _sent("n", n="1"),
    "n-fraction": _sent("n", n=1.5),
    "presence-penalty-high": _sent("presence_penalty", presence_penalty=2.1),
    "presence-penalty-string": _sent("presence_penalty", presence_penalty="0"),
    "frequency-penalty-low": _sent("frequency_penalty", frequency_penalty=-2.1),
    "stop-number": _sent("stop", stop=1),
    "stop-five": _sent("stop", stop=["a", "b", "c", "d", "e"]),
    "stop-of-numbers": _sent("stop", stop=[1]),
    "max-tokens-string": _sent("max_tokens", max_tokens="10"),
    "max-tokens-zero": _sent("max_tokens", max_tokens=0),
    "logit-bias-list": _sent("logit_bias", logit_bias=["50256"]),
    "response-format-string": _sent("response_format", response_format="json"),
    "user-number": _sent("user", user=1),
}
BAD_REQUESTS = BODIES | MESSAGES | OPTIONS
TOOL = {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}}
NAMED = {"type": "function", "function": {"name": "now"}}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
UNSUPPORTED_REQUESTS = {
    "image": _content([{"type": "text", "text": "what is this?"}, IMAGE], "messages[0].content[1]"),
    "audio": _content(
        [{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}], "messages[0].content[0]"
    ),
    "file": _content([{"type": "file", "file": {"file_id": "f"}}], "messages[0].content[0]"),
    "tool-required": _sent("tool_choice", tools=[TOOL], tool_choice="required"),
    "tool-named": _sent("tool_choice", tools=[TOOL], tool_choice=NAMED),
    "function-named": _sent("function_call", functions=[TOOL["function"]], function_call={"name": "now"}),
    "json-mode": _sent("response_format", response_format={"type": "json_object"}),
    "blank-question": _content(" \n", "messages"),
    "blank-system-message": _turns({"role": "system", "content": " "}),
    "answer-last": _turns({"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}),
}
