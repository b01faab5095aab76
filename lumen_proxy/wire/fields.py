"""Which values of the fields of a chat request are legal, by openai-openapi `CreateChatCompletionRequest`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sized


BIAS = 100


class Field(NamedTuple):
    """What a field may hold: a test of any JSON value but null, and its words."""

    allows: Callable[[Any], bool]
    wanted: str


def _number(low: int, high: int) -> Field:
    return Field(lambda it: type(it) in {int, float} and low <= it <= high, f"a number from {low} to {high}")


def _whole(low: int, high: int | None = None) -> Field:
    wanted = f"a whole number from {low}" + (f" to {high}" if high is not None else "")
    return Field(lambda it: type(it) is int and low <= it and (high is None or it <= high), wanted)


def _bias(it: object) -> bool:
    """A whole number as JSON Schema has it: 1.0 is one, too."""
    return type(it) in {int, float} and it in range(-BIAS, BIAS + 1)


def _kind(kind: type, wanted: str) -> Field:
    return Field(lambda it: isinstance(it, kind), wanted)


def _object_of(value: Field, wanted: str) -> Field:
    return Field(lambda it: isinstance(it, dict) and all(map(value.allows, it.values())), wanted)


def _up_to(most: int, kind: type[Sized], wanted: str) -> Field:
    return Field(lambda it: isinstance(it, kind) and len(it) <= most, wanted)


SWITCH, TEXT, LIST = _kind(bool, "true or false"), _kind(str, "a string"), _kind(list, "a list")
FIELDS = {
    "temperature": _number(0, 2),
    "top_p": _number(0, 1),
    "presence_penalty": _number(-2, 2),
    "frequency_penalty": _number(-2, 2),
    "max_tokens": _whole(1),
    "max_completion_tokens": _whole(1),
    "top_logprobs": _whole(0, 20),
    "seed": _whole(-(2**63), 2**63 - 1),
    "stream": SWITCH,
    "logprobs": SWITCH,
    "stream_options": _kind(dict, "an object"),
    "response_format": _kind(dict, "an object"),
    "logit_bias": _object_of(Field(_bias, ""), f"an object of whole numbers from -{BIAS} to {BIAS}"),
    "metadata": _object_of(TEXT, "an object of strings"),
    "user": TEXT,
    "safety_identifier": _up_to(64, str, "a string of at most 64 characters"),
    "tools": LIST,
    "functions": _up_to(128, list, "a list of at most 128"),  # an empty one is what clients without functions send
    "reasoning_effort": TEXT,  # both are lists of words that grow; other servers have words of their own
    "service_tier": TEXT,
}
