"""E8: tool calls in a stream, for targets that support tools."""

from collections import defaultdict
from collections.abc import Iterator

from lumen_conformance.checks.findings import child_object, quote, wrong_value
from lumen_conformance.checks.preconditions import require_response, require_stream_chunks, requires_tool_call
from lumen_conformance.checks.verdict import Finding, Findings, NotApplicable, NotObserved, Unjudged, judge, judges_in
from lumen_conformance.http.capture import Capture
from lumen_conformance.http.documents import Choice, JsonObject, cached_on_capture, choices_by_index
from lumen_conformance.http.strict_json import Path, parse
from lumen_conformance.schemas.descriptions import format_value

Call = tuple[Choice, Path, JsonObject]
KINDS = ("function", "custom")
ANSWERED = 200


@cached_on_capture
def _calls(capture: Capture) -> list[Call]:
    """Each delta of a tool call, with its choice and path."""
    found: list[Call] = []
    for choices in choices_by_index(capture).values():
        for choice in choices:
            listed = choice.delta.get("tool_calls")
            for position, call in enumerate(listed if isinstance(listed, list) else []):
                if isinstance(call, dict):
                    found.append((choice, (*choice.path, "delta", "tool_calls", position), call))
    return found


@cached_on_capture
def _by_call(capture: Capture) -> list[list[Call]]:
    found: dict[object, list[Call]] = defaultdict(list)
    for each in _calls(capture):
        found[str((each[0].value.get("index"), each[2].get("index")))].append(each)
    return list(found.values())


def require_tool_call_requested(capture: Capture) -> Unjudged | None:
    """The request requires a tool call; if the status is 200, the stream has chunks with choices."""
    if not requires_tool_call(capture):
        return NotApplicable("the request does not require a tool call")
    return require_stream_chunks(capture) if capture.status == ANSWERED else require_response(capture)


def require_tool_calls(capture: Capture) -> Unjudged | None:
    """The stream has tool calls."""
    if missing := require_stream_chunks(capture):
        return missing
    if _calls(capture):
        return None
    return (
        NotObserved("the stream has no tool call", ("E8.4",))
        if requires_tool_call(capture)
        else require_tool_call_requested(capture)
    )


def require_tool_call_indexes(capture: Capture) -> Unjudged | None:
    """The stream has tool calls, and each of their deltas has an index."""
    if missing := require_tool_calls(capture):
        return missing
    indexed = all("index" in call for _, _, call in _calls(capture))
    return None if indexed else NotObserved("deltas of tool calls have no index", ("E8.1",))


@judge("E8.1", "M", "openapi.yaml: ChatCompletionMessageToolCallChunk requires index", given=require_tool_calls)
def calls_have_an_index(capture: Capture) -> Iterator[Finding]:
    """Every delta of a tool call has an index."""
    for choice, path, call in _calls(capture):
        if "index" not in call:
            yield wrong_value(choice.document, (*path, "index"), "the number of the call")


@judge("E8.2", "M", "openai-python 2.54.0 concatenates repeated values: call_1call_1", given=require_tool_call_indexes)
def names_come_once(capture: Capture) -> Iterator[Finding]:
    """Only the first delta of a tool call has its id and its name."""
    for (choice, path, call), *later in _by_call(capture):
        if not call.get("id"):
            yield wrong_value(choice.document, (*path, "id"), "a non-empty string in the first delta")
        if not _part(call).get("name"):
            yield wrong_value(choice.document, (*path, _kind(call), "name"), "a non-empty string in the first delta")
        for again, place, more in later:
            if more.get("id"):
                yield wrong_value(again.document, (*place, "id"), "no such key after the first delta")
            if _part(more).get("name"):
                yield wrong_value(again.document, (*place, _kind(more), "name"), "no such key after the first delta")


@judge("E8.3", "M", "openapi.yaml: arguments in JSON format", given=require_tool_call_indexes)
def arguments_are_json(capture: Capture) -> Findings:
    """The joined arguments of a function call are one JSON value."""
    functions = [deltas for deltas in _by_call(capture) if _kind(deltas[0][2]) == "function"]
    if not functions:
        yield NotApplicable("the stream has no function call")
    for deltas in functions:
        pieces = [child_object(call, "function").get("arguments") for _, _, call in deltas]
        odd = next((at for at, piece in enumerate(pieces) if not isinstance(piece, str | None)), None)
        choice, path, _ = deltas[odd or 0]
        joined = "".join(piece or "" for piece in pieces if isinstance(piece, str | None))
        if odd is not None:
            yield wrong_value(choice.document, (*path, "function", "arguments"), "a string")
        elif parse(joined.encode("utf-8", errors="replace")).problems:
            found = f"arguments, joined: {quote(joined)}" if joined else "no arguments"
            yield Finding("arguments, joined: one JSON value", found, choice.document.offset(path))


@judge(
    "E8.4",
    "M",
    "openapi.yaml: tool_choice required means that the model must call one or more tools",
    given=require_tool_call_requested,
)
def required_call_comes(capture: Capture) -> Iterator[Finding]:
    """A stream has the tool call that the request requires."""
    if not _calls(capture):
        received = "none" if capture.status == ANSWERED else f"status {capture.status}"
        yield Finding("a delta with tool_calls", f"{received}: {quote(capture.body)}", 0)


@judge(
    "E8.5", "M", "openai-python 2.54.0: AssertionError of its stream helper on null", given=require_tool_call_indexes
)
def types_stay(capture: Capture) -> Iterator[Finding]:
    """The first delta of a tool call has the type function or custom, and no later delta has another type."""
    for (choice, path, call), *later in _by_call(capture):
        if call.get("type") not in KINDS:
            yield wrong_value(choice.document, (*path, "type"), '"function" or "custom" in the first delta')
        for again, place, more in later:
            if more.get("type", call.get("type")) != call.get("type"):
                yield wrong_value(again.document, (*place, "type"), f"{format_value(call.get('type'))}, or no such key")


def _kind(call: JsonObject) -> str:
    """The key that contains the name of a call."""
    return "custom" if "custom" in call or call.get("type") == "custom" else "function"


def _part(call: JsonObject) -> JsonObject:
    return child_object(call, _kind(call))


JUDGES = judges_in(globals())
