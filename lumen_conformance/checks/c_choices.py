"""C3, C4: the number of choices, and the message and the finish_reason of each choice; C6: its optional keys."""

from collections.abc import Iterator, Sequence

from lumen_conformance.checks.findings import child_object, plain_document, wrong_value
from lumen_conformance.checks.preconditions import require_choices, require_messages, require_several_requested
from lumen_conformance.checks.verdict import Finding, judge, judges_in
from lumen_conformance.http.capture import Capture
from lumen_conformance.http.documents import Choice, choices, choices_by_index, is_stream, request_json
from lumen_conformance.http.strict_json import Path
from lumen_conformance.schemas.descriptions import format_value

FINISH_REASONS = {"stop", "length", "tool_calls", "content_filter", "function_call"}
FINISH_REASON_TEXT = f"one of {', '.join(sorted(FINISH_REASONS))}"
INCOMPLETE_REASONS = ("length", "content_filter")
"""The finish_reason of an answer that was cut or blocked: its JSON and its tool calls may be incomplete."""
UNSUPPORTED = 400


def is_finish_reason(value: object) -> bool:
    """Whether a value is one of the five values of OpenAI's schema."""
    return isinstance(value, str) and value in FINISH_REASONS


@judge("C3.1", "S", "openapi.yaml: choices[].index", given=require_choices)
def choices_are_numbered(capture: Capture) -> Iterator[Finding]:
    """There are n choices, numbered from 0."""
    wanted = list(range(_asked_n(capture)))
    found = [choice.value.get("index") for choice in choices(capture)]
    if found != wanted:
        at = plain_document(capture).offset(("choices",))
        yield Finding(_indexed(wanted), _indexed(found), at, "$.choices")


@judge("C3.2", "M", "abetlen/llama-cpp-python#1906", given=require_several_requested)
def n_not_ignored(capture: Capture) -> Iterator[Finding]:
    """A request for more choices than the server supports gets status 400, not fewer choices."""
    wanted = _asked_n(capture)
    if capture.status != UNSUPPORTED and not _all_given(capture, wanted):
        yield Finding(f"status 400, or status 200 and {_indexed(range(wanted))}", _given_text(capture), 0)


@judge("C3.3", "M", "openapi.yaml: n, how many choices to generate", given=require_several_requested)
def n_is_given(capture: Capture) -> Iterator[Finding]:
    """A server that supports several choices returns as many as requested, numbered from 0."""
    wanted = _asked_n(capture)
    if not _all_given(capture, wanted):
        yield Finding(f"status 200 and {_indexed(range(wanted))}", _given_text(capture), 0)


@judge(
    "C4.1",
    "M",
    "langchain-openai, pydantic-ai and openai-python's strict mode raise without it",
    given=require_messages,
)
def role_assistant(capture: Capture) -> Iterator[Finding]:
    """The role of every message is assistant."""
    for choice, path in _messages(capture, "role"):
        if child_object(choice.value, "message").get("role") != "assistant":
            yield wrong_value(choice.document, path, '"assistant"')


@judge("C4.2", "M", "openapi.yaml: content; LiteLLM and pydantic-ai raise on a list of parts", given=require_messages)
def content_is_text(capture: Capture) -> Iterator[Finding]:
    """The content of a message, if present, is a string or null."""
    for choice, path in _messages(capture, "content"):
        if not isinstance(child_object(choice.value, "message").get("content"), str | None):
            yield wrong_value(choice.document, path, "a string or null")


@judge("C4.3", "M", "openapi.yaml:33507; pydantic-ai raises on other values", given=require_choices)
def finish_reason_known(capture: Capture) -> Iterator[Finding]:
    """Every finish_reason of a plain answer that is not null is one of the five values of OpenAI's schema."""
    for choice in choices(capture):
        reason = choice.value.get("finish_reason")
        if reason is not None and not is_finish_reason(reason):
            yield wrong_value(choice.document, (*choice.path, "finish_reason"), FINISH_REASON_TEXT)


