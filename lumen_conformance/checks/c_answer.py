"""C1, C2: the response to a chat request that does not ask for a stream, and the fields of its body."""

import re
from collections.abc import Iterator

from lumen_conformance.checks.findings import (
    find_incomplete_body,
    find_schema_breaches,
    find_wire_breaches,
    find_wrong_media_type,
    plain_document,
    wrong_value,
)
from lumen_conformance.checks.preconditions import (
    COUNTS,
    require_answer_object,
    require_plain_json,
    require_response,
    require_status_200,
    requires_tool_call,
)
from lumen_conformance.checks.verdict import Finding, Findings, NotObserved, judge, judges_in
from lumen_conformance.http.capture import Capture
from lumen_conformance.http.documents import answer_json, choices, request_json
from lumen_conformance.http.strict_json import Path
from lumen_conformance.registry.option_table import spelled
from lumen_conformance.schemas.compiler import Breach
from lumen_conformance.schemas.descriptions import format_value

NOT_FOUND = 404
UNKNOWN_MODEL = "model_not_found"  # the code of OpenAI's error for an unknown model
CHECK_OF_PATH: dict[Path, str] = {  # the path of a schema breach, and the check that reports it
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


@judge("C1.1", "M", "RFC 9110, 15.3.1")
def status_200(capture: Capture) -> Iterator[Finding]:
    """A chat request gets status 200."""
    if capture.status != 200:
        received = "no response" if capture.status is None else f"status {capture.status}"
        yield Finding("status 200", f"{received}, {capture.ended}{_ask_model(capture)}", 0)


def _ask_model(capture: Capture) -> str:
    """A hint about --proxy-model when a 404 names the model."""
    model = str(request_json(capture).get("model") or UNKNOWN_MODEL)
    names_model = any(re.search(rf"(?<!\w){re.escape(word)}(?!\w)", capture.text) for word in (model, UNKNOWN_MODEL))
    return f"; check {spelled('model')}" if capture.status == NOT_FOUND and names_model else ""


@judge(
    "C1.2",
    "M",
    "openai-node internal/parse reads other types as a string; "
    "jingyaogong/minimind#851 sends a stream that was not requested",
    given=require_status_200,
)
def media_type_json(capture: Capture) -> Iterator[Finding]:
    """A plain answer has the media type application/json."""
    yield from find_wrong_media_type(capture, "application/json")


@judge("C1.3", "M", "runpod-workers/worker-vllm#57", given=require_plain_json)
def no_error_inside(capture: Capture) -> Iterator[Finding]:
    """An answer with status 200 contains no error."""
    if answer_json(capture).get("error") is not None:
        yield wrong_value(plain_document(capture), ("error",), "no such key, or an error status")


@judge(
    "C1.4", "M", "RFC 9112, 8: a body shorter than its Content-Length is incomplete; every client raises",
    given=require_response,
)  # fmt: skip
def answer_is_complete(capture: Capture) -> Iterator[Finding]:
    """The body of an answer is complete and ends before the deadline."""
    yield from find_incomplete_body(capture)


@judge("C2.1", "M", "pydantic-ai raises on null, the AI SDK on a number", given=require_answer_object)
def has_id(capture: Capture) -> Iterator[Finding]:
    """The id is a string."""
    yield from _text(capture, "id")


@judge(
    "C2.2",
    "M",
    "ray-project/ray-llm#43; pydantic-ai and openai-python's stream helper raise",
    given=require_answer_object,
)
def object_name(capture: Capture) -> Iterator[Finding]:
    """The object is "chat.completion"."""
    if answer_json(capture).get("object") != "chat.completion":
        yield wrong_value(plain_document(capture), ("object",), '"chat.completion"')


@judge("C2.3", "M", "microsoft/foundry-local#144 sent null", given=require_answer_object)
def has_model(capture: Capture) -> Iterator[Finding]:
    """The model is a string."""
    yield from _text(capture, "model")


@judge("C2.4", "M", "openapi.yaml:33507; null or an empty list crashes most clients", given=require_answer_object)
def has_choices(capture: Capture) -> Iterator[Finding]:
    """The choices are a list of at least one object."""
    if not choices(capture):
        yield wrong_value(plain_document(capture), ("choices",), "a non-empty list of objects")


@judge(
    "C2.5",
    "M",
    "openapi.yaml:33507; LangChain, pydantic-ai and the AI SDK raise on other types",
    given=require_plain_json,
)
def fits(capture: Capture) -> Findings:
    """The fields of an answer that no other check covers have the types that clients require."""
    if answer_json(capture).get("error") is not None and "choices" not in answer_json(capture):
        yield NotObserved("the body is an error", ("C1.3",))
    elif answer_json(capture):
        elsewhere = _has_tool_check if requires_tool_call(capture) else _has_own_check
        yield from find_schema_breaches(plain_document(capture), "openai-chat-answer", elsewhere)
    else:
        yield Finding(
            "a JSON object with id, object, model, choices and usage", _kind(plain_document(capture).value), 0
        )


@judge(
    "C2.6",
    "S",
    "openapi.yaml:33507; huggingface/text-generation-inference#1782 sent an empty id",
    given=require_answer_object,
)
def details_fit(capture: Capture) -> Iterator[Finding]:
    """The fields of an answer match OpenAI's schema, also where clients do not depend on them."""
    yield from find_wire_breaches(plain_document(capture), "openai-chat-answer")


def _text(capture: Capture, name: str) -> Iterator[Finding]:
    if not isinstance(answer_json(capture).get(name), str):
        yield wrong_value(plain_document(capture), (name,), "a string")


def _has_own_check(breach: Breach) -> bool:
    """Whether another check reports this breach."""
    path = tuple("*" if isinstance(step, int) else step for step in breach.path)
    if path[-1:] == ("tool_calls",):
        return breach.schema.endswith("minItems")  # C6.1
    return path in CHECK_OF_PATH


def _has_tool_check(breach: Breach) -> bool:
    """The same for an answer with a required tool call: C9 reports what is wrong with the call."""
    return "tool_calls" in breach.path or _has_own_check(breach)


def _kind(value: object) -> str:
    return "an empty object" if value == {} else f"the body is {format_value(value)}"


JUDGES = judges_in(globals())
