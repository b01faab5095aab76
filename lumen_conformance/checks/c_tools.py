"""C9: the tool calls of an answer that is not streamed, for targets that support tools."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lumen_conformance.checks.c_choices import is_finish_reason
from lumen_conformance.checks.findings import quote, wrong_value
from lumen_conformance.checks.tool_calls import (
    KINDS,
    ToolCall,
    call_lists,
    demanded_name,
    is_object_text,
    name_not_offered,
    offered_names,
    require_named_call_requested,
    require_plain_call_requested,
    require_plain_calls,
    tool_calls,
)
from lumen_conformance.checks.verdict import Finding, Findings, NotApplicable, NotObserved, judge, judges_in
from lumen_conformance.http.capture import Capture
from lumen_conformance.http.documents import Choice, choices
from lumen_conformance.http.strict_json import format_path
from lumen_conformance.schemas.descriptions import format_value

ANSWERED = 200
# An answer that was cut or blocked has another finish_reason; a client does not run its tool calls.
CUT = ("length", "content_filter")


@judge(
    "C9.1",
    "M",
    "openapi.yaml: tool_choice required means that the model must call one or more tools",
    given=require_plain_call_requested,
)
def required_call_comes(capture: Capture) -> Iterator[Finding]:
    """A plain answer has the tool call that the request requires."""
    odd = [(choice, path) for choice, path, listed in call_lists(capture) if not isinstance(listed, list)]
    for choice, path in odd:
        yield wrong_value(choice.document, path, "a list of tool calls")
    if not odd and not tool_calls(capture):
        yield missing_call(capture, "a message with tool_calls")


@judge(
    "C9.2",
    "M",
    "openapi.yaml: ChatCompletionMessageToolCall requires id; tool_call_id of a result refers to it",
    given=require_plain_calls,
)
def ids_are_own(capture: Capture) -> Iterator[Finding]:
    """Each tool call of a plain answer has an id of its own."""
    earlier: set[str] = set()
    for call in tool_calls(capture):
        found = call.value.get("id")
        if not isinstance(found, str) or not found:
            yield wrong_value(call.choice.document, (*call.path, "id"), "a non-empty string")
        elif found in earlier:
            yield wrong_value(call.choice.document, (*call.path, "id"), "another one than that of an earlier call")
        else:
            earlier.add(found)


@judge("C9.3", "M", "openapi.yaml: ChatCompletionMessageToolCall requires type", given=require_plain_calls)
def types_are_known(capture: Capture) -> Iterator[Finding]:
    """Each tool call of a plain answer has the type function or custom."""
    for call in tool_calls(capture):
        if call.value.get("type") not in KINDS:
            yield wrong_value(call.choice.document, (*call.path, "type"), '"function" or "custom"')


@judge("C9.4", "M", "openapi.yaml: the name of the function to call", given=require_plain_calls)
def names_are_requested(capture: Capture) -> Iterator[Finding]:
    """Each tool call of a plain answer has the name of a tool of the request."""
    for call in tool_calls(capture):
        yield from name_not_offered(capture, call)


@judge(
    "C9.5",
    "M",
    "openapi.yaml: arguments, in JSON format; llama.cpp#20198 sent an object",
    given=require_plain_calls,
)
def arguments_are_json(capture: Capture) -> Findings:
    """The arguments of a function call of a plain answer are a string that contains a JSON object."""
    functions = [call for call in tool_calls(capture) if call.kind == "function"]
    if not functions:
        yield NotApplicable("the answer has no function call")
    for call in functions:
        yield from _wrong_arguments(call)


@judge(
    "C9.6",
    "M",
    "openapi.yaml: tool_calls if the model called a tool; opencode#20719: its loop ends on stop",
    given=require_plain_calls,
)
def finish_is_tool_calls(capture: Capture) -> Findings:
    """The finish_reason of a plain answer with a required tool call is tool_calls."""
    yield from wrong_finish(capture, choices(capture), "C4.3", "C4.4")


@judge(
    "C9.7",
    "M",
    "openapi.yaml: a tool_choice that names a function forces the model to call that function",
    given=require_named_call_requested,
)
def named_tool_is_called(capture: Capture) -> Findings:
    """A plain answer calls the function that the request names, and no other."""
    name = demanded_name(capture)
    if not tool_calls(capture):
        yield missing_call(capture, f"a call of {name}")
    for call in tool_calls(capture):
        if call.part.get("name") not in offered_names(capture):
            yield NotObserved("the request does not offer the function", ("C9.4",))
        elif call.part.get("name") != name:
            yield wrong_value(call.choice.document, (*call.path, call.kind, "name"), format_value(name))


def missing_call(capture: Capture, expected: str) -> Finding:
    """The finding that a required tool call does not come."""
    if capture.status is None:
        return Finding(expected, f"no response: {capture.ended}", 0)
    received = "no tool call" if capture.status == ANSWERED else f"status {capture.status}"
    return Finding(expected, f"{received}: {quote(capture.body)}", 0)


def wrong_finish(capture: Capture, ends: Iterable[Choice], unknown_check: str, missing_check: str) -> Findings:
    """A finding for each finish_reason that is not tool_calls; other checks report a missing or an unknown one."""
    if demanded_name(capture):
        yield NotApplicable("the request names a function: OpenAI sends stop (vllm-project/vllm#25054)")
        return
    for choice in ends:
        reason = choice.value.get("finish_reason")
        if not is_finish_reason(reason):
            check = missing_check if reason is None else unknown_check
            yield NotObserved("a finish_reason is missing or unknown", (check,))
        elif reason not in ("tool_calls", *CUT):
            yield wrong_value(choice.document, (*choice.path, "finish_reason"), '"tool_calls"')


def _wrong_arguments(call: ToolCall) -> Iterator[Finding]:
    path, text = (*call.path, "function", "arguments"), call.arguments
    if not isinstance(text, str):
        yield wrong_value(call.choice.document, path, "a string that contains a JSON object")
    elif not is_object_text(text):
        found = f"arguments: {quote(text)}" if text else "empty arguments"
        yield Finding("arguments: a JSON object", found, call.choice.document.offset(path), format_path(path))


JUDGES = judges_in(globals())
