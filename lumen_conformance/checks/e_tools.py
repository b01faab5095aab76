"""E8: tool calls in a stream, for targets that can do tools."""

from collections import defaultdict
from collections.abc import Iterator

from lumen_conformance.checks.findings import child, shorten, wrong
from lumen_conformance.checks.preconditions import must_call, responded, stream_chunks
from lumen_conformance.checks.verdict import Finding, Findings, NotApplicable, NotSeen, Unjudged, judge, judges_in
from lumen_conformance.http.capture import Capture
from lumen_conformance.http.documents import Choice, JsonObject, by_index, once
from lumen_conformance.http.strict_json import Path, parse
from lumen_conformance.schemas.descriptions import format_value

Call = tuple[Choice, Path, JsonObject]
KINDS = ("function", "custom")
ANSWERED = 200


@once
def _calls(seen: Capture) -> list[Call]:
    """Each delta of a tool call, with its place."""
    found: list[Call] = []
    for choices in by_index(seen).values():
        for choice in choices:
            listed = choice.delta.get("tool_calls")
            for position, call in enumerate(listed if isinstance(listed, list) else []):
                if isinstance(call, dict):
                    found.append((choice, (*choice.path, "delta", "tool_calls", position), call))
    return found


@once
def _by_call(seen: Capture) -> list[list[Call]]:
    found: dict[object, list[Call]] = defaultdict(list)
    for each in _calls(seen):
        found[str((each[0].value.get("index"), each[2].get("index")))].append(each)
    return list(found.values())


def call_demanded(seen: Capture) -> Unjudged | None:
    """The request leaves no choice but to call a tool; if it was answered, chunks came."""
    if not must_call(seen):
        return NotApplicable("no tool call was demanded")
    return stream_chunks(seen) if seen.status == ANSWERED else responded(seen)


def calls_come(seen: Capture) -> Unjudged | None:
    """The stream has tool calls."""
    if missing := stream_chunks(seen):
        return missing
    if _calls(seen):
        return None
    return NotSeen("the stream has no tool call", ("E8.4",)) if must_call(seen) else call_demanded(seen)


def calls_have_indexes(seen: Capture) -> Unjudged | None:
    """The stream has tool calls, and each delta says to which it belongs."""
    if missing := calls_come(seen):
        return missing
    told = all("index" in call for _, _, call in _calls(seen))
    return None if told else NotSeen("deltas of tool calls have no index", ("E8.1",))


@judge("E8.1", "M", "openapi.yaml: ChatCompletionMessageToolCallChunk requires index", given=calls_come)
def calls_have_an_index(seen: Capture) -> Iterator[Finding]:
    """Every delta of a tool call has an index."""
    for choice, path, call in _calls(seen):
        if "index" not in call:
            yield wrong(choice.document, (*path, "index"), "the number of the call")


@judge("E8.2", "M", "openai-python 2.54.0 joins what is repeated: call_1call_1", given=calls_have_indexes)
def names_come_once(seen: Capture) -> Iterator[Finding]:
    """The id and the name of a tool call come with its first delta and never again."""
    for (choice, path, call), *later in _by_call(seen):
        if not call.get("id"):
            yield wrong(choice.document, (*path, "id"), "a non-empty string in the first delta")
        if not _part(call).get("name"):
            yield wrong(choice.document, (*path, _kind(call), "name"), "a non-empty string in the first delta")
        for again, place, more in later:
            if more.get("id"):
                yield wrong(again.document, (*place, "id"), "no such key after the first delta")
            if _part(more).get("name"):
                yield wrong(again.document, (*place, _kind(more), "name"), "no such key after the first delta")


@judge("E8.3", "M", "openapi.yaml: arguments in JSON format", given=calls_have_indexes)
def arguments_are_json(seen: Capture) -> Findings:
    """The joined arguments of a function call are one JSON value."""
    functions = [deltas for deltas in _by_call(seen) if _kind(deltas[0][2]) == "function"]
    if not functions:
        yield NotApplicable("the stream has no function call")
    for deltas in functions:
        pieces = [child(call, "function").get("arguments") for _, _, call in deltas]
        odd = next((at for at, piece in enumerate(pieces) if not isinstance(piece, str | None)), None)
        choice, path, _ = deltas[odd or 0]
        joined = "".join(piece or "" for piece in pieces if isinstance(piece, str | None))
        if odd is not None:
            yield wrong(choice.document, (*path, "function", "arguments"), "a string")
        elif parse(joined.encode("utf-8", errors="replace")).problems:
            found = f"arguments, joined: {shorten(joined)}" if joined else "no arguments at all"
            yield Finding("arguments, joined: one JSON value", found, choice.document.offset(path))


@judge(
    "E8.4",
    "M",
    "openapi.yaml: tool_choice required means that the model must call one or more tools",
    given=call_demanded,
)
def required_call_comes(seen: Capture) -> Iterator[Finding]:
    """A tool call that the request leaves no choice about comes."""
    if not _calls(seen):
        came = "none" if seen.status == ANSWERED else f"status {seen.status}"
        yield Finding("a delta with tool_calls", f"{came}: {shorten(seen.body)}", 0)


@judge("E8.5", "M", "openai-python 2.54.0: AssertionError of its stream helper on null", given=calls_have_indexes)
def types_stay(seen: Capture) -> Iterator[Finding]:
    """The type of a tool call is function or custom from its first delta, and the same if it comes again."""
    for (choice, path, call), *later in _by_call(seen):
        if call.get("type") not in KINDS:
            yield wrong(choice.document, (*path, "type"), '"function" or "custom" in the first delta')
        for again, place, more in later:
            if more.get("type", call.get("type")) != call.get("type"):
                yield wrong(again.document, (*place, "type"), f"{format_value(call.get('type'))}, or no such key")


def _kind(call: JsonObject) -> str:
    """Under which key a call has its name."""
    return "custom" if "custom" in call or call.get("type") == "custom" else "function"


def _part(call: JsonObject) -> JsonObject:
    return child(call, _kind(call))


JUDGES = judges_in(globals())
