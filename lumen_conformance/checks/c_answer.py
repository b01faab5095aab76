"""C: one chat completion, not streamed."""

import re
from collections.abc import Iterator, Sequence

from lumen_conformance.checks.findings import child, fits_schema, fits_wire, has_type, incomplete, whole, wrong
from lumen_conformance.checks.preconditions import (
    COUNTS,
    answered,
    plain_choices,
    plain_json,
    plain_messages,
    plain_object,
    plain_usage,
    plain_words,
    responded,
    several_asked,
)
from lumen_conformance.checks.verdict import Finding, Findings, NotSeen, judge, judges_in
from lumen_conformance.http.capture import Capture
from lumen_conformance.http.documents import Choice, answer, by_index, choices, is_stream, request_of
from lumen_conformance.http.strict_json import Path, is_whole
from lumen_conformance.schemas.compiler import Breach
from lumen_conformance.schemas.descriptions import format_value

FINISH_REASONS = {"stop", "length", "tool_calls", "content_filter", "function_call"}
FINISH_WORDS = f"one of {', '.join(sorted(FINISH_REASONS))}"
UNSUPPORTED = 400
NOT_FOUND = 404
UNKNOWN_MODEL = "model_not_found"  # the code of OpenAI's error
TOLD_ELSEWHERE: dict[Path, str] = {  # the place of a breach, and the check that tells it
    ("id",): "C2.1",
    ("object",): "C2.2",
    ("created",): "B2.1",
    ("model",): "C2.3",
    ("choices",): "C2.4",
    ("choices", "*", "index"): "C3.1",
    ("choices", "*", "message", "role"): "C4.1",
    ("choices", "*", "message", "content"): "C4.2",
    ("choices", "*", "finish_reason"): "C4.3",
    ("usage",): "C5.1",
    **{("usage", name): "C5.1" for name in COUNTS},
}


def is_finish_reason(value: object) -> bool:
    """Whether a value is one of the five words."""
    return isinstance(value, str) and value in FINISH_REASONS


@judge("C1.1", "M", "RFC 9110, 15.3.1")
def status_200(seen: Capture) -> Iterator[Finding]:
    """A chat request is answered with status 200."""
    if seen.status != 200:
        came = "no response" if seen.status is None else f"status {seen.status}"
        yield Finding("status 200", f"{came}, {seen.ended}{_ask_model(seen)}", 0)


def _ask_model(seen: Capture) -> str:
    """A question about the option, where a 404 tells of the model that was asked for."""
    model = str(request_of(seen).get("model") or UNKNOWN_MODEL)
    told = any(re.search(rf"(?<!\w){re.escape(word)}(?!\w)", seen.text) for word in (model, UNKNOWN_MODEL))
    return "; is --proxy-model right?" if seen.status == NOT_FOUND and told else ""


@judge(
    "C1.2",
    "M",
    "openai-node internal/parse: anything else becomes a bare string; minimind#851 streams unasked",
    given=answered,
)
def media_type_json(seen: Capture) -> Iterator[Finding]:
    """A plain answer has the media type application/json."""
    yield from has_type(seen, "application/json")


@judge("C1.3", "M", "worker-vllm#57", given=plain_json)
def no_error_inside(seen: Capture) -> Iterator[Finding]:
    """An answer with status 200 is not an error in disguise."""
    if answer(seen).get("error") is not None:
        yield wrong(whole(seen), ("error",), "no such key, or an error status")


@judge(
    "C1.4", "M", "RFC 9112, 8: a body that is shorter than its length is incomplete; every client raises",
    given=responded,
)  # fmt: skip
def answer_is_complete(seen: Capture) -> Iterator[Finding]:
    """The body of an answer ends where its framing says, in time."""
    yield from incomplete(seen)


@judge("C2.1", "M", "pydantic-ai raises on null, the AI SDK on a number", given=plain_object)
def has_id(seen: Capture) -> Iterator[Finding]:
    """The id is a string."""
    yield from _text(seen, "id")


@judge("C2.2", "M", "ray-llm#43; pydantic-ai and openai-python's stream helper raise", given=plain_object)
def object_name(seen: Capture) -> Iterator[Finding]:
    """The object is "chat.completion"."""
    if answer(seen).get("object") != "chat.completion":
        yield wrong(whole(seen), ("object",), '"chat.completion"')


@judge("C2.3", "M", "foundry-local#144 sent null", given=plain_object)
def has_model(seen: Capture) -> Iterator[Finding]:
    """The model is a string."""
    yield from _text(seen, "model")


@judge("C2.4", "M", "openapi.yaml:33507; null or an empty list crashes most clients", given=plain_object)
def has_choices(seen: Capture) -> Iterator[Finding]:
    """The choices are a list with at least one object."""
    if not choices(seen):
        yield wrong(whole(seen), ("choices",), "a non-empty list of objects")


