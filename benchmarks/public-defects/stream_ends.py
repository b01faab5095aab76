"""Defects of the ends of streams: errors, the chunk with the finish reason, connections that end too early."""

from __future__ import annotations

from typing import Final

from edits import HEAD, Json, first_choice
from stream_defects import Each

from tests.fixtures.faults.reference.http import Request

LOST: Final = "gateway_connection_lost"  # the error of the reference itself, when its gateway is gone


def is_error_of_gateway(payload: Json | str) -> bool:
    """Whether this is an error event that the gateway has sent."""
    error = payload.get("error") if isinstance(payload, dict) else None
    return isinstance(error, dict) and error.get("code") != LOST


def finish_after_error(_: Request) -> Each:
    """An error event is dropped, and the stream ends like a complete one."""
    failed = False

    def each(payload: Json | str) -> list[Json | bytes] | None:
        nonlocal failed
        if failed:
            return []
        if not is_error_of_gateway(payload):
            return None
        failed = True
        choice: Json = {"index": 0, "delta": {}, "finish_reason": "stop"}
        return [HEAD | {"object": "chat.completion.chunk", "choices": [choice]}, b"data: [DONE]\n\n"]

    return each


def cut_at_error(_: Request) -> Each:
    """The connection ends where the gateway sends an error event."""

    def each(payload: Json | str) -> list[Json | bytes] | None:
        if is_error_of_gateway(payload):
            raise ConnectionAbortedError
        return None

    return each


def cut_after_first(_: Request) -> Each:
    """The connection ends after the first chunk."""
    begun = False

    def each(_: Json | str) -> list[Json | bytes] | None:
        nonlocal begun
        if begun:
            raise ConnectionAbortedError
        begun = True
        return None

    return each


def message_at_the_end(_: Request) -> Each:
    """The chunk with the finish reason has the whole message in place of a delta."""
    text = ""

    def each(chunk: Json | str) -> list[Json | bytes] | None:
        nonlocal text
        choice = first_choice(chunk)
        text += choice.get("delta", {}).get("content") or ""
        if not isinstance(chunk, dict) or not choice.get("finish_reason"):
            return None
        del choice["delta"]
        choice["message"] = {"role": "assistant", "content": text}
        return [chunk]

    return each


def text_in_last_chunk(_: Request) -> Each:
    """The chunk with the finish reason has the last piece of the text."""
    waiting: Json | None = None

    def each(chunk: Json | str) -> list[Json | bytes] | None:
        nonlocal waiting
        held, waiting = waiting, None
        choice = first_choice(chunk)
        if isinstance(chunk, dict) and choice.get("delta", {}).get("content") and not choice.get("finish_reason"):
            waiting = chunk
            return [held] if held else []
        if not held:
            return None
        if isinstance(chunk, dict) and choice.get("finish_reason"):
            choice["delta"]["content"] = held["choices"][0]["delta"]["content"]
            return [chunk]
        return [held, f"data: {chunk}\n\n".encode() if isinstance(chunk, str) else chunk]

    return each


def markup_in_arguments(_: Request) -> Each:
    """The arguments of a streamed tool call end with markup of the model."""

    def each(chunk: Json | str) -> list[Json | bytes] | None:
        choice = first_choice(chunk)
        if not isinstance(chunk, dict) or choice.get("finish_reason") != "tool_calls":
            return None
        piece = {"index": 0, "function": {"arguments": "}\n</tool_call>"}}
        return [chunk | {"choices": [{"index": 0, "delta": {"tool_calls": [piece]}, "finish_reason": None}]}, chunk]

    return each
