"""F: errors: one envelope everywhere, the real status, and nothing that a stranger should read."""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator

from lumen_conformance.checks.findings import child, fits_schema, has_type, incomplete, shorten, whole, wrong
from lumen_conformance.checks.preconditions import (
    begun,
    error_json,
    error_object,
    error_sent,
    refused,
    responded,
)
from lumen_conformance.checks.verdict import (
    Finding,
    Findings,
    Known,
    NotApplicable,
    NotSeen,
    Unjudged,
    informed,
    judge,
    judges_in,
)
from lumen_conformance.http.capture import Capture
from lumen_conformance.http.curl import SECRET_HEADERS
from lumen_conformance.http.documents import (
    choices,
    documents,
    errors,
    is_stream,
    media_type,
    once,
    payloads,
)
from lumen_conformance.http.strict_json import Document, Path
from lumen_conformance.schemas.descriptions import format_value

TRACEBACK = re.compile(rb"Traceback \(most recent call last\)|File \\?\"[^\"]+\", line [0-9]+|\.py:[0-9]+")
# Where programs live, on any system; not "/v1/…", which errors may well name.
FILE_PATH = re.compile(
    rb"(?:/(?:home|usr|root|tmp|var|opt|srv|Users|private)/|[A-Za-z]:\\{1,2})[\w.-]+|(?<![\w-])[\w-]+\.py\b"
)
SHORT_SECRET = 6  # characters: a shorter one would be found in ordinary words
SPOKEN = {"content", "reasoning_content", "refusal", "arguments"}  # members in which the model speaks
NONE_WORDS = {"None", "null", "undefined"}
ABORTED = {"aborted", "reset"}  # all clients raise


def _refusals(seen: Capture) -> tuple[Document, ...]:
    """The error texts of a capture: its body, or the error events of a stream."""
    return errors(seen) if is_stream(seen) else (whole(seen),)


def _message(seen: Capture) -> Unjudged | None:
    """The error that came says something."""
    if missing := error_object(seen):
        return missing
    messages = [_message_of(each) for each in _refusals(seen)]
    if any(map(_is_blank, messages)):
        return NotSeen("the error has no message", ("F1.9",))
    is_text = all(isinstance(message, str) for message in messages)
    return None if is_text else NotSeen("the message of the error is no string", ("F1.3",))


def _is_blank(message: object) -> bool:
    return message is None or (isinstance(message, str) and not message.strip())


def _message_of(document: Document) -> object:
    return child(document.value, "error").get("message")


@judge("F1.1", "M", "OmniRoute#6405 sent HTML; openai-node reads other types as text", given=error_sent)
def json_media_type(seen: Capture) -> Iterator[Finding]:
    """An error has the media type application/json."""
    yield from has_type(seen, "text/event-stream" if is_stream(seen) else "application/json")


@judge("F1.2", "M", "sglang#7487, vllm#57997; all clients lose the message of any other shape", given=error_json)
def envelope(seen: Capture) -> Iterator[Finding]:
    """An error is an object below the key error."""
    for document in _refusals(seen):
        if not isinstance(document.value, dict):
            yield Finding('{"error": {…}}', f"the body is {format_value(document.value)}", document.start)
        elif not isinstance(document.value.get("error"), dict):
            yield wrong(document, ("error",), "an object with message, type, param and code")


@judge("F1.3", "M", "openapi.yaml:38249; clients lose what is no string", given=error_object)
def message_is_text(seen: Capture) -> Iterator[Finding]:
    """The message of an error, if there is one, is a string."""
    for document in _refusals(seen):
        if not isinstance(_message_of(document), str | None):
            yield wrong(document, ("error", "message"), "a string")


@judge("F1.4", "S", "openapi.yaml:38249; the original proxy sent an integer code and no param", given=_message)
def all_four_keys(seen: Capture) -> Iterator[Finding]:
    """An error has the keys message, type, param and code; those but the code have the types of OpenAI's schema."""
    for document in _refusals(seen):
        told = {"$.error.code"} if "code" in child(document.value, "error") else set()  # F1.7
        yield from (each for each in fits_schema(document, "openai-error") if each.path not in told)


