"""Assertions about exchanges. Each raises `Refuted` with the texts "expected" and "found" when it fails.

They raise nothing else, whatever the response contains.
"""

from __future__ import annotations

from collections.abc import Sequence
from unicodedata import normalize

from lumen_conformance import schemas
from lumen_conformance.checks.catalogue import judges
from lumen_conformance.checks.findings import child_object
from lumen_conformance.checks.preconditions import require_no_coding
from lumen_conformance.contract.session import ContractSession
from lumen_conformance.gateway.exchange import ReceivedRequest
from lumen_conformance.http.capture import LAST_CAPTURE, REFUSAL_TEXT, Capture
from lumen_conformance.http.documents import (
    JsonObject,
    answer_json,
    assistant_text,
    error_documents,
    finish_of,
    is_stream,
    media_type,
)
from lumen_conformance.http.strict_json import format_path
from lumen_conformance.registry.refutation import NotJudged, expect, shorten
from lumen_conformance.schemas.descriptions import format_value

AROUND_CHARS = 20  # before and after the first difference of two texts: one line of a report
SHOWN_BREACHES = 3  # of a schema: further breaches add no information
KEEPS_POST = {307, 308}  # redirects that clients follow with the method and the body
TEXT_CHARS = 60  # of a text in a sentence


def describe(capture: Capture) -> str:
    """Describe a response: its status, how it ended, and its error or its text. A failure shows its exchange."""
    LAST_CAPTURE.record(capture)
    if capture.status is None:
        return f"no response: {capture.ended}{f', {capture.error}' if capture.error else ''}"
    error, text = child_object(answer_json(capture), "error"), assistant_text(capture)
    content = f", the error {format_value(error)}" if error else _page_kind(capture)
    content = f", the text {shorten(text, TEXT_CHARS)}" if text else content
    return f"status {capture.status}, {capture.ended}{f' ({capture.error})' if capture.error else ''}{content}"


def lumen_metadata(capture: Capture) -> JsonObject:
    """The lumen_metadata of an answer; empty when there is none."""
    return child_object(answer_json(capture), "lumen_metadata")


def expect_response(capture: Capture, holds: bool, expected: str) -> None:  # noqa: FBT001 -- reads as an assertion
    """The claim holds; otherwise the failure describes the response."""
    if not holds:
        expect(holds, expected, describe(capture))


def expect_status(capture: Capture, *statuses: int) -> None:
    """The response has one of these statuses."""
    expect_response(capture, capture.status in statuses, f"status {' or '.join(str(status) for status in statuses)}")


def expect_client_error(capture: Capture) -> None:
    """The response has a status from 400 to 499."""
    expect_response(capture, capture.is_client_error, "a status from 400 to 499")


def is_no_failure(capture: Capture) -> bool:
    """Whether a response is an answer, or an error with a status from 400 to 499."""
    known = capture.status == 200 or capture.is_client_error
    disguised = capture.status == 200 and answer_json(capture).get("error") is not None
    return known and capture.ended == "complete" and not disguised


def expect_no_failure(capture: Capture) -> None:
    """The response is no failure of the server."""
    expect_response(capture, is_no_failure(capture), "a status from 400 to 499, or an answer")


def expect_failure(capture: Capture) -> None:
    """The response has a status from 400 to 599, and no text of the assistant."""
    holds = capture.status is not None and 400 <= capture.status < 600 and not assistant_text(capture)
    expect_response(capture, holds, "a status from 400 to 599 and no text of the assistant")


def expect_complete(capture: Capture) -> None:
    """The response is complete, and the server has read the whole request."""
    holds = capture.ended == "complete" and capture.error is None
    expect_response(capture, holds, "a complete response, and no connection reset")


def need_known_refusal(capture: Capture, *because_of: str) -> None:
    """Raise `NotJudged` for a status from 400 to 499 that says something else than that the request is refused."""
    if capture.is_client_error and not capture.is_refusal:
        raise NotJudged(f"neither an answer nor {REFUSAL_TEXT}: {describe(capture)}", because_of)


