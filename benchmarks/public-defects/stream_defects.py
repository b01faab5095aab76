"""Defects of streams: what becomes of each chunk, of the end, and of the time at which they are sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from edits import DONE, Json, body_of, first_choice, in_events, send_whole

from tests.fixtures.faults.reference.http import Request, Response, as_json

ENVOY_BUFFER_BYTES: Final = 32_768  # of a connection, when nothing else is configured
FULL_TEXT_EVERY: Final = 3  # chunks with text
HARMONY: Final = "<|channel|>analysis<|message|>A short answer.<|end|><|start|>assistant<|channel|>final<|message|>"
Each = Callable[[Json | str], list[Json | bytes] | None]


def text_as_reasoning(chunk: Json) -> None:
    """The text stands in another field."""
    for choice in chunk["choices"]:
        if choice["delta"].get("content"):
            choice["delta"]["reasoning"] = choice["delta"].pop("content")


def nulls_first(_: Request) -> Each:
    """A stream begins with chunks whose role and text are null; no chunk names the role."""
    begun = False

    def each(chunk: Json | str) -> list[Json | bytes] | None:
        nonlocal begun
        if isinstance(chunk, str) or not chunk.get("choices"):
            return None
        if begun:
            return None
        begun, first = True, chunk["choices"][0]
        first["delta"].pop("role", None)
        nulls: Json = {**chunk, "choices": [{**first, "delta": {"role": None, "content": None}}]}
        return [nulls, nulls, nulls, chunk]

    return each


def whole_with_tools(request: Request, sent: Response) -> None:
    """With tools, a stream is sent at its end."""
    if body_of(request).get("tools") and not isinstance(sent.body, bytes):
        send_whole(sent)


def empty_finish_and_usage(chunk: Json) -> None:
    """Each chunk has a usage of zeros, and an empty text where it has no finish reason."""
    chunk["usage"] = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    for choice in chunk["choices"]:
        choice["finish_reason"] = choice["finish_reason"] or ""


def no_done(_: Request) -> Each:
    """The last event is missing."""
    return lambda payload: [] if payload == DONE else None


def only_done(_: Request) -> Each:
    """A stream has nothing but its last event."""
    return lambda payload: None if payload == DONE else []


def without_role(chunk: Json) -> None:
    """No chunk has a role."""
    for choice in chunk["choices"]:
        choice["delta"].pop("role", None)


def buffer_with_limit(_: Request, sent: Response) -> None:
    """A stream is sent at its end, and too large for the buffer it is an error."""
    if not isinstance(sent.body, bytes):
        send_whole(sent, ENVOY_BUFFER_BYTES)


def buffer_all(_: Request, sent: Response) -> None:
    """Every stream is sent at its end."""
    if not isinstance(sent.body, bytes):
        send_whole(sent)


def without_streamed_tools(_: Request) -> Each:
    """A stream has no tool calls, and its finish reason is that of a text."""

    def each(chunk: Json | str) -> list[Json | bytes] | None:
        if isinstance(chunk, str) or not chunk.get("choices"):
            return None
        choice = chunk["choices"][0]
        if "tool_calls" in choice.get("delta", {}) and not choice.get("finish_reason"):
            return []
        if choice.get("finish_reason") == "tool_calls":
            choice["finish_reason"] = "stop"
            return [chunk]
        return None

    return each


def whole_text_now_and_then(_: Request) -> Each:
    """Every third chunk with text has all of the text so far."""
    so_far, number = "", 0

    def each(chunk: Json | str) -> list[Json | bytes] | None:
        nonlocal so_far, number
        choice = first_choice(chunk)
        text = choice.get("delta", {}).get("content")
        if not isinstance(chunk, dict) or not text:
            return None
        so_far, number = so_far + text, number + 1
        if number % FULL_TEXT_EVERY:
            return None
        choice["delta"]["content"] = so_far
        return [chunk]

    return each


def harmony_markup(_: Request) -> Each:
    """The text of a stream begins with the markup of the model."""
    begun = False

    def each(chunk: Json | str) -> list[Json | bytes] | None:
        nonlocal begun
        choice = first_choice(chunk)
        text = choice.get("delta", {}).get("content")
        if not isinstance(chunk, dict) or not text or begun:
            return None
        begun = True
        choice["delta"]["content"] = HARMONY + text
        return [chunk]

    return each


def empty_deltas(chunk: Json) -> None:
    """A stream without text."""
    for choice in chunk["choices"]:
        if choice["delta"].get("content"):
            choice["delta"]["content"] = ""


def bare_objects(request: Request, sent: Response) -> None:
    """A stream is JSON objects without the form of events, and has no media type."""
    if not isinstance(sent.body, bytes):
        in_events(lambda _: lambda payload: [] if isinstance(payload, str) else [as_json(payload)]).response(
            request, sent
        )
        sent.set("Content-Type", None)


def lose_prefixes(request: Request) -> Each:
    """With usage, the finish chunk and the end lose the name of their field."""
    options = body_of(request).get("stream_options")
    asked = isinstance(options, dict) and options.get("include_usage") is True

    def each(payload: Json | str) -> list[Json | bytes] | None:
        if not asked:
            return None
        if isinstance(payload, str):
            return [payload.encode() + b"\n\n"]
        finished = any(choice.get("finish_reason") for choice in payload.get("choices") or [])
        return [as_json(payload) + b"\n\n"] if finished else None

    return each


def without_usage(_: Request) -> Each:
    """No chunk has usage, also where it was asked for."""

    def each(chunk: Json | str) -> list[Json | bytes] | None:
        if isinstance(chunk, str) or "usage" not in chunk:
            return None
        del chunk["usage"]
        return [chunk] if chunk.get("choices") else []

    return each


def only_id_and_choices(chunk: Json) -> None:
    """A chunk has no object, no created and no model."""
    for name in ("object", "created", "model"):
        if "choices" in chunk:
            chunk.pop(name, None)


def trace_first(_: Request) -> Each:
    """A stream begins with an event of the server about itself."""
    begun = False

    def each(chunk: Json | str) -> list[Json | bytes] | None:
        nonlocal begun
        if begun or isinstance(chunk, str):
            return None
        begun = True
        return [{"type": "trace", "entry": {"message": "router:request"}}, chunk]

    return each
