"""B: every body and every chunk is strict JSON with integers written as integers."""

import sys
from collections.abc import Callable, Iterator

from lumen_conformance.checks.findings import child
from lumen_conformance.checks.preconditions import (
    answered,
    asks_usage,
    counted,
    embodied,
    plain_choices,
    plain_object,
    readable,
    stream_chunks,
)
from lumen_conformance.checks.verdict import (
    EXCHANGE,
    Finding,
    Findings,
    NotApplicable,
    NotSeen,
    Unjudged,
    judge,
    judges_in,
)
from lumen_conformance.http.capture import Capture
from lumen_conformance.http.documents import answer, choices_in, documents, is_chat, is_stream
from lumen_conformance.http.strict_json import INTEGER, MAX_INTEGER_DIGITS, Document, Kind, Path, shorten, spell
from lumen_conformance.schemas.descriptions import name_of

MAX_DOUBLE = sys.float_info.max
DAY_S = 86_400  # contract B2: within a day of now; a time in milliseconds is 50,000 years away
Find = Callable[[Document], Iterator[tuple[Path, object]]]


@judge("B1.1", "M", "RFC 8259, 8.1", given=embodied)
def utf8(seen: Capture) -> Findings:
    """Every JSON text is valid UTF-8."""
    yield from _problems(seen, {"utf8"}, "UTF-8")


@judge("B1.2", "M", "RFC 8259, 6", given=embodied)
def no_constants(seen: Capture) -> Findings:
    """NaN and Infinity, which JSON does not have, are never sent."""
    yield from _problems(seen, {"constant"}, "a number or null")


@judge("B1.3", "S", "RFC 8259, 4", given=embodied)
def no_duplicates(seen: Capture) -> Findings:
    """No object has a key twice."""
    yield from _problems(seen, {"duplicate"}, "each key once")


@judge("B1.4", "M", "RFC 8259, 8.2", given=embodied)
def no_lone_surrogates(seen: Capture) -> Findings:
    """No string has half of a surrogate pair."""
    yield from _problems(seen, {"surrogate"}, "whole surrogate pairs")


@judge("B1.5", "M", "9router#3492 glued [DONE] to a plain answer", given=embodied)
def one_value(seen: Capture) -> Findings:
    """A body, and each event, is exactly one JSON value."""
    yield from _problems(seen, {"syntax", "extra"}, "exactly one JSON value")


@judge("B1.6", "M", "RFC 8259, 6; Python's json raises ValueError for a longer one", given=embodied)
def no_endless_integers(seen: Capture) -> Findings:
    """No integer has more than 4,300 digits."""
    yield from _problems(seen, {"digits"}, f"an integer of at most {MAX_INTEGER_DIGITS} digits")


@judge("B1.7", "S", "RFC 8259, 6: a double does not hold it; Node and Python read infinity", given=embodied)
def numbers_are_finite(seen: Capture) -> Findings:
    """Every number is within the range of a double."""
    yield from _problems(seen, {"range"}, f"a number from {-MAX_DOUBLE:.1e} to {MAX_DOUBLE:.1e}")


@judge("B2.1", "M", "baml#1746 sent a float, go-openai#1003 a string", given=answered)
def created_is_integer(seen: Capture) -> Findings:
    """A `created` that is not null is written as an integer."""
    yield from _integers(seen, _created, "created", "C2.6", "E1.5")


@judge("B2.2", "S", "openapi.yaml: index is an integer; pydantic-ai refuses anything else", given=answered)
def indexes_are_integers(seen: Capture) -> Findings:
    """Indexes of choices and of tool calls are written as integers."""
    yield from _integers(seen, _indexes, "index", "C3.1", "E1.1")


@judge("B2.3", "M", "openapi.yaml: CompletionUsage", given=answered)
def token_counts_are_integers(seen: Capture) -> Findings:
    """A token count that is not null is written as an integer."""
    stream_check = "E5.3" if counted(seen) else "E5.1" if asks_usage(seen) else ""
    yield from _integers(seen, _counts, "usage", "C5.1", stream_check)


