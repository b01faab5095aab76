"""J1: structured output: a `response_format` gives a text that is JSON and fits, or a refusal."""

from __future__ import annotations

from typing import Any, Final

from lumen_conformance.checks.c_choices import INCOMPLETE_REASONS
from lumen_conformance.checks.findings import child_object, quote
from lumen_conformance.checks.verdict import Finding, Findings, NotApplicable, NotObserved, Unjudged, judge, judges_in
from lumen_conformance.http.capture import REFUSAL_TEXT, Capture
from lumen_conformance.http.documents import (
    assistant_text,
    choices,
    error_documents,
    finish_of,
    is_stream,
    request_json,
)
from lumen_conformance.http.strict_json import format_path, parse
from lumen_conformance.schemas.compiler import Breach, Compiler

OBJECT: Final[dict[str, Any]] = {"type": "json_object"}
SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "coastal": {"type": "boolean"},
        "rivers": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["city", "coastal", "rivers"],
    "additionalProperties": False,
}
FITTING: Final[dict[str, Any]] = {
    "type": "json_schema",
    "json_schema": {"name": "city", "strict": True, "schema": SCHEMA},
}
FENCE = "```"


def require_object_requested(capture: Capture) -> Unjudged | None:
    """The request asks for a JSON object."""
    return None if _requested(capture) == OBJECT else NotApplicable("the request does not ask for a JSON object")


def require_schema_requested(capture: Capture) -> Unjudged | None:
    """The request asks for JSON that fits `SCHEMA`."""
    return None if _requested(capture) == FITTING else NotApplicable("the request has no JSON schema")


def require_format_requested(capture: Capture) -> Unjudged | None:
    """The request asks for JSON in one of the two ways."""
    return require_schema_requested(capture) and require_object_requested(capture)


@judge(
    "J1.1",
    "M",
    "openapi.yaml: ResponseFormatJsonObject; ROCm/FastFlowLM#554, peonist-ai/halogen-flash-server#14",
    given=require_object_requested,
)
def text_is_an_object(capture: Capture) -> Findings:
    """With response_format json_object, the text is one JSON object."""
    yield from _unfit(capture, "status 200, and a text that is one JSON object")


@judge(
    "J1.2",
    "M",
    "openapi.yaml: ResponseFormatJsonSchema; openai-python 2.54.0: parse() raises on other texts",
    given=require_schema_requested,
)
def text_fits_the_schema(capture: Capture) -> Findings:
    """With response_format json_schema, the text is JSON that fits the schema."""
    yield from _unfit(capture, "status 200, and a text that is JSON and fits the schema")


@judge(
    "J1.3",
    "S",
    "openapi.yaml: response_format; openclaw/openclaw#82003 ignored it; "
    "peonist-ai/halogen-flash-server#14 asks for a refusal",
    given=require_format_requested,
)
def format_is_not_ignored(capture: Capture) -> Findings:
    """A response_format is not ignored: the text is JSON that fits it, or the request is refused."""
    if capture.is_client_error and not capture.is_refusal:
        yield NotObserved(f"status {capture.status} is neither an answer nor {REFUSAL_TEXT}", ("J1.1", "J1.2"))
    elif not capture.is_refusal:
        yield from _unfit(capture, f"a text that is JSON and fits the response_format, or {REFUSAL_TEXT}")


def fits_format(capture: Capture) -> bool:
    """Whether an answer has a text that is a JSON object, and fits the schema of its request if there is one."""
    return capture.status == 200 and next(iter(_unfit_text(capture, "")), None) is None


def _unfit(capture: Capture, expected: str) -> Findings:
    """What is wrong with the text of an answer, if anything."""
    if capture.status is None:
        yield Finding(expected, f"no response: {capture.ended}")
    elif capture.status != 200 or error_documents(capture):
        yield Finding(expected, f"status {capture.status}: {quote(capture.body)}", 0)
    elif finish_of(capture) in INCOMPLETE_REASONS or _is_refused(capture):
        yield NotApplicable(f"the model has refused, or the text is cut: finish_reason {finish_of(capture)}")
    else:
        yield from _unfit_text(capture, expected)


def _unfit_text(capture: Capture, expected: str) -> Findings:
    text = assistant_text(capture)
    document = parse(text.encode("utf-8", "surrogatepass"))
    if not text:
        yield Finding(expected, "no text")
    elif document.problems:
        fenced = " (JSON in a Markdown fence)" if text.strip().startswith(FENCE) else ""
        yield Finding(expected, f"a text that is not JSON{fenced}: {quote(text)}")
    elif not isinstance(document.value, dict):
        yield Finding(expected, f"JSON that is no object: {quote(text)}")
    elif schema := child_object(child_object(_requested(capture), "json_schema"), "schema"):
        found: list[Breach] = []
        Compiler(lambda _reference: {}).rule(schema)(document.value, (), found)
        for number, breach in enumerate(found):
            within = f", in the text {quote(text)}" if number == 0 else ""
            yield Finding(f"{expected}: {breach.expected}", breach.found + within, path=format_path(breach.path))


def _requested(capture: Capture) -> dict[str, Any]:
    return child_object(request_json(capture), "response_format")


def _is_refused(capture: Capture) -> bool:
    parts = (child_object(choice.value, "delta" if is_stream(capture) else "message") for choice in choices(capture))
    return any(part.get("refusal") for part in parts)


JUDGES = judges_in(globals())