def need_no_coding(capture: Capture) -> None:
    """Raise `NotJudged` when the body has a content coding that the request does not accept."""
    LAST_CAPTURE.record(capture)
    if missing := require_no_coding(capture):
        raise NotJudged(missing.reason, missing.because_of)


def expect_text(capture: Capture, text: str, *, at: str = "") -> None:
    """The response has status 200 and exactly this text of the assistant; for long texts the difference is shown."""
    need_no_coding(capture)
    found = assistant_text(capture)
    if (capture.status, found) == (200, text):
        return
    if capture.status != 200 or not found or len(text) <= TEXT_CHARS:
        detail = describe_lookalike(found, text) if found else ", no text"
        expected = f"status 200 and the text {shorten(text, TEXT_CHARS)}"
        expect(holds=False, expected=expected, found=f"{describe(capture)}{detail}", at=at)
    place = first_difference(found, text)
    around = slice(max(0, place - AROUND_CHARS), place + AROUND_CHARS)
    expected = f"status 200 and a text of {len(text)} characters, with {text[around]!r} around character {place}"
    expect(holds=False, expected=expected, found=f"a text of {len(found)} characters, with {found[around]!r}", at=at)


def expect_whole(session: ContractSession, capture: Capture, text: str, *, although: str = "") -> None:
    """An answer has exactly this text, the finish_reason stop, no error, and as a stream the end that others have.

    ``although`` ends the expectation.
    """
    found, finish, errors = assistant_text(capture), finish_of(capture), error_documents(capture)
    if (capture.status, capture.ended, found, finish) == (200, "complete", text, "stop") and not errors:
        _expect_done(session, capture, although)
        return
    expected = f'the whole answer of {len(text)} characters with the finish_reason "stop"{although}'
    error = f", the error {format_value(errors[0].value)}" if errors else ""
    counts = f"{len(found)} characters, the finish_reason {format_value(finish)}{error}; "
    expect(holds=False, expected=expected, found=f"{counts if capture.status == 200 else ''}{describe(capture)}")


def _expect_done(session: ContractSession, capture: Capture, although: str) -> None:
    for judge in judges("D3.1", "D3.2") if is_stream(capture) else ():
        failure = judge(capture).failure
        if failure and judge(session.stream).failed:
            raise NotJudged("another stream has no valid end either", (judge.claim.check,))
        LAST_CAPTURE.record(capture)
        if failure:
            expect(holds=False, expected=f"{failure.expected}{although}", found=failure.found)


def expect_answer(session: ContractSession, capture: Capture, text: str, *, at: str = "") -> None:
    """The response answers the question: with the same text if the gateway of the suite echoes it, else with any."""
    if "gateway" in session.target.can:
        expect_text(capture, text, at=at)
        return
    need_no_coding(capture)
    expected = "status 200 and a complete answer with a choice"
    expect(session.is_answered(capture, text), expected, describe(capture), at=at)


def expect_usual_answer(session: ContractSession, capture: Capture, text: str, *, at: str = "") -> None:
    """The response answers a question that has only another form; an answer without its text may lack it usually."""
    shared = session.stream if is_stream(capture) else session.chat
    if assistant_text(shared) == session.question_text or "gateway" not in session.target.can:
        expect_answer(session, capture, text, at=at)
    expect_status(capture, 200)


def expect_answer_with_text(session: ContractSession, capture: Capture, text: str, *, at: str = "") -> None:
    """The response answers the question with a text; a model that gives no text is asked a second question."""
    expect_answer(session, capture, text, at=at)
    last = session.retry_empty_answer(capture)
    again = "" if last is capture else ", also for a second question"
    expect(bool(assistant_text(last)), "an answer with a text", f"{describe(last)}, no text{again}", at=at)