@judge("C2.5", "M", "openapi.yaml:33507; LangChain, pydantic-ai and the AI SDK raise on other types", given=plain_json)
def fits(seen: Capture) -> Findings:
    """The parts of an answer that no other check names have the types that clients need."""
    if answer(seen).get("error") is not None and "choices" not in answer(seen):
        yield NotSeen("the body is an error", ("C1.3",))
    elif answer(seen):
        yield from fits_schema(whole(seen), "openai-chat-answer", _told_elsewhere)
    else:
        yield Finding("a JSON object with id, object, model, choices and usage", _kind(whole(seen).value), 0)


@judge("C2.6", "S", "openapi.yaml:33507; TGI#1782 sent an empty id", given=plain_object)
def details_fit(seen: Capture) -> Iterator[Finding]:
    """The details of an answer are those that OpenAI's schema has."""
    yield from fits_wire(whole(seen), "openai-chat-answer")


@judge("C3.1", "S", "openapi.yaml: choices[].index", given=plain_choices)
def choices_are_numbered(seen: Capture) -> Iterator[Finding]:
    """There are n choices, numbered from 0."""
    wanted = list(range(_asked_n(seen)))
    found = [choice.value.get("index") for choice in choices(seen)]
    if found != wanted:
        at = whole(seen).offset(("choices",))
        yield Finding(_indexed(wanted), _indexed(found), at, "$.choices")


@judge("C3.2", "M", "llama-cpp-python#1906", given=several_asked)
def n_not_ignored(seen: Capture) -> Iterator[Finding]:
    """More choices than can be given are refused with 400, never cut to one in silence."""
    wanted = _asked_n(seen)
    if seen.status != UNSUPPORTED and not _all_given(seen, wanted):
        yield Finding(f"status 400, or status 200 and {_indexed(range(wanted))}", _given_text(seen), 0)


@judge("C3.3", "M", "openapi.yaml: n, how many choices to generate", given=several_asked)
def n_is_given(seen: Capture) -> Iterator[Finding]:
    """Whoever can give several choices gives as many as are asked for, numbered from 0."""
    wanted = _asked_n(seen)
    if not _all_given(seen, wanted):
        yield Finding(f"status 200 and {_indexed(range(wanted))}", _given_text(seen), 0)


@judge(
    "C4.1", "M", "langchain-openai, pydantic-ai and openai-python's strict mode raise without it", given=plain_messages
)
def role_assistant(seen: Capture) -> Iterator[Finding]:
    """The role of every message is assistant."""
    for choice, path in _messages(seen, "role"):
        if child(choice.value, "message").get("role") != "assistant":
            yield wrong(choice.document, path, '"assistant"')


@judge("C4.2", "M", "openapi.yaml: content; LiteLLM and pydantic-ai raise on a list of parts", given=plain_messages)
def content_is_text(seen: Capture) -> Iterator[Finding]:
    """The content of a message, where it is present, is a string or null."""
    for choice, path in _messages(seen, "content"):
        if not isinstance(child(choice.value, "message").get("content"), str | None):
            yield wrong(choice.document, path, "a string or null")


@judge("C4.3", "M", "openapi.yaml:33507; pydantic-ai raises on any other word", given=plain_choices)
def finish_reason_known(seen: Capture) -> Iterator[Finding]:
    """Every finish_reason that is not null is one of the five words."""
    for choice in choices(seen):
        reason = choice.value.get("finish_reason")
        if reason is not None and not is_finish_reason(reason):
            yield wrong(choice.document, (*choice.path, "finish_reason"), FINISH_WORDS)


@judge("C4.4", "S", "openapi.yaml:33507; no client misses it", given=plain_choices)
def finish_reason_present(seen: Capture) -> Iterator[Finding]:
    """No finish_reason of a plain answer is absent or null."""
    for choice in choices(seen):
        if choice.value.get("finish_reason") is None:
            yield wrong(choice.document, (*choice.path, "finish_reason"), FINISH_WORDS)


@judge("C4.5", "S", "openapi.yaml requires it; mlx-lm#1738 left it out, and no client misses it", given=plain_messages)
def content_present(seen: Capture) -> Iterator[Finding]:
    """Each message has the key content, also one that calls a tool."""
    for choice, path in _messages(seen, "content"):
        if "content" not in child(choice.value, "message"):
            yield wrong(choice.document, path, "a string or null")


@judge("C5.1", "M", "FastDeploy#3247 left one out; llm --no-stream dies without usage", given=plain_object)
def usage_present(seen: Capture) -> Iterator[Finding]:
    """The usage has its three counts, each a whole number."""
    if not isinstance(answer(seen).get("usage"), dict):
        yield wrong(whole(seen), ("usage",), f"an object with {', '.join(COUNTS)}")
        return
    for name in COUNTS:
        if not is_whole(answer(seen)["usage"].get(name)):
            yield wrong(whole(seen), ("usage", name), "an integer")


