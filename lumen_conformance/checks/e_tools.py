"""E8: tool calls in a stream, for targets that support tools."""

from collections import defaultdict
from collections.abc import Iterator

from lumen_conformance.checks.c_tools import missing_call, wrong_finish
from lumen_conformance.checks.findings import quote, wrong_value
from lumen_conformance.checks.preconditions import require_stream_finish
from lumen_conformance.checks.tool_calls import (
    KINDS,
    ToolCall,
    deltas_by_call,
    deltas_of_another_call,
    deltas_of_functions,
    has_parameters,
    is_object_text,
    name_not_offered,
    require_call_indexes,
    require_own_indexes,
    require_streamed_call_requested,
    require_streamed_calls,
    require_streamed_functions,
    require_streamed_text,
    tool_calls,
)
from lumen_conformance.checks.verdict import Finding, Findings, NotApplicable, NotObserved, Unjudged, judge, judges_in
from lumen_conformance.http.capture import Capture
from lumen_conformance.http.documents import choices
from lumen_conformance.http.strict_json import is_count
from lumen_conformance.schemas.descriptions import format_value

SEVERAL = 2


def require_tool_finish(capture: Capture) -> Unjudged | None:
    """The stream has tool calls and a finish_reason."""
    return require_streamed_calls(capture) or require_stream_finish(capture)


@judge("E8.1", "M", "openapi.yaml: ChatCompletionMessageToolCallChunk requires index", given=require_streamed_calls)
def calls_have_an_index(capture: Capture) -> Iterator[Finding]:
    """Every delta of a tool call has an index."""
    for each in tool_calls(capture):
        if not is_count(each.value.get("index")):
            yield wrong_value(each.choice.document, (*each.path, "index"), "the number of the call, from 0")


@judge("E8.2", "M", "openai-python 2.54.0 concatenates repeated values: call_1call_1", given=require_own_indexes)
def names_come_once(capture: Capture) -> Iterator[Finding]:
    """Only the first delta of a tool call has its id and its name."""
    for first, *later in deltas_by_call(capture):
        document = first.choice.document
        if not first.value.get("id"):
            yield wrong_value(document, (*first.path, "id"), "a non-empty string in the first delta")
        if not first.part.get("name"):
            yield wrong_value(document, (*first.path, first.kind, "name"), "a non-empty string in the first delta")
        for each in later:
            if each.value.get("id"):
                yield wrong_value(each.choice.document, (*each.path, "id"), "no such key after the first delta")
            if each.part.get("name"):
                path = (*each.path, each.kind, "name")
                yield wrong_value(each.choice.document, path, "no such key after the first delta")


@judge("E8.3", "M", "openapi.yaml: arguments, a string", given=require_streamed_functions)
def arguments_are_text(capture: Capture) -> Iterator[Finding]:
    """Each part of the arguments of a function call in a stream is a string."""
    for deltas in deltas_of_functions(capture):
        for each in deltas:
            if not isinstance(each.arguments, str | None):
                yield wrong_value(each.choice.document, (*each.path, "function", "arguments"), "a string")
                break


@judge(
    "E8.4",
    "M",
    "openapi.yaml: tool_choice required means that the model must call one or more tools",
    given=require_streamed_call_requested,
)
def required_call_comes(capture: Capture) -> Iterator[Finding]:
    """A stream has the tool call that the request requires."""
    if not tool_calls(capture):
        yield missing_call(capture, "a delta with tool_calls")


@judge("E8.5", "M", "openai-python 2.54.0: AssertionError of its stream helper on null", given=require_own_indexes)
def types_stay(capture: Capture) -> Iterator[Finding]:
    """The first delta of a tool call has the type function or custom, and no later delta has another type."""
    for first, *later in deltas_by_call(capture):
        kind = first.value.get("type")
        if kind not in KINDS:
            yield wrong_value(first.choice.document, (*first.path, "type"), '"function" or "custom" in the first delta')
        for each in later:
            if each.value.get("type", kind) != kind:
                expected = f"{format_value(kind)}, or no such key"
                yield wrong_value(each.choice.document, (*each.path, "type"), expected)


@judge(
    "E8.6",
    "S",
    "openapi.yaml: tool_calls if the model called a tool; old models of OpenAI send stop (Mirascope/mirascope#257)",
    given=require_tool_finish,
)
def finish_is_tool_calls(capture: Capture) -> Findings:
    """The finish_reason of a stream with a required tool call is tool_calls."""
    ends = [choice for choice in choices(capture) if choice.value.get("finish_reason")]
    yield from wrong_finish(capture, ends, "E3.2", "E3.3")


