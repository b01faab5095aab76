"""F6: no response contains internals of the server: tracebacks, file paths, the address of the gateway, keys."""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator

from lumen_conformance.checks.findings import quote
from lumen_conformance.checks.preconditions import require_response
from lumen_conformance.checks.verdict import (
    Finding,
    Findings,
    JudgeContext,
    NotApplicable,
    judge,
    judge_with_context,
    judges_in,
)
from lumen_conformance.http.capture import Capture
from lumen_conformance.http.curl import SECRET_HEADERS
from lumen_conformance.http.documents import cached_on_capture, documents
from lumen_conformance.http.strict_json import Document, Path

TRACEBACK = re.compile(rb"Traceback \(most recent call last\)|File \\?\"[^\"]+\", line [0-9]+|\.py:[0-9]+")
# Folders of programs on Unix and Windows; not "/v1/…", which an error may name.
FILE_PATH = re.compile(
    rb"(?:/(?:home|usr|root|tmp|var|opt|srv|Users|private)/|[A-Za-z]:\\{1,2})[\w.-]+|(?<![\w-])[\w-]+\.py\b"
)
SHORT_SECRET = 6  # characters: shorter ones occur in ordinary words
TEXT_MEMBERS = {"content", "reasoning_content", "refusal", "arguments"}  # members that contain the model's text


@judge("F6.1", "M", "ray-project/ray#64832, BerriAI/litellm#39757", given=require_response)
def no_traceback(capture: Capture) -> Iterator[Finding]:
    """No body or header contains a traceback."""
    yield from _matches(capture, TRACEBACK, "no traceback")


@judge_with_context(
    "F6.2", "S", "no recorded error of api.openai.com contains a path; ray-project/ray#64832", given=require_response
)
def no_file_path(capture: Capture, context: JudgeContext) -> Iterator[Finding]:
    """No header, and no body outside the assistant's text, contains a file path that the client has not sent."""
    sent_by_client = b"\n".join([capture.request, context.model.encode()])
    yield from _matches(capture, FILE_PATH, "no file path of the server", sent_by_client, ignore=is_in_text)


@judge_with_context(
    "F6.3",
    "M",
    "CWE-209; LiteLLM and others print the address that they called",
    needs="upstream",
    given=require_response,
)
def no_upstream_address(capture: Capture, context: JudgeContext) -> Iterator[Finding]:
    """No body or header contains the address of the gateway."""
    for address in context.upstream:
        yield from _matches(capture, re.compile(re.escape(address.encode())), "no address of the gateway")


@judge_with_context("F6.4", "M", "BerriAI/litellm#39293, RockChinQ/free-one-api#144", given=require_response)
def no_secret(capture: Capture, context: JudgeContext) -> Findings:
    """No header, and no body outside the assistant's text, contains a configured or submitted key."""
    secrets = [secret for secret in {*context.secrets, *_submitted(capture)} if len(secret) >= SHORT_SECRET]
    if not secrets:
        yield NotApplicable("no key is configured or submitted")
    sent_by_client = b"\n".join([capture.request_body, context.model.encode()])
    for secret in secrets:
        whole_word = re.compile(rb"(?<![\w-])" + re.escape(secret.encode()) + rb"(?![\w-])")
        yield from _matches(
            capture, whole_word, "no configured and no submitted key", sent_by_client, ignore=is_in_text
        )


def _nowhere(_capture: Capture, _at: int) -> bool:
    return False


def _matches(
    capture: Capture,
    pattern: re.Pattern[bytes],
    expected: str,
    sent_by_client: bytes = b"",
    ignore: Callable[[Capture, int], bool] = _nowhere,
) -> Iterator[Finding]:
    """The first match in the body and the first in the headers that the client has not sent."""
    for match in pattern.finditer(capture.body):
        if match.group() not in sent_by_client and not ignore(capture, match.start()):
            yield Finding(expected, quote(match.group()), match.start())
            break
    for match in pattern.finditer(capture.raw_head):
        if match.group() not in sent_by_client:
            yield Finding(expected, f"in the headers: {quote(match.group())}", None)
            break


def is_in_text(capture: Capture, at: int) -> bool:
    """Whether an offset in the body is in the assistant's text, which may contain paths and names."""
    number = bisect_right(_starts(capture), at) - 1
    spans = _spans(documents(capture)[number]) if number >= 0 else ()
    return any(start <= at < end for start, end in spans)


@cached_on_capture
def _starts(capture: Capture) -> tuple[int, ...]:
    return tuple(document.start for document in documents(capture))


def _spans(document: Document) -> Iterator[tuple[int, int]]:
    """The start and end offset of each text of the assistant; a JSON string never spans several data lines."""
    for path, (start, end) in document.spans.items():
        if _is_text_path(path):
            first = document.body_offset(start)
            yield first, first + end - start


def _is_text_path(path: Path) -> bool:
    """Whether a path in an answer or a chunk is that of the assistant's text."""
    return path[:1] == ("choices",) and path[2:3] in {("message",), ("delta",)} and path[-1] in TEXT_MEMBERS


def _submitted(capture: Capture) -> set[str]:
    head = capture.request.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
    pairs = (line.partition(":") for line in head)
    return {value.strip().split(" ")[-1] for name, _, value in pairs if SECRET_HEADERS.match(name)}


JUDGES = judges_in(globals())
