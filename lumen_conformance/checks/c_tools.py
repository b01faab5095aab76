"""C9: the tool calls of an answer that is not streamed, for targets that support tools."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lumen_conformance.checks.c_choices import INCOMPLETE_REASONS, is_finish_reason
from lumen_conformance.checks.findings import quote, wrong_value
from lumen_conformance.checks.tool_calls import (
    KINDS,
    call_lists,
    demanded_name,
    function_calls,
    has_parameters,
    is_object_text,
    name_not_offered,
    offered_names,
    require_function_calls,
    require_named_call_requested,
    require_plain_call_requested,
    require_plain_calls,
    require_text_arguments,
    tool_calls,
)
from lumen_conformance.checks.verdict import Finding, Findings, NotApplicable, NotObserved, judge, judges_in
from lumen_conformance.http.capture import Capture
from lumen_conformance.http.documents import Choice, choices
from lumen_conformance.http.strict_json import format_path
from lumen_conformance.schemas.descriptions import format_value

ANSWERED = 200


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
    "openapi.yaml: arguments, a string; ggml-org/llama.cpp#20198 sent an object",
    given=require_function_calls,
)
def arguments_are_text(capture: Capture) -> Iterator[Finding]:
    """The arguments of a function call of a plain answer are a string."""
    for call in function_calls(capture):
        if not isinstance(call.arguments, str):
            yield wrong_value(call.choice.document, (*call.path, "function", "arguments"), "a string")


@judge(
    "C9.6",
    "S",
    "openapi.yaml: tool_calls if the model called a tool; old models of OpenAI send stop (Mirascope/mirascope#257)",
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


@judge(
    "C9.8",
    "S",
    "openapi.yaml: arguments in JSON format; the model does not always generate valid JSON",
    given=require_text_arguments,
)
def arguments_are_json(capture: Capture) -> Iterator[Finding]:
    """The arguments of a function call of a plain answer are a JSON object; without parameters they may be empty."""
    for call in function_calls(capture):
        text, path = str(call.arguments), (*call.path, "function", "arguments")
        if not is_object_text(text) and (text or has_parameters(capture, call)):
            found = f"arguments: {quote(text)}" if text else "empty arguments"
            yield Finding("arguments: a JSON object", found, call.choice.document.offset(path), format_path(path))


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
        elif reason not in ("tool_calls", *INCOMPLETE_REASONS):
            yield wrong_value(choice.document, (*choice.path, "finish_reason"), '"tool_calls"')


JUDGES = judges_in(globals())
