"""B: every body and every chunk is strict JSON, and integers are written as integers."""

import sys
from collections.abc import Callable, Iterator

from lumen_conformance.checks.findings import child_object, describe_kind
from lumen_conformance.checks.preconditions import (
    requests_usage,
    require_answer_object,
    require_body,
    require_choices,
    require_readable_json,
    require_status_200,
    require_stream_chunks,
    usage_chunks,
)
from lumen_conformance.checks.verdict import (
    EXCHANGE,
    Finding,
    Findings,
    NotApplicable,
    NotObserved,
    Unjudged,
    judge,
    judges_in,
)
from lumen_conformance.http.capture import Capture
from lumen_conformance.http.documents import answer_json, choices_in, documents, is_chat, is_stream
from lumen_conformance.http.strict_json import INTEGER, MAX_INTEGER_DIGITS, Document, Kind, Path, format_path, one_line
from lumen_conformance.schemas.descriptions import name_of

MAX_DOUBLE = sys.float_info.max
DAY_S = 86_400  # clocks differ by less than a day; a time in milliseconds read as seconds is 50,000 years away
Find = Callable[[Document], Iterator[tuple[Path, object]]]


@judge("B1.1", "M", "RFC 8259, 8.1", given=require_body)
def utf8(capture: Capture) -> Findings:
    """Every JSON text is valid UTF-8."""
    yield from _problems(capture, {"utf8"}, "UTF-8")


@judge("B1.2", "M", "RFC 8259, 6", given=require_body)
def no_constants(capture: Capture) -> Findings:
    """No JSON text contains NaN or Infinity."""
    yield from _problems(capture, {"constant"}, "a number or null")


@judge("B1.3", "S", "RFC 8259, 4", given=require_body)
def no_duplicates(capture: Capture) -> Findings:
    """No object has the same key twice."""
    yield from _problems(capture, {"duplicate"}, "each key once")


@judge("B1.4", "M", "RFC 8259, 8.2", given=require_body)
def no_lone_surrogates(capture: Capture) -> Findings:
    """No string contains half of a surrogate pair."""
    yield from _problems(capture, {"surrogate"}, "complete surrogate pairs")


@judge("B1.5", "M", "RFC 8259, 2; decolua/9router#3492 appended [DONE] to a plain answer", given=require_body)
def one_value(capture: Capture) -> Findings:
    """A body, and each event, is exactly one JSON value."""
    yield from _problems(capture, {"syntax", "extra"}, "exactly one JSON value")


@judge("B1.6", "M", "RFC 8259, 6; Python's json raises ValueError for a longer one", given=require_body)
def no_endless_integers(capture: Capture) -> Findings:
    """No integer has more than 4,300 digits."""
    yield from _problems(capture, {"digits"}, f"an integer of at most {MAX_INTEGER_DIGITS} digits")


@judge(
    "B1.7", "S", "RFC 8259, 6: larger numbers are not interoperable; Node and Python read infinity", given=require_body
)
def numbers_are_finite(capture: Capture) -> Findings:
    """Every number is within the range of a double."""
    yield from _problems(capture, {"range"}, f"a number from {-MAX_DOUBLE:.1e} to {MAX_DOUBLE:.1e}")


@judge("B2.1", "M", "BoundaryML/baml#1746 sent a float, sashabaranov/go-openai#1003 a string", given=require_status_200)
def created_is_integer(capture: Capture) -> Findings:
    """A `created` that is not null is written as an integer."""
    yield from _integers(capture, _created, "created", "C2.6", "E1.5")


@judge("B2.2", "S", "openapi.yaml: index is an integer; pydantic-ai rejects other values", given=require_status_200)
def indexes_are_integers(capture: Capture) -> Findings:
    """Indexes of choices and of tool calls are written as integers."""
    yield from _integers(capture, _indexes, "index", "C3.1", "E1.1")


@judge("B2.3", "M", "openapi.yaml: CompletionUsage", given=require_status_200)
def token_counts_are_integers(capture: Capture) -> Findings:
    """A token count that is not null is written as an integer."""
    stream_check = "E5.3" if usage_chunks(capture) else "E5.1" if requests_usage(capture) else ""
    yield from _integers(capture, _counts, "usage", "C5.1", stream_check)


