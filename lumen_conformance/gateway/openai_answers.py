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
from lumen_conformance.gateway.openai_requests import LIMITS, JsonObject, chosen_tool, read_object

TOKEN_CHARS = 24
DONE = b"data: [DONE]\n\n"


def completion(call: ReceivedRequest, text: str) -> JsonObject:
    """Return the body of a plain answer."""
    request = read_object(call)
    count = request.get("n") or 1
    message, finish, tokens = _tool_call(request) or _text(request, text)
    message = {"role": "assistant", **message, "refusal": None, "annotations": []}
    choice = {"message": message, "logprobs": None, "finish_reason": finish}
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": request.get("model", ""),
        "choices": [{"index": index, **choice} for index in range(count)],
        "usage": _usage(request, count * tokens),
    }


def events(call: ReceivedRequest, text: str) -> tuple[bytes, ...]:
    """Return the events of a streamed answer, each with its blank line."""
    counted = (read_object(call).get("stream_options") or {}).get("include_usage") is True
    return (*map(event, chunks(completion(call, text), counted=counted)), DONE)


def chunks(answer: JsonObject, *, counted: bool) -> Iterator[JsonObject]:
    """Yield a plain answer as the chunks of a stream; `counted` adds the usage."""
    frame = {name: answer[name] for name in ("id", "created", "model")}
    frame |= {"object": "chat.completion.chunk"} | ({"usage": None} if counted else {})
    for choice in answer["choices"]:
        for delta, finish in _deltas(choice):
            entry = {"index": choice["index"], "delta": delta, "logprobs": None, "finish_reason": finish}
            yield frame | {"choices": [entry]}
    if counted:
        yield frame | {"choices": [], "usage": answer["usage"]}


def event(value: object) -> bytes:
    """Return one event."""
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


def _deltas(choice: JsonObject) -> Iterator[tuple[JsonObject, str | None]]:
    message = choice["message"]
    text, calls = message.get("content"), message.get("tool_calls", [])
    yield {"role": "assistant", "content": None if text is None else "", "refusal": None}, None
    for index, call in enumerate(calls):
        yield {"tool_calls": [{"index": index, **call}]}, None
    for piece in _tokens(text or ""):
        yield {"content": piece}, None
    yield {}, choice["finish_reason"]


def _text(request: JsonObject, text: str) -> tuple[JsonObject, str, int]:
    """Return the text up to the first stop sequence or token limit, its finish reason, and its number of tokens."""
    stop = request.get("stop") or []
    offsets = [text.find(word) for word in ([stop] if isinstance(stop, str) else stop) if word]
    text = text[: min((offset for offset in offsets if offset >= 0), default=len(text))]
    limit = min((limit for name in LIMITS if (limit := request.get(name) or 0) > 0), default=len(text))
    tokens = _tokens(text)
    given, finish = "".join(tokens[:limit]), "length" if len(tokens) > limit else "stop"
    return {"content": given}, finish, min(len(tokens), limit)


def _tool_call(request: JsonObject) -> tuple[JsonObject, str, int] | None:
    """Return a call of the tool that the request requires; None when it requires none."""
    if (tool := chosen_tool(request)) is None:
        return None
    kind = tool["type"]
    arguments = {"input": ""} if kind == "custom" else {"arguments": "{}"}
    call = {"id": f"call_{uuid.uuid4().hex}", "type": kind, kind: {"name": tool[kind]["name"], **arguments}}
    return {"content": None, "tool_calls": [call]}, "tool_calls", len(_tokens(json.dumps(call[kind])))


def _usage(request: JsonObject, completion_tokens: int) -> JsonObject:
    prompt_tokens = len(_tokens(json.dumps(request.get("messages"), ensure_ascii=False)))
    counts = {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens}
    return counts | {"total_tokens": prompt_tokens + completion_tokens}


def _tokens(text: str) -> list[str]:
    return [text[at : at + TOKEN_CHARS] for at in range(0, len(text), TOKEN_CHARS)]
