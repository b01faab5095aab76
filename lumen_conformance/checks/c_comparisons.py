"""C7, C8: claims about several answers: the same kind, different ids, the same model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lumen_conformance.checks.findings import plain_document
from lumen_conformance.checks.preconditions import require_answer_object
from lumen_conformance.checks.verdict import Finding, Findings, NotObserved, Unjudged, comparison, comparisons_in
from lumen_conformance.http.capture import Capture
from lumen_conformance.http.documents import answer_json, choices, media_type, request_json
from lumen_conformance.schemas.descriptions import format_value

LEAST = 2  # answers that can be compared


@comparison("C7", "M", "jingyaogong/minimind#851 sends a stream that was not requested")
def stream_false_is_the_default(captures: Sequence[Capture]) -> Findings:
    """A request without stream and a request with stream: false get the same kind of answer."""
    first = _kind(captures[0])
    for each in captures[1:]:
        if _kind(each) != first:
            yield Finding(
                f"{_stream_option(each)}: {first}, as with {_stream_option(captures[0])}",
                f"{_stream_option(each)}: {_kind(each)}",
                0,
                capture=each,
            )
    if missing := require_answer_object(captures[0]):
        yield missing


@comparison("C8.1", "M", "openapi.yaml: a unique identifier")
def ids_are_unique(captures: Sequence[Capture]) -> Findings:
    """No two answers have the same id."""
    yield from _too_few(captures, "id", "C2.1", "C2.6")
    earlier: set[str] = set()
    for each, found in _texts(captures, "id"):
        if found in earlier:
            yield _finding(each, "id", "different from all other ids", found)
        earlier.add(found)


@comparison("C8.2", "S", "recorded answers of api.openai.com", profile="lumen")
def ids_have_the_prefix(captures: Sequence[Capture]) -> Findings:
    """Every id starts with chatcmpl-."""
    yield from _too_few(captures, "id", "C2.1", "C2.6")
    for each, found in _texts(captures, "id"):
        if not found.startswith("chatcmpl-"):
            yield _finding(each, "id", "a string that starts with chatcmpl-", found)


@comparison("C8.3", "S", "clients compare the model of an answer with the requested model")
def model_policy_is_constant(captures: Sequence[Capture]) -> Findings:
    """The same requested model always gives the same model in the answer."""
    yield from _too_few(captures, "model", "C2.3", "C2.6")
    first: dict[str, str] = {}
    for each, found in _texts(captures, "model"):
        requested = str(request_json(each).get("model"))
        if first.setdefault(requested, found) != found:
            yield _finding(each, "model", f"{format_value(first[requested])}, as in the first answer", found)


def _texts(captures: Sequence[Capture], name: str) -> Iterator[tuple[Capture, str]]:
    """The answers that have a non-empty text under this key, with the text."""
    for each in captures:
        found = answer_json(each).get(name)
        if isinstance(found, str) and found and not require_answer_object(each):
            yield each, found


def _too_few(captures: Sequence[Capture], name: str, *checks: str) -> Iterator[Unjudged]:
    """The reason why the claim cannot be decided when fewer than two answers have the key."""
    if len(list(_texts(captures, name))) < LEAST:
        reasons: Iterator[Unjudged] = filter(None, map(require_answer_object, captures))
        yield next(reasons, NotObserved(f"fewer than {LEAST} answers have {name}", checks))


def _finding(each: Capture, name: str, expected: str, found: str) -> Finding:
    text = f"{name} is {format_value(found)}"
    return Finding(f"{name}: {expected}", text, plain_document(each).offset((name,)), f"$.{name}", each)


def _stream_option(capture: Capture) -> str:
    """The stream option of the request."""
    request = request_json(capture)
    return f"stream: {format_value(request['stream'])}" if "stream" in request else "no key stream"


def _kind(capture: Capture) -> str:
    """The kind of an answer: status, media type, object and number of choices."""
    found = f"status {capture.status}, {media_type(capture) or 'no media type'}"
    name = answer_json(capture).get("object")
    count = f", {len(choices(capture))} choices" if answer_json(capture) else ""
    return f"{found}{f', object {format_value(name)}' if name is not None else ''}{count}"


COMPARISONS = comparisons_in(globals())