@judge("B2.4", "S", "openapi.yaml: created is a Unix time in seconds", given=require_status_200)
def created_is_now(capture: Capture) -> Findings:
    """The `created` of an answer is a time in seconds, within a day of the present."""
    times = [(document, document.value["created"]) for document in documents(capture) if _has_time(document)]
    if not times:
        there = any(True for document in documents(capture) for _ in _created(document))
        yield _absent(capture, "created", *(("B2.1", "B2.1") if there else ("C2.6", "E1.5")))
    for document, created in times:
        if abs(created - capture.taken_unix_s) > DAY_S:
            expected = f"created: within {DAY_S} s of {int(capture.taken_unix_s)}, in seconds"
            yield Finding(expected, f"created is {created}", document.offset(("created",)), "$.created")


def _problems(capture: Capture, kinds: set[Kind], expected: str) -> Findings:
    kind = "" if is_stream(capture) else describe_kind(capture.body)
    for document in documents(capture):
        for problem in document.problems:
            if problem.kind in kinds:
                found = f"{kind}: {problem.found}" if kind else problem.found
                found += describe_length(capture) if problem.kind == "syntax" else ""
                yield Finding(expected, found, document.body_offset(problem.offset), format_path(problem.path))
    if not documents(capture):
        yield NotObserved("the stream has no events with JSON", ("E1.1",))
    yield from filter(None, map(require_readable_json, documents(capture)))


def describe_length(capture: Capture) -> str:
    """Say when more bytes followed a body than its Content-Length counts; a client does not read them."""
    length = capture.header("content-length") or ""
    more = len(capture.raw) - len(capture.raw_head) - len(capture.body)
    if not length.isdigit() or int(length) != len(capture.body) or more <= 0:
        return ""
    return f"; the body ends at its Content-Length {length}, and {more} more bytes follow"


def _created(document: Document) -> Iterator[tuple[Path, object]]:
    """The times that are not null; checks C2.6, E1.5 and H3-list-wire report the others."""
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
    """The counts that are not null; checks C5.1 and E5.3 report the others. Details are optional."""
    for name, value in child_object(document.value, "usage").items():
        if name.endswith("_tokens") and value is not None:
            yield ("usage", name), value
        for detail, count in value.items() if isinstance(value, dict) else ():
            if detail.endswith("_tokens") and count is not None:
                yield ("usage", name, detail), count


def _integers(capture: Capture, find: Find, what: str, plain_check: str, stream_check: str) -> Findings:
    """A finding for each value that is not written as an integer; not decided when there are no values."""
    values = [(document, path, value) for document in documents(capture) for path, value in find(document)]
    if not values:
        yield _absent(capture, what, plain_check, stream_check)
    for document, path, value in values:
        if isinstance(value, int) and not isinstance(value, bool):  # 1, not 1.0 or 1e0
            continue
        lexeme, name = document.lexeme(path) or "", name_of(path)
        if len(lexeme) <= MAX_INTEGER_DIGITS:  # B1.6 reports longer ones
            expected = f"{name}: an integer{' in the range of a double' * bool(INTEGER.fullmatch(lexeme))}"
            yield Finding(expected, f"{name} is {one_line(lexeme)}", document.offset(path), format_path(path))


def _absent(capture: Capture, what: str, plain_check: str, stream_check: str) -> Unjudged:
    """Why the values are absent; only chat completions must have them."""
    plain = require_choices if what == "index" else require_answer_object
    if is_stream(capture):
        absent = (
            NotObserved(f"no chunk has {what}", (stream_check,))
            if stream_check
            else NotApplicable(f"the request does not ask for {what}")
        )
        return require_stream_chunks(capture) or absent
    if is_chat(capture):
        return plain(capture) or NotObserved(f"the answer has no {what}", (plain_check,))
    if missing := require_status_200(capture) or require_readable_json(documents(capture)[0]):
        return missing
    body = answer_json(capture)
    if body.get("data") or body.get("id"):  # a list of models, or one model
        return NotApplicable(f"the body has no {what}")
    return NotObserved("the body is neither a list of models nor a model", (EXCHANGE,))


def _has_time(document: Document) -> bool:
    value = document.value if isinstance(document.value, dict) and "choices" in document.value else {}
    created = value.get("created")
    return isinstance(created, int | float) and not isinstance(created, bool)


JUDGES = judges_in(globals())
