"""The legal values of the fields of a chat request, after openai-openapi `CreateChatCompletionRequest`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sized
    from types import UnionType


BIAS = 100
NO_LIMIT = -1  # of tokens, in LM Studio and llama.cpp; the curl example of LM Studio sends it


class Field(NamedTuple):
    """The legal values of a field: a test for any JSON value except null, and a description."""

    allows: Callable[[Any], bool]
    expected: str


def is_whole(value: object, low: int, high: float = math.inf) -> bool:
    """Whether it is a whole number in a range. As in JSON Schema, 1.0 is a whole number, and true is not a number."""
    return type(value) in {int, float} and low <= value <= high and value == int(value)  # type: ignore[operator, call-overload]


def _number(low: float = -math.inf, high: float = math.inf) -> Field:
    expected = "a number" if low == -math.inf else f"a number from {low} to {high}"
    return Field(lambda value: type(value) in {int, float} and low <= value <= high, expected)


def _whole(low: int, high: int) -> Field:
    return Field(lambda value: is_whole(value, low, high), f"a whole number from {low} to {high}")


def _kind(kind: type | UnionType, expected: str) -> Field:
    return Field(lambda value: isinstance(value, kind), expected)


def _object(expected: str, value: Field = Field(lambda _: True, "")) -> Field:  # noqa: B008 - a constant
    """An object with such values, or an empty list: PHP's json_encode writes an empty object so."""
    return Field(
        lambda sent: sent == [] or (isinstance(sent, dict) and all(map(value.allows, sent.values()))), expected
    )


def _up_to(most: int, kind: type[Sized], expected: str) -> Field:
    return Field(lambda value: isinstance(value, kind) and len(value) <= most, expected)


SWITCH, TEXT, LIST = _kind(bool, "true or false"), _kind(str, "a string"), _kind(list, "a list")
CHOICE = _kind(str | dict, "a string or an object")
TOKENS = Field(
    lambda value: value == NO_LIMIT or is_whole(value, 1), f"a whole number from 1, or {NO_LIMIT} for no limit"
)
FIELDS = {
    "model": TEXT,
    "temperature": _number(0, 2),
    "top_p": _number(0, 1),
    "presence_penalty": _number(-2, 2),
    "frequency_penalty": _number(-2, 2),
    "max_tokens": TOKENS,
    "max_completion_tokens": TOKENS,
    "top_logprobs": _whole(0, 20),
    "seed": _number(),  # OpenAI: signed 64 bits. Some clients send unsigned 64 bits or a fraction; it is ignored
    "stream": SWITCH,
    "logprobs": SWITCH,
    "stream_options": _object("an object"),
    "response_format": _kind(dict, "an object"),
    "logit_bias": _object(f"an object of whole numbers from -{BIAS} to {BIAS}", _whole(-BIAS, BIAS)),
    "metadata": _object("an object"),  # OpenAI: strings only. Some clients nest objects; it is ignored
    "user": TEXT,
    "safety_identifier": _up_to(64, str, "a string of at most 64 characters"),
    "tools": LIST,
    "tool_choice": CHOICE,
    "functions": _up_to(128, list, "a list of at most 128"),  # clients without functions send an empty one
    "function_call": CHOICE,
    "reasoning_effort": TEXT,  # no list of values for these two: OpenAI adds values, and other servers have their own
    "service_tier": TEXT,
}