@judge("F1.5", "S", "litellm#39521", given=error_object)
def no_none_words(seen: Capture) -> Iterator[Finding]:
    """No field of an error is the word None."""
    for document in _refusals(seen):
        for name, value in child(document.value, "error").items():
            if isinstance(value, str) and value in NONE_WORDS:
                yield wrong(document, ("error", name), "null, or a text that means something")


@judge(
    "F1.6", "M", "RFC 9112, 8: a body that is shorter than its length is incomplete; clients raise another error",
    given=refused,
)  # fmt: skip
def error_is_complete(seen: Capture) -> Iterator[Finding]:
    """The body of a refusal ends where its framing says, in time."""
    yield from incomplete(seen)


@judge(
    "F1.7", "M", "envoyproxy/ai-gateway#2151 sends 500 without a body instead; OpenAI's library for Java raises",
    given=error_object,
)  # fmt: skip
def code_is_text(seen: Capture) -> Iterator[Finding]:
    """The code of an error, if there is one, is a string or null."""
    for document in _refusals(seen):
        if not isinstance(child(document.value, "error").get("code"), str | None):
            yield wrong(document, ("error", "code"), "a string or null")


@judge("F1.8", "S", "openapi.yaml:38249; clients show the status alone, and none of nine breaks", given=refused)
def error_has_body(seen: Capture) -> Findings:
    """An error has a body."""
    if not seen.body and seen.ended != "complete":
        yield NotSeen(f"the response ends early: {seen.ended}", ("F1.6",))
    elif not seen.body:
        yield Finding('{"error": {…}}', f"status {seen.status} and no body", None)


@judge("F1.9", "S", "openapi.yaml:38249; clients show the status alone, and none of nine breaks", given=error_object)
def message_not_empty(seen: Capture) -> Iterator[Finding]:
    """An error has a message that says something."""
    for document in _refusals(seen):
        if _is_blank(_message_of(document)):
            yield wrong(document, ("error", "message"), "a string that is not blank")


@judge("F2.status", "M", "letta#3381, sglang#3805")
def client_error(seen: Capture) -> Iterator[Finding]:
    """A bad request gets a status from 400 to 499."""
    if seen.status is None or not 400 <= seen.status < 500:
        yield Finding("a status from 400 to 499", _came(seen), 0)


@judge("F4", "S", "openai-api-proxy#33, worker-vllm#57")
def real_status_before_the_stream(seen: Capture) -> Iterator[Finding]:
    """An error that is known before the first byte has its real status, though a stream was asked for."""
    if seen.status is None or seen.status < 400:
        yield Finding("a status of at least 400", _came(seen), 0)
    elif media_type(seen) == "text/event-stream":
        yield Finding("content-type: application/json", "content-type: text/event-stream", 0)


@judge("F5.1", "S", "any-llm#847; a flat error is taken for a short success by most clients", given=begun)
def late_error_is_said(seen: Capture) -> Findings:
    """A failure after the first byte is an error event at the end, or an aborted body."""
    told = errors(seen)
    last = [event for event in payloads(seen) if event.data != b"[DONE]"][-1:]
    if told and last[0].data_offset != told[-1].start:
        found = f"after it {shorten(last[0].data or b'')}"
        yield Finding("the error as the last event", found, told[-1].start)
    if not told and seen.ended == "complete":
        yield NotSeen("the stream ends cleanly without an error event", ("F5.3",))
    elif not told and seen.ended not in ABORTED:
        yield Finding('data: {"error": {…}}, or an aborted body', f"neither: {seen.ended}", len(seen.body))


@judge("F5.2", "S", "litellm#33404 finished a reset stream with stop", given=begun)
def late_error_is_no_success(seen: Capture) -> Findings:
    """A stream that failed has no finish_reason."""
    if seen.ended == "complete" and not (choices(seen) or errors(seen)):
        yield NotSeen("the stream ends cleanly with neither a chunk nor an error event", ("F5.3",))
    for choice in choices(seen):
        if choice.value.get("finish_reason"):
            yield wrong(choice.document, (*choice.path, "finish_reason"), "null, as the stream failed")


@judge("F5.3", "M", "a plain close in mid-stream is silent truncation for every SDK", given=begun)
def no_clean_early_end(seen: Capture) -> Iterator[Finding]:
    """A stream that failed never ends cleanly without saying so."""
    if seen.ended == "complete" and not errors(seen):
        yield Finding("an error event, or an aborted body", "a clean end without an error event", len(seen.body))