@judge("C4.4", "S", "openapi.yaml:33507; no client depends on it", given=require_choices)
def finish_reason_present(capture: Capture) -> Iterator[Finding]:
    """Every choice of a plain answer has a finish_reason that is not null."""
    for choice in choices(capture):
        if choice.value.get("finish_reason") is None:
            yield wrong_value(choice.document, (*choice.path, "finish_reason"), FINISH_REASON_TEXT)


@judge(
    "C4.5",
    "S",
    "openapi.yaml requires it; ml-explore/mlx-lm#1738 omitted it; no client depends on it",
    given=require_messages,
)
def content_present(capture: Capture) -> Iterator[Finding]:
    """Every message has the key content, also with a tool call."""
    for choice, path in _messages(capture, "content"):
        if "content" not in child_object(choice.value, "message"):
            yield wrong_value(choice.document, path, "a string or null")


@judge("C6.1", "M", "vllm-project/vllm#44105", given=require_messages)
def no_empty_tool_calls(capture: Capture) -> Iterator[Finding]:
    """No message has an empty list of tool calls."""
    for choice, path in _messages(capture, "tool_calls"):
        if child_object(choice.value, "message").get("tool_calls") == []:
            yield wrong_value(choice.document, path, "at least one call, or no such key")


@judge("C6.2", "S", "recorded answers of api.openai.com omit it", given=require_messages)
def no_null_tool_calls(capture: Capture) -> Iterator[Finding]:
    """No message has tool_calls: null."""
    for choice, path in _messages(capture, "tool_calls"):
        if child_object(choice.value, "message").get("tool_calls", 0) is None:
            yield wrong_value(choice.document, path, "at least one call, or no such key")


@judge(
    "C6.3",
    "S",
    "openapi.yaml requires it; all recorded answers of api.openai.com have it; CopilotKit/aimock#33 omitted it",
    given=require_messages,
)
def refusal_present(capture: Capture) -> Iterator[Finding]:
    """Every message has the key refusal."""
    for choice, path in _messages(capture, "refusal"):
        if "refusal" not in child_object(choice.value, "message"):
            yield wrong_value(choice.document, path, "a string or null")


@judge("C6.4", "W", "openapi.yaml requires it; no recorded answer of api.openai.com has it", given=require_choices)
def logprobs_present(capture: Capture) -> Iterator[Finding]:
    """Every choice has the key logprobs."""
    for choice in choices(capture):
        if "logprobs" not in choice.value:
            yield wrong_value(choice.document, (*choice.path, "logprobs"), "an object or null")


def _messages(capture: Capture, key: str) -> Iterator[tuple[Choice, Path]]:
    """Each choice, with the path of a key of its message."""
    for choice in choices(capture):
        yield choice, (*choice.path, "message", key)


def _asked_n(capture: Capture) -> int:
    wanted = request_json(capture).get("n")
    return wanted if isinstance(wanted, int) and wanted > 0 else 1


def _given(capture: Capture) -> list[str]:
    """The indexes of the choices, sorted."""
    plain = [f"{choice.value.get('index')}" for choice in choices(capture)]
    return sorted(choices_by_index(capture) if is_stream(capture) else plain)


def _given_text(capture: Capture) -> str:
    if capture.status != 200:
        return f"no response: {capture.ended}" if capture.status is None else f"status {capture.status}"
    return f"status 200 and {_indexed(_given(capture))}"


def _indexed(indexes: Sequence[object]) -> str:
    """Describe choices by their number and indexes."""
    if len(indexes) == 1:
        return f"1 choice, with the index {_shown(indexes[0])}"
    named = f", with the indexes {', '.join(map(_shown, indexes))}" if indexes else ""
    return f"{len(indexes) or 'no'} choices{named}"


def _shown(index: object) -> str:
    return index if isinstance(index, str) else format_value(index)


def _all_given(capture: Capture, wanted: int) -> bool:
    return capture.status == 200 and _given(capture) == sorted(str(number) for number in range(wanted))


JUDGES = judges_in(globals())
