"""E11: the usage of a stream, compared with that of the plain answer to the same question."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lumen_conformance.checks.findings import child_object
from lumen_conformance.checks.preconditions import (
    require_stream_token_counts,
    require_usage,
    require_usage_requested,
    usage_chunks,
)
from lumen_conformance.checks.verdict import Finding, Findings, NotObserved, Unjudged, comparison, comparisons_in
from lumen_conformance.http.capture import Capture
from lumen_conformance.http.documents import answer_json, assistant_text, is_stream, requests_stream
from lumen_conformance.http.strict_json import Document


def require_counts(capture: Capture) -> Unjudged | None:
    """An answer has a usage whose counts are whole numbers; a stream has it if the request asks for it."""
    if requests_stream(capture):
        return require_usage_requested(capture) or require_stream_token_counts(capture)
    return require_usage(capture)


@comparison(
    "E11.1",
    "S",
    "openapi.yaml: CompletionUsage; QuantumNous/new-api#6212 estimated it in streams",
    given=require_counts,
)
def prompt_counts_are_equal(captures: Sequence[Capture]) -> Findings:
    """The usage of a stream has as many prompt tokens as that of the plain answer to the same question."""
    yield from _differences(captures, "prompt_tokens")


@comparison(
    "E11.2",
    "S",
    "openapi.yaml: CompletionUsage; BerriAI/litellm#21011 estimated it in streams",
    given=require_counts,
    profile="lumen",
)
def completion_counts_are_equal(captures: Sequence[Capture]) -> Findings:
    """The usage of a stream has as many completion tokens as that of the plain answer with the same text."""
    if any(assistant_text(each) != assistant_text(captures[0]) for each in captures):
        yield NotObserved("the texts differ", ("E6.1",))
    else:
        yield from _differences(captures, "completion_tokens")


def _differences(captures: Sequence[Capture], name: str) -> Iterator[Finding]:
    """A finding for each answer whose count is not that of the first answer."""
    first = _usage(captures[0]).get(name)
    for each in captures[1:]:
        if (count := _usage(each).get(name)) != first:
            chunk = next(iter(_chunks(each)), None)
            offset = chunk.offset(("usage", name)) if chunk else None
            expected, found = (f"{name}: {number} in the usage of the" for number in (first, count))
            yield Finding(f"{expected} stream, as of the plain answer", f"{found} stream", offset, capture=each)


def _chunks(capture: Capture) -> list[Document]:
    return usage_chunks(capture)[-1:] if is_stream(capture) else []


def _usage(capture: Capture) -> dict[str, object]:
    chunk = next(iter(_chunks(capture)), None)
    return child_object(chunk.value if chunk else answer_json(capture), "usage")


COMPARISONS = comparisons_in(globals())