@judge("F6.1", "M", "ray#64832, litellm#39757", given=responded)
def no_traceback(seen: Capture) -> Iterator[Finding]:
    """No body or header has a traceback."""
    yield from _matches(seen, TRACEBACK, "no traceback")


@informed("F6.2", "S", "no recorded error of api.openai.com names a file; ray#64832", given=responded)
def no_file_path(seen: Capture, known: Known) -> Iterator[Finding]:
    """No header, and no body beside the assistant's words, names a file that the caller has not named."""
    said_by_caller = b"\n".join([seen.request, known.model.encode()])
    yield from _matches(seen, FILE_PATH, "no path of the server", said_by_caller, ignore=in_words)


@informed("F6.3", "M", "LiteLLM and others print the address that they called", needs="upstream", given=responded)
def no_upstream_address(seen: Capture, known: Known) -> Iterator[Finding]:
    """No body or header has the address of the gateway."""
    for address in known.upstream:
        yield from _matches(seen, re.compile(re.escape(address.encode())), "no address of the gateway")


@informed("F6.4", "M", "litellm#39293, free-one-api#144", given=responded)
def no_secret(seen: Capture, known: Known) -> Findings:
    """No header, and no body beside the assistant's words, repeats a key, whether configured or submitted."""
    secrets = [secret for secret in {*known.secrets, *_submitted(seen)} if len(secret) >= SHORT_SECRET]
    if not secrets:
        yield NotApplicable("no key was configured or submitted")
    said_by_caller = b"\n".join([seen.request_body, known.model.encode()])
    for secret in secrets:
        whole_word = re.compile(rb"(?<![\w-])" + re.escape(secret.encode()) + rb"(?![\w-])")
        yield from _matches(seen, whole_word, "no key, neither configured nor sent", said_by_caller, ignore=in_words)


@judge("F8", "S", "all recorded answers of api.openai.com have it, errors and streams too", given=responded)
def request_id(seen: Capture) -> Iterator[Finding]:
    """Every response has an x-request-id."""
    if not seen.header("x-request-id"):
        yield Finding("x-request-id: …", f"no x-request-id, status {seen.status}", None)


def _came(seen: Capture) -> str:
    return f"no response: {seen.ended}" if seen.status is None else f"status {seen.status}, {seen.ended}"


def _nowhere(_seen: Capture, _at: int) -> bool:
    return False


def _matches(
    seen: Capture,
    pattern: re.Pattern[bytes],
    expected: str,
    said_by_caller: bytes = b"",
    ignore: Callable[[Capture, int], bool] = _nowhere,
) -> Iterator[Finding]:
    """The first match in the body and the first in the headers that the caller has not said first."""
    for match in pattern.finditer(seen.body):
        if match.group() not in said_by_caller and not ignore(seen, match.start()):
            yield Finding(expected, shorten(match.group()), match.start())
            break
    for match in pattern.finditer(seen.raw_head):
        if match.group() not in said_by_caller:
            yield Finding(expected, f"in the headers: {shorten(match.group())}", None)
            break


def in_words(seen: Capture, at: int) -> bool:
    """Whether a place in the body is where the assistant speaks: a model may well talk about files and names."""
    number = bisect_right(_starts(seen), at) - 1
    spans = _spans(documents(seen)[number]) if number >= 0 else ()
    return any(start <= at < end for start, end in spans)


@once
def _starts(seen: Capture) -> tuple[int, ...]:
    return tuple(document.start for document in documents(seen))


def _spans(document: Document) -> Iterator[tuple[int, int]]:
    """First byte and end in the body of each text in which the assistant speaks; none goes over several lines."""
    for path, (start, end) in document.places.items():
        if _is_words(path):
            first = document.in_body(start)
            yield first, first + end - start


def _is_words(path: Path) -> bool:
    """Whether a place in an answer or a chunk is below what the assistant says."""
    return path[:1] == ("choices",) and path[2:3] in {("message",), ("delta",)} and path[-1] in SPOKEN


def _submitted(seen: Capture) -> set[str]:
    head = seen.request.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
    pairs = (line.partition(":") for line in head)
    return {value.strip().split(" ")[-1] for name, _, value in pairs if SECRET_HEADERS.match(name)}


JUDGES = judges_in(globals())