@judge("B2.4", "S", "openapi.yaml: created is a Unix time in seconds", given=answered)
def created_is_now(seen: Capture) -> Findings:
    """The `created` of an answer is in seconds and within a day of now."""
    times = [(document, document.value["created"]) for document in documents(seen) if _has_time(document)]
    if not times:
        there = any(True for document in documents(seen) for _ in _created(document))
        yield _absent(seen, "created", *(("B2.1", "B2.1") if there else ("C2.6", "E1.5")))
    for document, created in times:
        if abs(created - seen.taken_unix_s) > DAY_S:
            expected = f"created: within {DAY_S} s of {int(seen.taken_unix_s)}, in seconds"
            yield Finding(expected, f"created is {created}", document.offset(("created",)), "$.created")


def _problems(seen: Capture, kinds: set[Kind], expected: str) -> Findings:
    for document in documents(seen):
        for problem in document.problems:
            if problem.kind in kinds:
                yield Finding(expected, problem.found, document.in_body(problem.offset), spell(problem.path))
    if not documents(seen):
        yield NotSeen("the stream has no events with JSON", ("E1.1",))
    yield from filter(None, map(readable, documents(seen)))


def _created(document: Document) -> Iterator[tuple[Path, object]]:
    """Those that are not null: C2.6, E1.5 and H3.list-wire tell of the others."""
    value = document.value if isinstance(document.value, dict) else {}
    if value.get("created") is not None:
        yield ("created",), value["created"]
    listed = value.get("data")
    for position, each in enumerate(listed if isinstance(listed, list) else ()):
        if isinstance(each, dict) and each.get("created") is not None:
            yield ("data", position, "created"), each["created"]


def _indexes(document: Document) -> Iterator[tuple[Path, object]]:
    for choice in choices_in(document):
        if "index" in choice.value:
            yield (*choice.path, "index"), choice.value["index"]
        calls = choice.delta.get("tool_calls")
        for position, call in enumerate(calls if isinstance(calls, list) else ()):
            if isinstance(call, dict) and "index" in call:
                yield (*choice.path, "delta", "tool_calls", position, "index"), call["index"]


def _counts(document: Document) -> Iterator[tuple[Path, object]]:
    """Those that are not null: C5.1 and E5.3 tell of the others, and details need not be known."""
    for name, value in child(document.value, "usage").items():
        if name.endswith("_tokens") and value is not None:
            yield ("usage", name), value
        for detail, count in value.items() if isinstance(value, dict) else ():
            if detail.endswith("_tokens") and count is not None:
                yield ("usage", name, detail), count


def _integers(seen: Capture, find: Find, what: str, plain_check: str, stream_check: str) -> Findings:
    """A finding for each value that is not written as an integer; not judged when there are no values."""
    places = [(document, path, value) for document in documents(seen) for path, value in find(document)]
    if not places:
        yield _absent(seen, what, plain_check, stream_check)
    for document, path, value in places:
        if isinstance(value, int) and not isinstance(value, bool):  # of 1, never of 1.0 or 1e0
            continue
        lexeme, name = document.lexeme(path) or "", name_of(path)
        if len(lexeme) <= MAX_INTEGER_DIGITS:  # B1.6 reports longer ones
            expected = f"{name}: an integer{' that a double holds' * bool(INTEGER.fullmatch(lexeme))}"
            yield Finding(expected, f"{name} is {shorten(lexeme)}", document.offset(path), spell(path))


def _absent(seen: Capture, what: str, plain_check: str, stream_check: str) -> Unjudged:
    """Why there is nothing to judge; other bodies than chats need not have it."""
    plain = plain_choices if what == "index" else plain_object
    if is_stream(seen):
        absent = (
            NotSeen(f"no chunk has {what}", (stream_check,))
            if stream_check
            else NotApplicable(f"no {what} was asked for")
        )
        return stream_chunks(seen) or absent
    if is_chat(seen):
        return plain(seen) or NotSeen(f"the answer has no {what}", (plain_check,))
    if missing := answered(seen) or readable(documents(seen)[0]):
        return missing
    body = answer(seen)
    if body.get("data") or body.get("id"):  # a list of models, or one model
        return NotApplicable(f"the body has no {what}")
    return NotSeen("the body is neither a list of models nor a model", (EXCHANGE,))


def _has_time(document: Document) -> bool:
    value = document.value if isinstance(document.value, dict) and "choices" in document.value else {}
    created = value.get("created")
    return isinstance(created, int | float) and not isinstance(created, bool)


JUDGES = judges_in(globals())
