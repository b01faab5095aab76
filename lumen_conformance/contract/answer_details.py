"""What a gateway sends beside the text of an answer, and how it is read from what the client receives.

A detail is found in a plain answer or in the deltas of a stream. A proxy may cut the pieces of a stream in another way,
and may leave out members that OpenAI does not document. Of those only the reasoning is a detail: its checks are advice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from lumen_conformance.checks.findings import child_object
from lumen_conformance.checks.preconditions import COUNTS, usage_chunks
from lumen_conformance.gateway.openai_answers import tokens
from lumen_conformance.http.capture import Capture
from lumen_conformance.http.documents import (
    Choice,
    JsonObject,
    answer_json,
    assistant_text,
    choices,
    choices_by_index,
    finish_of,
    is_stream,
)

REFUSAL = "I cannot help with that."
REASONING = "The user asks about the weather, so the forecast for Seoul is needed."
REASONING_NAMES = ("reasoning_content", "reasoning")  # DeepSeek sends the first, OpenRouter and vLLM the second
SOURCE = {"url": "https://example.com/seoul", "title": "Seoul", "start_index": 0, "end_index": 4}
USAGE = {
    "prompt_tokens": 1234,
    "completion_tokens": 567,
    "total_tokens": 1801,
}  # no tokenizer counts so many in these texts
CACHED_TOKENS, REASONING_TOKENS = 1024, 321
LOGPROB = -0.25


@dataclass(frozen=True)
class Detail:
    """A part of an answer beside its text.

    ``change``    adds it to the plain answer of the gateway
    ``read``      returns what a client receives of it; None for nothing
    ``expected``  what a client must receive, from the text of the question
    ``name``      how a failure names it
    """

    name: str
    change: Callable[[JsonObject], object]
    read: Callable[[Capture], object]
    expected: Callable[[str], object]


def choices_of_first(capture: Capture) -> list[Choice]:
    """The first choice of a plain answer, or its parts in the chunks of a stream."""
    return next(iter(choices_by_index(capture).values()), []) if is_stream(capture) else list(choices(capture)[:1])


def parts(capture: Capture) -> Iterator[JsonObject]:
    """The message of the first choice, or its deltas."""
    for choice in choices_of_first(capture):
        yield choice.delta if is_stream(capture) else child_object(choice.value, "message")


def text_of(capture: Capture, *names: str) -> str | None:
    """The first of these members that has a text, with the pieces of a stream joined; None when none has."""
    for name in names:
        pieces = [part.get(name) for part in parts(capture)]
        if found := "".join(piece for piece in pieces if isinstance(piece, str)):
            return found
    return None


def usage_of(capture: Capture) -> JsonObject:
    """The usage of a plain answer, or the last one of a stream; empty when there is none."""
    last = usage_chunks(capture)[-1:] if is_stream(capture) else ()
    return next((chunk.value["usage"] for chunk in last), {}) or child_object(answer_json(capture), "usage")


def _counts_of(capture: Capture) -> object:
    return {name: usage_of(capture).get(name) for name in COUNTS} if usage_of(capture) else None


def _details_of(capture: Capture) -> object:
    usage = usage_of(capture)
    found = {
        "cached_tokens": child_object(usage, "prompt_tokens_details").get("cached_tokens"),
        "reasoning_tokens": child_object(usage, "completion_tokens_details").get("reasoning_tokens"),
    }
    return found if any(value is not None for value in found.values()) else None


def _logprobs_of(capture: Capture) -> object:
    listed = (child_object(choice.value, "logprobs").get("content") for choice in choices_of_first(capture))
    entries = (entry for each in listed if isinstance(each, list) for entry in each if isinstance(entry, dict))
    return [[entry.get("token"), entry.get("logprob")] for entry in entries] or None


def _urls_of(capture: Capture) -> object:
    listed = (part.get("annotations") for part in parts(capture))
    entries = (entry for each in listed if isinstance(each, list) for entry in each)
    return [child_object(entry, "url_citation").get("url") for entry in entries] or None


def _first(answer: JsonObject) -> JsonObject:
    found: JsonObject = answer["choices"][0]
    return found


def _finish(reason: str) -> Detail:
    return Detail(
        "finish_reason", lambda answer: _first(answer).update(finish_reason=reason), finish_of, lambda _: reason
    )


def _reasoning(name: str) -> Detail:
    return Detail(
        name,
        lambda answer: _first(answer)["message"].update({name: REASONING}),
        lambda capture: text_of(capture, *REASONING_NAMES),
        lambda _: REASONING,
    )


def _add_logprobs(answer: JsonObject) -> None:
    listed = tokens(_first(answer)["message"]["content"])
    entries = [
        {"token": token, "logprob": LOGPROB, "bytes": list(token.encode()), "top_logprobs": []} for token in listed
    ]
    _first(answer)["logprobs"] = {"content": entries, "refusal": None}


def _add_details(answer: JsonObject) -> None:
    more: dict[str, Any] = {
        "prompt_tokens_details": {"cached_tokens": CACHED_TOKENS, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": REASONING_TOKENS, "audio_tokens": 0},
    }
    answer["usage"] = USAGE | more


DETAILS: dict[str, Detail] = {
    "finish-length": _finish("length"),
    "finish-content-filter": _finish("content_filter"),
    "refusal": Detail(
        "refusal",
        lambda answer: _first(answer)["message"].update(content=None, refusal=REFUSAL),
        lambda capture: text_of(capture, "refusal", "content"),  # some servers send it as the text
        lambda _: REFUSAL,
    ),
    "logprobs": Detail(
        "logprobs", _add_logprobs, _logprobs_of, lambda text: [[token, LOGPROB] for token in tokens(text)]
    ),
    "usage-details": Detail(
        "details of the usage",
        _add_details,
        _details_of,
        lambda _: {"cached_tokens": CACHED_TOKENS, "reasoning_tokens": REASONING_TOKENS},
    ),
    "annotations": Detail(
        "annotations",
        lambda answer: _first(answer)["message"].update(annotations=[{"type": "url_citation", "url_citation": SOURCE}]),
        _urls_of,
        lambda _: [SOURCE["url"]],
    ),
    "reasoning-content": _reasoning("reasoning_content"),
    "reasoning": _reasoning("reasoning"),
}
# Gateways add members that OpenAI does not document. A proxy may drop them, and must not fail on them.
ADDED = Detail("text", lambda answer: answer.update(x_served_by="scripted"), assistant_text, lambda text: text)
COUNTED = Detail("usage", lambda answer: answer.update(usage=dict(USAGE)), _counts_of, lambda _: USAGE)