@judge(
    "E8.7",
    "S",
    "recorded streams of api.openai.com omit both; Effect-TS/effect-smol#2338 lost arguments on null",
    given=require_own_indexes,
)
def names_stay(capture: Capture) -> Iterator[Finding]:
    """No later delta of a tool call has an id or a name that is null or empty."""
    for _first, *later in deltas_by_call(capture):
        for each in later:
            for path, holder in (((), each.value), ((each.kind,), each.part)):
                key = "name" if path else "id"
                if key in holder and not holder[key]:
                    place = (*each.path, *path, key)
                    yield wrong_value(each.choice.document, place, "no such key after the first delta")


@judge(
    "E8.8",
    "M",
    "ai-dynamo/dynamo#4723: clients that join deltas by index merged two calls into one",
    given=require_call_indexes,
)
def calls_keep_their_index(capture: Capture) -> Iterator[Finding]:
    """Each tool call of a stream has an index of its own."""
    for first, each in deltas_of_another_call(capture):
        expected = f"another number than {format_value(first.value.get('index'))}, the index of the call before"
        path = (*each.path, "index")
        id_text = format_value(each.value.get("id"))
        found = f"index is {format_value(each.value.get('index'))} again, with the id {id_text} of another call"
        yield Finding(f"index: {expected}", found, each.choice.document.offset(path))


@judge(
    "E8.9",
    "M",
    "openapi.yaml: tool_call_id, the tool call that this message is responding to",
    given=require_own_indexes,
)
def ids_are_own(capture: Capture) -> Findings:
    """No two tool calls of a stream have the same id."""
    first_deltas = [deltas[0] for deltas in deltas_by_call(capture)]
    if len(first_deltas) < SEVERAL:
        yield NotApplicable("the stream has one tool call")
    earlier: list[object] = []
    for each in first_deltas:
        if each.value.get("id") and each.value["id"] in earlier:
            expected = "another one than that of an earlier call"
            yield wrong_value(each.choice.document, (*each.path, "id"), expected)
        earlier.append(each.value.get("id"))


@judge(
    "E8.10",
    "M",
    "openai-python 2.54.0 raises IndexError; BerriAI/litellm#32759: openai-go drops a call that is numbered from 1",
    given=require_own_indexes,
)
def calls_are_numbered(capture: Capture) -> Iterator[Finding]:
    """The indexes of the tool calls of a choice are 0, 1, and so on, in the order in which the calls begin."""
    by_choice: dict[str, list[ToolCall]] = defaultdict(list)
    for first, *_ in deltas_by_call(capture):
        by_choice[str(first.choice.value.get("index"))].append(first)
    for firsts in by_choice.values():
        found = [each.value["index"] for each in firsts]
        if found != list(range(len(firsts))):
            expected = f"indexes of the tool calls: {format_value(list(range(len(firsts))))}"
            at = firsts[0].choice.document.offset((*firsts[0].path, "index"))
            yield Finding(expected, f"indexes of the tool calls: {format_value(found)}", at)


@judge("E8.11", "M", "openapi.yaml: the name of the function to call", given=require_own_indexes)
def names_are_requested(capture: Capture) -> Findings:
    """Each tool call of a stream has the name of a tool of the request."""
    for deltas in deltas_by_call(capture):
        named = next((each for each in deltas if each.part.get("name")), None)
        if named is None:
            yield NotObserved("a tool call has no name", ("E8.2",))
        else:
            yield from name_not_offered(capture, named)


@judge(
    "E8.12",
    "S",
    "openapi.yaml: arguments in JSON format; the model does not always generate valid JSON",
    given=require_streamed_text,
)
def arguments_are_json(capture: Capture) -> Iterator[Finding]:
    """The joined arguments of a function call in a stream are a JSON object; without parameters they may be empty."""
    for deltas in deltas_of_functions(capture):
        joined = "".join(str(each.arguments or "") for each in deltas)
        if not is_object_text(joined) and (joined or has_parameters(capture, deltas[0])):
            found = f"arguments, joined: {quote(joined)}" if joined else "no arguments"
            at = deltas[0].choice.document.offset(deltas[0].path)
            yield Finding("arguments, joined: a JSON object", found, at)


JUDGES = judges_in(globals())