@judge("C5.2", "S", "a defect of the original proxy: each floored on its own", given=plain_usage)
def usage_adds_up(seen: Capture) -> Iterator[Finding]:
    """The counts of the usage are at least 0, and the total is the sum of its parts."""
    prompt, completion, total = (answer(seen)["usage"][name] for name in COUNTS)
    for name in COUNTS:
        if answer(seen)["usage"][name] < 0:
            yield wrong(whole(seen), ("usage", name), "at least 0")
    if total != prompt + completion:
        yield wrong(whole(seen), ("usage", "total_tokens"), f"{prompt + completion} ({prompt} + {completion})")


@judge("C5.3", "S", "igllama#82 sent zeros", given=plain_words)
def usage_is_counted(seen: Capture) -> Iterator[Finding]:
    """A non-empty question and answer cost tokens."""
    for name in COUNTS[:2]:
        if answer(seen)["usage"][name] == 0:
            yield wrong(whole(seen), ("usage", name), "more than 0")


@judge("C6.1", "M", "vllm#44105", given=plain_messages)
def no_empty_tool_calls(seen: Capture) -> Iterator[Finding]:
    """No message has an empty list of tool calls."""
    for choice, path in _messages(seen, "tool_calls"):
        if child(choice.value, "message").get("tool_calls") == []:
            yield wrong(choice.document, path, "at least one call, or no such key")


@judge("C6.2", "S", "recorded answers of api.openai.com leave it out", given=plain_messages)
def no_null_tool_calls(seen: Capture) -> Iterator[Finding]:
    """No message has tool_calls: null."""
    for choice, path in _messages(seen, "tool_calls"):
        if child(choice.value, "message").get("tool_calls", 0) is None:
            yield wrong(choice.document, path, "at least one call, or no such key")


@judge(
    "C6.3", "S", "openapi.yaml requires it, all recorded answers have it; aimock#33 left it out", given=plain_messages
)
def refusal_present(seen: Capture) -> Iterator[Finding]:
    """Every message has the key refusal."""
    for choice, path in _messages(seen, "refusal"):
        if "refusal" not in child(choice.value, "message"):
            yield wrong(choice.document, path, "a string or null")


@judge("C6.4", "W", "openapi.yaml requires it, no recorded answer has it", given=plain_choices)
def logprobs_present(seen: Capture) -> Iterator[Finding]:
    """Every choice has the key logprobs."""
    for choice in choices(seen):
        if "logprobs" not in choice.value:
            yield wrong(choice.document, (*choice.path, "logprobs"), "an object or null")


def _text(seen: Capture, name: str) -> Iterator[Finding]:
    if not isinstance(answer(seen).get(name), str):
        yield wrong(whole(seen), (name,), "a string")


def _messages(seen: Capture, key: str) -> Iterator[tuple[Choice, Path]]:
    """Each choice, and the path of a key of its message."""
    for choice in choices(seen):
        yield choice, (*choice.path, "message", key)


def _told_elsewhere(breach: Breach) -> bool:
    """Whether a check of its own tells this breach."""
    place = tuple("*" if isinstance(step, int) else step for step in breach.path)
    if place[-1:] == ("tool_calls",):
        return breach.schema.endswith("minItems")  # C6.1
    return place in TOLD_ELSEWHERE


def _kind(value: object) -> str:
    return "an empty object" if value == {} else f"the body is {format_value(value)}"


def _asked_n(seen: Capture) -> int:
    wanted = request_of(seen).get("n")
    return wanted if isinstance(wanted, int) and wanted > 0 else 1


def _given(seen: Capture) -> list[str]:
    """The indexes of the choices, as far as they are an answer."""
    plain = [f"{choice.value.get('index')}" for choice in choices(seen)]
    return sorted(by_index(seen) if is_stream(seen) else plain)


def _given_text(seen: Capture) -> str:
    if seen.status != 200:
        return f"no response: {seen.ended}" if seen.status is None else f"status {seen.status}"
    return f"status 200 and {_indexed(_given(seen))}"


def _indexed(indexes: Sequence[object]) -> str:
    """So many choices, with these indexes."""
    if len(indexes) == 1:
        return f"1 choice, with the index {_shown(indexes[0])}"
    named = f", with the indexes {', '.join(map(_shown, indexes))}" if indexes else ""
    return f"{len(indexes) or 'no'} choices{named}"


def _shown(index: object) -> str:
    return index if isinstance(index, str) else format_value(index)


def _all_given(seen: Capture, wanted: int) -> bool:
    return seen.status == 200 and _given(seen) == sorted(str(number) for number in range(wanted))


JUDGES = judges_in(globals())