def expect_error(capture: Capture, status: int, *, kind: str | None = None, code: str) -> None:
    """The response is an error with this status, type and code."""
    need_no_coding(capture)
    error = child_object(answer_json(capture), "error")
    fields = {"code": code} | ({"type": kind} if kind else {})
    named = ", ".join(f"{name} {value!r}" for name, value in sorted(fields.items()))
    holds = capture.status == status and all(error.get(name) == value for name, value in fields.items())
    expect_response(capture, holds, f"status {status} and an error with {named}")


def expect_no_redirect_to_get(capture: Capture) -> None:
    """The response is no redirect after which clients send GET in place of POST (RFC 9110, 15.4)."""
    holds = capture.status not in {301, 302, 303}
    expect(holds, "no redirect that changes POST to GET", describe_header(capture, "Location"))


def expect_header(capture: Capture, name: str, *values: str) -> None:
    """The response has this header once with this value; without a value, it does not have the header."""
    expected = f"the header {name}: {', '.join(values)}" if values else f"no header {name}"
    expect(capture.header_all(name.lower()) == values, expected, describe_header(capture, name))


def expect_header_tokens(capture: Capture, name: str, *tokens: str) -> None:
    """The comma-separated header contains these tokens, in any case."""
    found = {token.strip().lower() for token in ",".join(capture.header_all(name.lower())).split(",")}
    expected = f"the header {name} with {', '.join(tokens)}"
    expect({token.lower() for token in tokens} <= found, expected, describe_header(capture, name))


def describe_header(capture: Capture, name: str) -> str:
    """Describe a header of a response, or its absence. A failure shows its exchange."""
    LAST_CAPTURE.record(capture)
    values = capture.header_all(name.lower())
    found = f"{name}: {', '.join(values)}" if values else f"no header {name}"
    return f"{found} (status {capture.status}{_page_kind(capture)})"


def _page_kind(capture: Capture) -> str:
    """The media type of an error that is a web page."""
    is_page = capture.status is not None and capture.status >= 400 and media_type(capture) == "text/html"
    return ", text/html" if is_page else ""


def expect_schema(capture: Capture, name: str, what: str) -> None:
    """The body matches a schema; ``what`` describes the schema."""
    need_no_coding(capture)
    expect_value_schema(name, answer_json(capture), what, describe(capture))


def expect_value_schema(name: str, value: object, what: str, response: str = "") -> None:
    """A value matches a schema; ``what`` describes the schema, ``response`` the response that has the value."""
    breaches = schemas.find_breaches(name, value)
    found = [f"{breach.found} at {format_path(breach.path)}" for breach in breaches[:SHOWN_BREACHES]]
    if more := len(breaches) - len(found):
        found.append(f"and {more} more")
    expected = "; ".join(dict.fromkeys(breach.expected for breach in breaches[:SHOWN_BREACHES]))
    expect(not breaches, f"{what}: {expected}", "; ".join(filter(None, [*found, response])))


def expect_one_call(calls: Sequence[ReceivedRequest], capture: Capture, method: str = "POST", path: str = "") -> None:
    """The gateway received exactly one request for a response, with this method and, if given, this path."""
    found = [f"{call.method} {call.path}" for call in calls]
    holds = [call.method == method and path in {"", call.path} for call in calls] == [True]
    expected = f"exactly one request to the gateway, {method} {path}".rstrip()
    expect(holds, expected, f"{', '.join(found) or 'none'}; {describe(capture)}")


def expect_equal(found: object, expected: object, what: str) -> None:
    """A value is equal to the expected one; ``what`` names the value."""
    expect(found == expected, f"{what}: {shorten(expected)}", f"{what}: {shorten(found)}")


def first_difference(one: str, other: str) -> int:
    """The index of the first character in which two texts differ."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (a, b) in pairs if a != b), min(len(one), len(other)))


def describe_lookalike(found: str, expected: str) -> str:
    """Describe the first difference of two texts that look the same; empty for other texts."""
    if found == expected or normalize("NFC", found) != normalize("NFC", expected):
        return ""
    place = first_difference(found, expected)
    there, due = (f"U+{ord(text[place]):04X}" if place < len(text) else "its end" for text in (found, expected))
    return f", which looks the same but has {there} at character {place}, not {due}"
