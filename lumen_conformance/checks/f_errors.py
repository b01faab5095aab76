"""F1, F2, F4, F8: errors: one JSON object for all errors, with an error status."""

from collections.abc import Iterator

from lumen_conformance.checks.findings import (
    child_object,
    find_incomplete_body,
    find_schema_breaches,
    find_wrong_media_type,
    plain_document,
    wrong_value,
)
from lumen_conformance.checks.preconditions import (
    require_error,
    require_error_json,
    require_error_object,
    require_error_status,
    require_response,
)
from lumen_conformance.checks.verdict import Finding, Findings, NotObserved, Unjudged, judge, judges_in
from lumen_conformance.http.capture import Capture
from lumen_conformance.http.documents import error_documents, is_stream, media_type
from lumen_conformance.http.strict_json import Document
from lumen_conformance.schemas.descriptions import format_value

NULL_TEXTS = {"None", "null", "undefined"}


def _refusals(capture: Capture) -> tuple[Document, ...]:
    """The error documents of a capture: its body, or the error events of a stream."""
    return error_documents(capture) if is_stream(capture) else (plain_document(capture),)


def _message(capture: Capture) -> Unjudged | None:
    """The error has a message that is a string and not blank; see `require_error_object`."""
    if missing := require_error_object(capture):
        return missing
    messages = [_message_of(each) for each in _refusals(capture)]
    if any(map(_is_blank, messages)):
        return NotObserved("the error has no message", ("F1.9",))
    is_text = all(isinstance(message, str) for message in messages)
    return None if is_text else NotObserved("the message of the error is not a string", ("F1.3",))


def _is_blank(message: object) -> bool:
    return message is None or (isinstance(message, str) and not message.strip())


def _message_of(document: Document) -> object:
    return child_object(document.value, "error").get("message")


@judge(
    "F1.1",
    "M",
    "diegosouzapw/OmniRoute#6405 sent HTML; openai-node reads other types as text",
    given=require_error,
)
def json_media_type(capture: Capture) -> Iterator[Finding]:
    """An error has the media type application/json."""
    yield from find_wrong_media_type(capture, "text/event-stream" if is_stream(capture) else "application/json")


@judge(
    "F1.2",
    "M",
    "openapi.yaml: ErrorResponse; sgl-project/sglang#7487, vllm-project/vllm#57997; "
    "all clients lose the message of other forms",
    given=require_error_json,
)
def envelope(capture: Capture) -> Iterator[Finding]:
    """An error is an object under the key error."""
    for document in _refusals(capture):
        if not isinstance(document.value, dict):
            yield Finding('{"error": {…}}', f"the body is {format_value(document.value)}", document.start)
        elif not isinstance(document.value.get("error"), dict):
            yield wrong_value(document, ("error",), "an object with message, type, param and code")


@judge("F1.3", "M", "openapi.yaml:38249; clients lose other values", given=require_error_object)
def message_is_text(capture: Capture) -> Iterator[Finding]:
    """The message of an error, if present, is a string."""
    for document in _refusals(capture):
        if not isinstance(_message_of(document), str | None):
            yield wrong_value(document, ("error", "message"), "a string")


@judge("F1.4", "S", "openapi.yaml:38249; the original proxy sent an integer code and no param", given=_message)
def all_four_keys(capture: Capture) -> Iterator[Finding]:
    """An error has the keys message, type, param and code; all but the code have the types of OpenAI's schema."""
    for document in _refusals(capture):
        other = {"$.error.code"} if "code" in child_object(document.value, "error") else set()  # F1.7 reports it
        yield from (each for each in find_schema_breaches(document, "openai-error") if each.path not in other)


@judge("F1.5", "S", "BerriAI/litellm#39521", given=require_error_object)
def no_null_texts(capture: Capture) -> Iterator[Finding]:
    """No field of an error is the text None, null or undefined."""
    for document in _refusals(capture):
        for name, value in child_object(document.value, "error").items():
            if isinstance(value, str) and value in NULL_TEXTS:
                yield wrong_value(document, ("error", name), "null, or a meaningful text")


@judge(
    "F1.6", "M", "RFC 9112, 8: a body shorter than its Content-Length is incomplete; clients raise another error",
    given=require_error_status,
)  # fmt: skip
def error_is_complete(capture: Capture) -> Iterator[Finding]:
    """The body of an error is complete and ends before the deadline."""
    yield from find_incomplete_body(capture)


@judge(
    "F1.7", "M", "envoyproxy/ai-gateway#2151 sends 500 without a body instead; OpenAI's library for Java raises",
    given=require_error_object,
)  # fmt: skip
def code_is_text(capture: Capture) -> Iterator[Finding]:
    """The code of an error, if present, is a string or null."""
    for document in _refusals(capture):
        if not isinstance(child_object(document.value, "error").get("code"), str | None):
            yield wrong_value(document, ("error", "code"), "a string or null")


@judge(
    "F1.8",
    "S",
    "openapi.yaml:38249; clients show only the status; none of nine clients fails",
    given=require_error_status,
)
def error_has_body(capture: Capture) -> Findings:
    """An error has a body."""
    if not capture.body and capture.ended != "complete":
        yield NotObserved(f"the response ends early: {capture.ended}", ("F1.6",))
    elif not capture.body:
        yield Finding('{"error": {…}}', f"status {capture.status} and no body", None)


@judge(
    "F1.9",
    "S",
    "openapi.yaml:38249; clients show only the status; none of nine clients fails",
    given=require_error_object,
)
def message_not_empty(capture: Capture) -> Iterator[Finding]:
    """The message of an error is present and not blank."""
    for document in _refusals(capture):
        if _is_blank(_message_of(document)):
            yield wrong_value(document, ("error", "message"), "a string that is not blank")


@judge("F2-status", "M", "RFC 9110, 15.5; letta-ai/letta#3381, sgl-project/sglang#3805")
def client_error(capture: Capture) -> Iterator[Finding]:
    """A bad request gets a status from 400 to 499."""
    if not capture.is_client_error:
        yield Finding("a status from 400 to 499", _describe_end(capture), 0)


@judge("F4", "S", "easychen/openai-api-proxy#33, runpod-workers/worker-vllm#57")
def real_status_before_the_stream(capture: Capture) -> Iterator[Finding]:
    """An error before the first byte of a stream has an error status."""
    if capture.status is None or capture.status < 400:
        yield Finding("a status of at least 400", _describe_end(capture), 0)
    elif media_type(capture) == "text/event-stream":
        yield Finding("content-type: application/json", "content-type: text/event-stream", 0)


@judge(
    "F8", "S", "all recorded responses of api.openai.com have it, including errors and streams", given=require_response
)
def request_id(capture: Capture) -> Iterator[Finding]:
    """Every response has an x-request-id."""
    if not capture.header("x-request-id"):
        yield Finding("x-request-id: …", f"no x-request-id, status {capture.status}", None)


def _describe_end(capture: Capture) -> str:
    return f"no response: {capture.ended}" if capture.status is None else f"status {capture.status}, {capture.ended}"


JUDGES = judges_in(globals())
