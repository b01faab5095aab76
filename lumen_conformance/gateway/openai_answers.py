"""The answer to a valid chat request: plain, or the same as a stream.

Recorded streams have the role first, a last delta that is empty, usage in a chunk of its own when it was asked for,
and ``[DONE]``. A token of this gateway is one piece of a stream, so the token counts can be verified.
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
    """The body of a plain answer."""
    request = read_object(call)
    wanted = request.get("n") or 1
    message, finish, tokens = _tool_call(request) or _text(request, text)
    message = {"role": "assistant", **message, "refusal": None, "annotations": []}
    choice = {"message": message, "logprobs": None, "finish_reason": finish}
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": request.get("model", ""),
        "choices": [{"index": index, **choice} for index in range(wanted)],
        "usage": _usage(request, wanted * tokens),
    }


def events(call: ReceivedRequest, text: str) -> tuple[bytes, ...]:
    """The events of a streamed answer, each with its blank line."""
    counted = (read_object(call).get("stream_options") or {}).get("include_usage") is True
    return (*map(event, chunks(completion(call, text), counted=counted)), DONE)


def chunks(answer: JsonObject, *, counted: bool) -> Iterator[JsonObject]:
    """A plain answer as the chunks of a stream; with its usage if that was asked for."""
    frame = {name: answer[name] for name in ("id", "created", "model")}
    frame |= {"object": "chat.completion.chunk"} | ({"usage": None} if counted else {})
    for choice in answer["choices"]:
        for delta, finish in _deltas(choice):
            entry = {"index": choice["index"], "delta": delta, "logprobs": None, "finish_reason": finish}
            yield frame | {"choices": [entry]}
    if counted:
        yield frame | {"choices": [], "usage": answer["usage"]}


def event(value: object) -> bytes:
    """One event."""
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
    """The text up to the first stop sequence or the limit of tokens, its finish reason, and its number of tokens."""
    stop = request.get("stop") or []
    places = [text.find(word) for word in ([stop] if isinstance(stop, str) else stop) if word]
    text = text[: min((place for place in places if place >= 0), default=len(text))]
    limit = min((limit for name in LIMITS if (limit := request.get(name) or 0) > 0), default=len(text))
    tokens = _tokens(text)
    given, finish = "".join(tokens[:limit]), "length" if len(tokens) > limit else "stop"
    return {"content": given}, finish, min(len(tokens), limit)


def _tool_call(request: JsonObject) -> tuple[JsonObject, str, int] | None:
    """A call of the tool that the request demands; None when it demands none."""
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
