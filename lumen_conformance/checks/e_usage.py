"""E5: usage in a stream: one chunk of its own when asked for, none otherwise.

`ASKED` and `UNASKED` are the judges that mean something where usage was asked for and where it was not.
"""

from collections.abc import Iterator

from lumen_conformance.checks.findings import how_often, shorten, wrong
from lumen_conformance.checks.preconditions import (
    COUNTS,
    counted,
    stream_counts,
    stream_usage,
    stream_usage_of_words,
    usage_asked,
    usage_asked_and_seen,
    usage_unasked,
)
from lumen_conformance.checks.verdict import Finding, judge, judges_in
from lumen_conformance.http.capture import Capture
from lumen_conformance.http.documents import chunks
from lumen_conformance.http.strict_json import Document, is_count, is_whole


@judge("E5.1", "S", "ollama#4448, TGI#2531 ignored it; who adds counts up counts twice", given=usage_asked)
def usage_chunk(seen: Capture) -> Iterator[Finding]:
    """With include_usage, exactly one chunk has usage."""
    found = counted(seen)
    if len(found) != 1:
        at = found[1].start if found else len(seen.body)
        yield Finding("one chunk with usage", how_often("chunk with usage", len(found), seen), at)


@judge("E5.2", "S", "openapi.yaml:31765: an additional chunk before [DONE]", given=usage_asked_and_seen)
def usage_last(seen: Capture) -> Iterator[Finding]:
    """With include_usage, the chunk with usage is the last one, after every finish."""
    last = chunks(seen)[-1]
    if counted(seen)[-1] is not last:
        yield Finding("usage in the last chunk", f"after it {_shown(last)}", last.start)


@judge(
    "E5.3", "M", "livekit/agents#6595: 1.6.9 raises on null and none; the AI SDK raises on strings", given=stream_usage
)
def counts_are_whole(seen: Capture) -> Iterator[Finding]:
    """The usage of a stream has its three counts, and each is a whole number."""
    for chunk in counted(seen):
        for name in COUNTS:
            if not is_whole(chunk.value["usage"].get(name)):
                yield wrong(chunk, ("usage", name), "an integer of at least 0")


@judge("E5.4", "S", "litellm#9657; openapi.yaml:31765", given=usage_asked_and_seen)
def usage_null_elsewhere(seen: Capture) -> Iterator[Finding]:
    """With include_usage, all other chunks have usage: null."""
    for chunk in chunks(seen):
        if "usage" not in chunk.value:
            yield wrong(chunk, ("usage",), "null, until the counts come")


@judge("E5.5", "M", "openapi.yaml:33665; recorded streams of api.openai.com have none", given=usage_unasked)
def no_usage_chunk_unasked(seen: Capture) -> Iterator[Finding]:
    """Without include_usage, no chunk is there for usage alone."""
    for chunk in counted(seen):
        if not chunk.value.get("choices"):
            yield Finding(
                "no chunk with usage alone, as it was not asked for",
                f"a chunk with usage alone: {_shown(chunk)}",
                chunk.start,
            )


@judge("E5.6", "S", "igllama#82 sent zeros", given=stream_usage_of_words)
def usage_is_counted(seen: Capture) -> Iterator[Finding]:
    """A streamed non-empty answer costs tokens."""
    for chunk in counted(seen):
        for name in COUNTS[:2]:
            if chunk.value["usage"].get(name) == 0:
                yield wrong(chunk, ("usage", name), "more than 0")


@judge("E5.7", "S", "openapi.yaml:33665; recorded streams of api.openai.com have none", given=usage_unasked)
def no_usage_unasked(seen: Capture) -> Iterator[Finding]:
    """Without include_usage, no chunk with choices has usage."""
    for chunk in counted(seen):
        if chunk.value.get("choices"):
            yield wrong(chunk, ("usage",), "no such key, or null, as it was not asked for")


@judge("E5.8", "S", "litellm#8751 sent choices with it; openapi.yaml:31765", given=usage_asked_and_seen)
def usage_without_choices(seen: Capture) -> Iterator[Finding]:
    """With include_usage, the choices of the chunk with usage are an empty list."""
    for chunk in counted(seen):
        if chunk.value.get("choices"):
            yield wrong(chunk, ("choices",), "[]")


@judge("E5.9", "S", "a defect of the original proxy: each floored on its own", given=stream_counts)
def usage_adds_up(seen: Capture) -> Iterator[Finding]:
    """The counts of a stream's usage are at least 0, and the total is the sum of its parts."""
    for chunk in counted(seen):
        prompt, completion, total = (chunk.value["usage"].get(name) for name in COUNTS)
        odd = [name for name in COUNTS if not is_count(chunk.value["usage"].get(name))]
        yield from (wrong(chunk, ("usage", name), "an integer of at least 0") for name in odd)
        if not odd and total != prompt + completion:
            yield wrong(chunk, ("usage", "total_tokens"), f"{prompt + completion} ({prompt} + {completion})")


def _shown(chunk: Document) -> str:
    return shorten(chunk.source)


JUDGES = judges_in(globals())
UNASKED = (no_usage_chunk_unasked, no_usage_unasked)
ASKED = tuple(each for each in JUDGES if each not in UNASKED)
