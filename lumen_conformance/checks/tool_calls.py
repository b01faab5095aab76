"""Tool calls of plain answers and of streams: their parts, and the preconditions of claims about them.

A delta of a stream has a part of a call; the deltas of one call have the same choice and the same index.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from lumen_conformance.checks.findings import child_object, wrong_value
from lumen_conformance.checks.preconditions import (
    check_of_tool_call,
    require_messages,
    require_stream_chunks,
    requires_tool_call,
)
from lumen_conformance.checks.verdict import Finding, NotApplicable, NotObserved, Unjudged
from lumen_conformance.http.capture import Capture
from lumen_conformance.http.documents import (
    Choice,
    JsonObject,
    cached_on_capture,
    choices,
    choices_by_index,
    is_stream,
    request_json,
    requests_stream,
)
from lumen_conformance.http.strict_json import Path, is_count, parse

KINDS = ("function", "custom")
ARGUMENT_KEYS = {"function": "arguments", "custom": "input"}


@dataclass(frozen=True)
class ToolCall:
    """One tool call of a plain answer, or one delta of a tool call, with its place."""

    choice: Choice
    path: Path
    value: JsonObject

    @property
    def kind(self) -> str:
        """The key that contains the name."""
        return "custom" if "custom" in self.value or self.value.get("type") == "custom" else "function"

    @property
    def part(self) -> JsonObject:
        """The object that contains the name and the arguments; empty when it is not an object."""
        return child_object(self.value, self.kind)

    @property
    def arguments(self) -> object:
        """The arguments of a function, or the input of a custom tool; None when there are none."""
        return self.part.get(ARGUMENT_KEYS[self.kind])


@dataclass(frozen=True)
class CompleteCall:
    """A tool call as a client reads it: of a plain answer, or joined from the deltas of a stream."""

    name: str
    arguments: str


def call_lists(capture: Capture) -> Iterator[tuple[Choice, Path, object]]:
    """Each value of ``tool_calls`` that is not null, with its place; it should be a list."""
    holder = "delta" if is_stream(capture) else "message"
    streamed = (choice for each in choices_by_index(capture).values() for choice in each)
    for choice in streamed if is_stream(capture) else choices(capture):
        if (listed := child_object(choice.value, holder).get("tool_calls")) is not None:
            yield choice, (*choice.path, holder, "tool_calls"), listed


@cached_on_capture
def tool_calls(capture: Capture) -> tuple[ToolCall, ...]:
    """The tool calls of a plain answer, or the deltas of all tool calls of a stream, in order."""
    return tuple(
        ToolCall(choice, (*path, position), value)
        for choice, path, listed in call_lists(capture)
        for position, value in enumerate(listed if isinstance(listed, list) else [])
        if isinstance(value, dict)
    )


@cached_on_capture
def deltas_by_call(capture: Capture) -> list[list[ToolCall]]:
    """The deltas of each tool call of a stream."""
    found: dict[object, list[ToolCall]] = defaultdict(list)
    for each in tool_calls(capture):
        found[str((each.choice.value.get("index"), each.value.get("index")))].append(each)
    return list(found.values())


def complete_calls(capture: Capture) -> list[CompleteCall]:
    """The tool calls as a client reads them; a value of a wrong type counts as an empty text."""
    groups = deltas_by_call(capture) if is_stream(capture) else [[each] for each in tool_calls(capture)]
    return [
        CompleteCall(
            "".join(text for each in group if isinstance(text := each.part.get("name"), str)),
            "".join(text for each in group if isinstance(text := each.arguments, str)),
        )
        for group in groups
    ]


def function_calls(capture: Capture) -> list[ToolCall]:
    """The calls of functions in a plain answer."""
    return [call for call in tool_calls(capture) if call.kind == "function"]


def deltas_of_functions(capture: Capture) -> list[list[ToolCall]]:
    """The deltas of each call of a function in a stream."""
    return [deltas for deltas in deltas_by_call(capture) if deltas[0].kind == "function"]


def has_parameters(capture: Capture, call: ToolCall) -> bool:
    """Whether the function of a call takes arguments; one that the request does not offer may take some."""
    tools = request_json(capture).get("tools")
    offered = [tool for tool in tools if _name_of(tool) == call.part.get("name")] if isinstance(tools, list) else []
    found = (child_object(child_object(tool, "function"), "parameters") for tool in offered)
    return not offered or any(parameters.get("properties") for parameters in found)


def offered_names(capture: Capture) -> list[str]:
    """The names of the tools of the request."""
    tools = request_json(capture).get("tools")
    return [_name_of(tool) for tool in tools] if isinstance(tools, list) else []


def is_object_text(text: str) -> bool:
    """Whether arguments are the text of a JSON object: a client passes its members to the function."""
    document = parse(text.encode("utf-8", errors="replace"))
    return not document.problems and isinstance(document.value, dict)


def name_not_offered(capture: Capture, call: ToolCall) -> Iterator[Finding]:
    """A finding if the request offers no tool with the name of this call."""
    if call.part.get("name") not in (names := offered_names(capture)):
        expected = f"one of the tools of the request: {', '.join(names)}"
        yield wrong_value(call.choice.document, (*call.path, call.kind, "name"), expected)


def demanded_name(capture: Capture) -> str:
    """The name of the tool that the request names; empty when it names none."""
    return _name_of(request_json(capture).get("tool_choice"))


def _name_of(tool: object) -> str:
    names = (child_object(tool, kind).get("name") for kind in KINDS)
    return next((name for name in names if isinstance(name, str)), "")


def require_plain_call_requested(capture: Capture) -> Unjudged | None:
    """The request requires a tool call, any one, and asks for no stream."""
    any_one = requires_tool_call(capture) and not demanded_name(capture) and not requests_stream(capture)
    return None if any_one else NotApplicable("the request does not require a tool call")


def require_named_call_requested(capture: Capture) -> Unjudged | None:
    """The request requires the call of the tool that it names, and asks for no stream."""
    named = demanded_name(capture) and not requests_stream(capture)
    return None if named else NotApplicable("the request does not name a tool that must be called")


def require_plain_calls(capture: Capture) -> Unjudged | None:
    """The plain answer has tool calls."""
    if missing := require_messages(capture):
        return missing
    if tool_calls(capture):
        return None
    if requires_tool_call(capture):
        return NotObserved("the answer has no tool call", (check_of_tool_call(capture),))
    return NotApplicable("the request does not require a tool call")


def require_function_calls(capture: Capture) -> Unjudged | None:
    """The plain answer has calls of functions."""
    if missing := require_plain_calls(capture):
        return missing
    return None if function_calls(capture) else NotApplicable("the answer has no function call")


def require_text_arguments(capture: Capture) -> Unjudged | None:
    """The plain answer has calls of functions, whose arguments are strings."""
    if missing := require_function_calls(capture):
        return missing
    texts = all(isinstance(call.arguments, str) for call in function_calls(capture))
    return None if texts else NotObserved("arguments are no string", ("C9.5",))


def require_streamed_call_requested(capture: Capture) -> Unjudged | None:
    """The request requires a tool call; if the status is 200, the stream has chunks, and lists of tool calls."""
    if not requires_tool_call(capture):
        return NotApplicable("the request does not require a tool call")
    return require_call_lists(capture) if is_stream(capture) else None


def require_call_lists(capture: Capture) -> Unjudged | None:
    """The stream has chunks with choices, and each ``tool_calls`` in them is a list."""
    if missing := require_stream_chunks(capture):
        return missing
    listed = all(isinstance(listed, list) for _, _, listed in call_lists(capture))
    return None if listed else NotObserved("the tool calls are not a list", ("E1.1",))


def require_streamed_calls(capture: Capture) -> Unjudged | None:
    """The stream has tool calls."""
    if missing := require_call_lists(capture):
        return missing
    if tool_calls(capture):
        return None
    if requires_tool_call(capture):
        return NotObserved("the stream has no tool call", (check_of_tool_call(capture),))
    return NotApplicable("the request does not require a tool call")


def require_call_indexes(capture: Capture) -> Unjudged | None:
    """The stream has tool calls, and each of their deltas has an index."""
    if missing := require_streamed_calls(capture):
        return missing
    indexed = all(is_count(each.value.get("index")) for each in tool_calls(capture))
    return None if indexed else NotObserved("deltas of tool calls have no index", ("E8.1",))


def require_own_indexes(capture: Capture) -> Unjudged | None:
    """Each tool call of the stream has an index of its own; see `require_call_indexes`."""
    if missing := require_call_indexes(capture):
        return missing
    return NotObserved("two tool calls have one index", ("E8.8",)) if deltas_of_another_call(capture) else None


def require_streamed_functions(capture: Capture) -> Unjudged | None:
    """The stream has calls of functions; see `require_own_indexes`."""
    if missing := require_own_indexes(capture):
        return missing
    return None if deltas_of_functions(capture) else NotApplicable("the stream has no function call")


def require_streamed_text(capture: Capture) -> Unjudged | None:
    """The stream has calls of functions, and the parts of their arguments are strings."""
    if missing := require_streamed_functions(capture):
        return missing
    pieces = (each.arguments for deltas in deltas_of_functions(capture) for each in deltas)
    texts = all(isinstance(piece, str | None) for piece in pieces)
    return None if texts else NotObserved("arguments are no string", ("E8.3",))


def deltas_of_another_call(capture: Capture) -> list[tuple[ToolCall, ToolCall]]:
    """The deltas whose id differs from the id of an earlier delta with the same index, after that delta."""
    found = []
    for first, *later in deltas_by_call(capture):
        known = first.value.get("id")
        found += [(first, each) for each in later if known and each.value.get("id") not in (None, "", known)]
    return found
