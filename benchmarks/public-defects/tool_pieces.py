"""Defects of the arguments of streamed tool calls: how they are cut, and what is sent beside them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from edits import Json, first_choice
from stream_defects import Each

from tests.fixtures.faults.reference.http import Request
from tests.fixtures.faults.tools import cut_utf_16


def arguments_of(chunk: Json | str) -> list[tuple[int, Json]]:
    """Each call in a chunk with its index."""
    calls = first_choice(chunk).get("delta", {}).get("tool_calls") or []
    return [(call.get("index", 0), call.get("function") or {}) for call in calls]


def piece(chunk: Json, index: int, text: str) -> Json:
    """A chunk with a piece of arguments."""
    delta: Json = {"tool_calls": [{"index": index, "function": {"arguments": text}}]}
    return {**chunk, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}


def at_the_end(then: Callable[[str], list[str]], *, hold: bool) -> Callable[[Request], Each]:
    """Send more pieces before the chunk with the finish reason, made of all arguments of a call."""

    def begin(_: Request) -> Each:
        joined: dict[int, str] = {}

        def each(chunk: Json | str) -> list[Json | bytes] | None:
            found = arguments_of(chunk)
            for index, function in found:
                joined[index] = joined.get(index, "") + (function.get("arguments") or "")
                if hold:
                    function["arguments"] = ""
            if not isinstance(chunk, dict) or first_choice(chunk).get("finish_reason") != "tool_calls":
                return [chunk] if hold and found and isinstance(chunk, dict) else None
            return [*(piece(chunk, index, text) for index in joined for text in then(joined[index])), chunk]

        return each

    return begin


halves_of_characters: Final = at_the_end(cut_utf_16, hold=True)
once_more: Final = at_the_end(lambda text: [] if text.isascii() else [text], hold=False)
