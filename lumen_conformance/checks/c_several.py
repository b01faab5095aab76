"""C: what several answers have in common, and what they must not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lumen_conformance.checks.findings import whole
from lumen_conformance.checks.preconditions import plain_object
from lumen_conformance.checks.verdict import Finding, Findings, NotSeen, Unjudged, comparison, comparisons_in
from lumen_conformance.http.capture import Capture
from lumen_conformance.http.documents import answer, choices, media_type, request_of
from lumen_conformance.schemas.descriptions import format_value

LEAST = 2  # answers that can be unlike one another


@comparison("C7", "M", "minimind#851 streams although nobody asked")
def stream_off_is_one_thing(seen: Sequence[Capture]) -> Findings:
    """A stream that is absent or false gives the same kind of answer."""
    first = _kind(seen[0])
    for each in seen[1:]:
        if _kind(each) != first:
            yield Finding(
                f"{_asked(each)}: {first}, as with {_asked(seen[0])}", f"{_asked(each)}: {_kind(each)}", 0, seen=each
            )
    if missing := plain_object(seen[0]):
        yield missing


@comparison("C8.1", "M", "openapi.yaml: a unique identifier")
def ids_are_unique(seen: Sequence[Capture]) -> Findings:
    """Every answer has an id of its own."""
    yield from _too_few(seen, "id", "C2.1", "C2.6")
    earlier: set[str] = set()
    for each, found in _texts(seen, "id"):
        if found in earlier:
            yield _finding(each, "id", "one that no other answer has", found)
        earlier.add(found)


@comparison("C8.2", "S", "recorded answers of api.openai.com", profile="lumen")
def ids_have_the_prefix(seen: Sequence[Capture]) -> Findings:
    """Every id starts with chatcmpl-."""
    yield from _too_few(seen, "id", "C2.1", "C2.6")
    for each, found in _texts(seen, "id"):
        if not found.startswith("chatcmpl-"):
            yield _finding(each, "id", "a text that starts with chatcmpl-", found)


@comparison("C8.3", "S", "clients compare the model of an answer with what they asked for")
def model_policy_is_constant(seen: Sequence[Capture]) -> Findings:
    """The same requested model is always answered under the same name."""
    yield from _too_few(seen, "model", "C2.3", "C2.6")
    first: dict[str, str] = {}
    for each, found in _texts(seen, "model"):
        asked = str(request_of(each).get("model"))
        if first.setdefault(asked, found) != found:
            yield _finding(each, "model", f"{format_value(first[asked])}, as in the first answer", found)


def _texts(seen: Sequence[Capture], name: str) -> Iterator[tuple[Capture, str]]:
    """The answers, each with a text of its own at the top."""
    for each in seen:
        found = answer(each).get(name)
        if isinstance(found, str) and found and not plain_object(each):
            yield each, found


def _too_few(seen: Sequence[Capture], name: str, *checks: str) -> Iterator[Unjudged]:
    """Not judged, when there are not even two answers with that text."""
    if len(list(_texts(seen, name))) < LEAST:
        reasons: Iterator[Unjudged] = filter(None, map(plain_object, seen))
        yield next(reasons, NotSeen(f"fewer than {LEAST} answers have {name}", checks))


def _finding(each: Capture, name: str, expected: str, found: str) -> Finding:
    text = f"{name} is {format_value(found)}"
    return Finding(f"{name}: {expected}", text, whole(each).offset((name,)), f"$.{name}", each)


def _asked(seen: Capture) -> str:
    """What the request says of a stream."""
    asked = request_of(seen)
    return f"stream: {format_value(asked['stream'])}" if "stream" in asked else "no key stream"


def _kind(seen: Capture) -> str:
    """What kind of answer it is; optional fields may come and go."""
    found = f"status {seen.status}, {media_type(seen) or 'no media type'}"
    name = answer(seen).get("object")
    counted = f", {len(choices(seen))} choices" if answer(seen) else ""
    return f"{found}{f', object {format_value(name)}' if name is not None else ''}{counted}"


COMPARISONS = comparisons_in(globals())
