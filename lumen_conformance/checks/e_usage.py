"""E5: usage in a stream: one chunk with only the usage when the request asks for it, otherwise none.

`REQUESTED` and `NOT_REQUESTED` are the judges for requests with and without ``include_usage``.
"""

from collections.abc import Iterator

from lumen_conformance.checks.findings import describe_count, quote, wrong_value
from lumen_conformance.checks.preconditions import (
    COUNTS,
    require_requested_stream_usage,
    require_stream_token_counts,
    require_stream_usage,
    require_stream_usage_and_text,
    require_usage_not_requested,
    require_usage_requested,
    usage_chunks,
)
from lumen_conformance.checks.verdict import Finding, judge, judges_in
from lumen_conformance.http.capture import Capture
from lumen_conformance.http.documents import chunks
from lumen_conformance.http.strict_json import Document, is_count, is_whole


@judge(
    "E5.1",
    "S",
    "ollama/ollama#4448 and huggingface/text-generation-inference#2531 ignored include_usage; "
    "a client that adds the counts counts twice",
    given=require_usage_requested,
)
def usage_chunk(capture: Capture) -> Iterator[Finding]:
    """With include_usage, exactly one chunk has usage."""
    found = usage_chunks(capture)
    if len(found) != 1:
        at = found[1].start if found else len(capture.body)
        yield Finding("one chunk with usage", describe_count("chunk with usage", len(found), capture), at)


@judge("E5.2", "S", "openapi.yaml:31765: an additional chunk before [DONE]", given=require_requested_stream_usage)
def usage_last(capture: Capture) -> Iterator[Finding]:
    """With include_usage, the chunk with usage is the last chunk."""
    last = chunks(capture)[-1]
    if usage_chunks(capture)[-1] is not last:
        yield Finding("usage in the last chunk", f"after the usage: {_shown(last)}", last.start)


@judge(
    "E5.3",
    "M",
    "livekit/agents#6595: 1.6.9 raises on null and on a missing count; the AI SDK raises on strings",
    given=require_stream_usage,
)
def counts_are_whole(capture: Capture) -> Iterator[Finding]:
    """The usage of a stream has three counts, each a whole number."""
    for chunk in usage_chunks(capture):
        for name in COUNTS:
            if not is_whole(chunk.value["usage"].get(name)):
                yield wrong_value(chunk, ("usage", name), "an integer of at least 0")


@judge("E5.4", "S", "BerriAI/litellm#9657; openapi.yaml:31765", given=require_requested_stream_usage)
def usage_null_elsewhere(capture: Capture) -> Iterator[Finding]:
    """With include_usage, all other chunks have usage: null."""
    for chunk in chunks(capture):
        if "usage" not in chunk.value:
            yield wrong_value(chunk, ("usage",), "null, until the counts come")


@judge(
    "E5.5",
    "M",
    "openapi.yaml:33665; AndraxDev/speak-gpt#162 raises IndexOutOfBoundsException",
    given=require_usage_not_requested,
)
def no_usage_chunk_unrequested(capture: Capture) -> Iterator[Finding]:
    """Without include_usage, no chunk contains only usage."""
    for chunk in usage_chunks(capture):
        if not chunk.value.get("choices"):
            yield Finding(
                "no chunk with only usage, because the request does not ask for it",
                f"a chunk with only usage: {_shown(chunk)}",
                chunk.start,
            )


@judge("E5.6", "S", "bkataru/igllama#82 sent zeros", given=require_stream_usage_and_text)
def usage_is_counted(capture: Capture) -> Iterator[Finding]:
    """The usage of a non-empty stream is more than zero."""
    for chunk in usage_chunks(capture):
        for name in COUNTS[:2]:
            if chunk.value["usage"].get(name) == 0:
                yield wrong_value(chunk, ("usage", name), "more than 0")


@judge(
    "E5.7", "S", "openapi.yaml:33665; recorded streams of api.openai.com have none", given=require_usage_not_requested
)
def no_usage_unrequested(capture: Capture) -> Iterator[Finding]:
    """Without include_usage, no chunk with choices has usage."""
    for chunk in usage_chunks(capture):
        if chunk.value.get("choices"):
            yield wrong_value(chunk, ("usage",), "no such key, or null, because the request does not ask for it")


@judge(
    "E5.8", "S", "openapi.yaml:31765; BerriAI/litellm#8751 sent choices with it", given=require_requested_stream_usage
)
def usage_without_choices(capture: Capture) -> Iterator[Finding]:
    """With include_usage, the chunk with usage has an empty list of choices."""
    for chunk in usage_chunks(capture):
        if chunk.value.get("choices"):
            yield wrong_value(chunk, ("choices",), "[]")


@judge(
    "E5.9",
    "S",
    "openapi.yaml: CompletionUsage; the original proxy rounded each count down",
    given=require_stream_token_counts,
)
def usage_adds_up(capture: Capture) -> Iterator[Finding]:
    """The counts of a stream's usage are at least 0, and the total is the sum of the other two."""
    for chunk in usage_chunks(capture):
        prompt, completion, total = (chunk.value["usage"].get(name) for name in COUNTS)
        odd = [name for name in COUNTS if not is_count(chunk.value["usage"].get(name))]
        yield from (wrong_value(chunk, ("usage", name), "an integer of at least 0") for name in odd)
        if not odd and total != prompt + completion:
            yield wrong_value(chunk, ("usage", "total_tokens"), f"{prompt + completion} ({prompt} + {completion})")


def _shown(chunk: Document) -> str:
    return quote(chunk.source)


JUDGES = judges_in(globals())
NOT_REQUESTED = (no_usage_chunk_unrequested, no_usage_unrequested)
REQUESTED = tuple(each for each in JUDGES if each not in NOT_REQUESTED)
