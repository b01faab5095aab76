"""The answer to a valid chat request, plain or as a stream.

A stream is like those recorded from OpenAI: first the role, at the end an empty delta, then a chunk with the usage if
it was requested, and ``[DONE]``. A token of this gateway is one piece of a stream, so a test can count the tokens.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator

from lumen_conformance.gateway.exchange import ReceivedRequest
from lumen_conformance.gateway.openai_formats import formatted
from lumen_conformance.gateway.openai_requests import LIMITS, JsonObject, chosen_tool, read_object

TOKEN_CHARS = 24
STREAMED_TEXTS = ("reasoning_content", "reasoning", "content", "refusal")  # of a message, in the order of their deltas
KNOWN = ("id", "object", "created", "model", "choices", "usage")  # members of an answer
DONE = b"data: [DONE]\n\n"
ARGUMENT_KEYS = {"function": "arguments", "custom": "input"}


def completion(call: ReceivedRequest, text: str) -> JsonObject:
    """Return the body of a plain answer."""
    request = read_object(call)
    count = request.get("n") or 1
    message, finish, length = _tool_call(request) or _text(request, text)
    message = {"role": "assistant", **message, "refusal": None, "annotations": []}
    choice = {"message": message, "logprobs": None, "finish_reason": finish}
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": request.get("model", ""),
        "choices": [{"index": index, **choice} for index in range(count)],
        "usage": _usage(request, count * length),
    }


def events(call: ReceivedRequest, answer: JsonObject) -> tuple[bytes, ...]:
    """Return a plain answer as the events of a stream, each with its blank line."""
    counted = (read_object(call).get("stream_options") or {}).get("include_usage") is True
    return (*map(event, chunks(answer, counted=counted)), DONE)


def chunks(answer: JsonObject, *, counted: bool) -> Iterator[JsonObject]:
    """Yield a plain answer as the chunks of a stream; `counted` adds the usage."""
    frame = {name: answer[name] for name in ("id", "created", "model")}
    frame |= {name: value for name, value in answer.items() if name not in KNOWN}
    frame |= {"object": "chat.completion.chunk"} | ({"usage": None} if counted else {})
    for choice in answer["choices"]:
        for delta, logprobs, finish in _deltas(choice):
            entry = {"index": choice["index"], "delta": delta, "logprobs": logprobs, "finish_reason": finish}
            yield frame | {"choices": [entry]}
    if counted:
        yield frame | {"choices": [], "usage": answer["usage"]}


def event(value: object) -> bytes:
    """Return one event."""
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


def _deltas(choice: JsonObject) -> Iterator[tuple[JsonObject, JsonObject | None, str | None]]:
    """Yield each delta of a choice with its logprobs and its finish reason."""
    message = choice["message"]
    text = message.get("content")
    yield {"role": "assistant", "content": None if text is None else "", "refusal": None}, None, None
    for name in STREAMED_TEXTS:
        for number, piece in enumerate(tokens(message.get(name) or "")):
            yield {name: piece}, _logprobs_of(choice, number) if name == "content" else None, None
    for index, call in enumerate(message.get("tool_calls", [])):
        for delta in _tool_deltas(call):
            yield {"tool_calls": [{"index": index, **delta}]}, None, None
    if annotations := message.get("annotations"):
        yield {"annotations": annotations}, None, None
    yield {}, None, choice["finish_reason"]


def _tool_deltas(call: JsonObject) -> Iterator[JsonObject]:
    """Yield a tool call as OpenAI streams it: first its id, type and name, then its arguments in pieces."""
    kind = call["type"]
    argument = ARGUMENT_KEYS[kind]
    yield {**call, kind: {**call[kind], argument: ""}}
    for piece in tokens(call[kind][argument]):
        yield {kind: {argument: piece}}


def _logprobs_of(choice: JsonObject, number: int) -> JsonObject | None:
    """Return the logprobs of one token of the text."""
    listed = (choice.get("logprobs") or {}).get("content") or []
    return {"content": listed[number : number + 1], "refusal": None} if listed else None


def _text(request: JsonObject, text: str) -> tuple[JsonObject, str, int]:
    """Return the text up to the first stop sequence or token limit, its finish reason, and its number of tokens."""
    text = formatted(request, text)
    stop = request.get("stop") or []
    offsets = [text.find(word) for word in ([stop] if isinstance(stop, str) else stop) if word]
    text = text[: min((offset for offset in offsets if offset >= 0), default=len(text))]
    limit = min((limit for name in LIMITS if (limit := request.get(name) or 0) > 0), default=len(text))
    pieces = tokens(text)
    given, finish = "".join(pieces[:limit]), "length" if len(pieces) > limit else "stop"
    return {"content": given}, finish, min(len(pieces), limit)


def _tool_call(request: JsonObject) -> tuple[JsonObject, str, int] | None:
    """Return a call of the tool that the request requires; None when it requires none.

    The finish reason is that of OpenAI: stop when the request names the function (vllm-project/vllm#25054).
    """
    if (tool := chosen_tool(request)) is None:
        return None
    kind = tool["type"]
    arguments = {ARGUMENT_KEYS[kind]: "" if kind == "custom" else "{}"}
    call = {"id": call_id(), "type": kind, kind: {"name": tool[kind]["name"], **arguments}}
    finish = "stop" if isinstance(request["tool_choice"], dict) else "tool_calls"
    return {"content": None, "tool_calls": [call]}, finish, len(tokens(json.dumps(call[kind])))


def call_id() -> str:
    """Return the id of a new tool call."""
    return f"call_{uuid.uuid4().hex}"


def _usage(request: JsonObject, completion_tokens: int) -> JsonObject:
    prompt_tokens = len(tokens(json.dumps(request.get("messages"), ensure_ascii=False)))
    counts = {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens}
    return counts | {"total_tokens": prompt_tokens + completion_tokens}


def tokens(text: str) -> list[str]:
    """Return the tokens of a text: the pieces of its stream."""
    return [text[at : at + TOKEN_CHARS] for at in range(0, len(text), TOKEN_CHARS)]
