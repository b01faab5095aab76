"""G3 for a target whose gateway has the OpenAI API: the class, the code and the message of its errors arrive.

A status of 401 or 403 is about the key of the target, so a target may report it as a failure of its own.
"""

import pytest

from lumen_conformance.checks.findings import child_object
from lumen_conformance.checks.preconditions import require_error_object
from lumen_conformance.contract.exchanges import STREAMED
from lumen_conformance.contract.expectations import describe, expect_response
from lumen_conformance.contract.forwarded_failures import (
    BROKEN,
    FIRST_EVENT,
    LATE,
    REFUSALS,
    failed_exchange,
    is_error_in_stream,
    late_failure_exchange,
)
from lumen_conformance.contract.session import ContractSession
from lumen_conformance.gateway.replies import EVENT_MESSAGE, error_event
from lumen_conformance.http.client import Capture
from lumen_conformance.http.documents import answer_json, assistant_text, error_documents
from lumen_conformance.registry.declaration import check, check_each
from lumen_conformance.registry.refutation import NotJudged, expect
from lumen_conformance.schemas.descriptions import format_value

pytestmark = [pytest.mark.needs("gateway"), pytest.mark.profile("openai")]

CLASS = "cloudflare/ai#436 sends 400 for 503, vllm-project/vllm-ascend#8893 sends 500 for 400; RFC 9110, 15.5"
MESSAGE = "kortix-ai/suna#5986 says Bad Gateway in its place; LiteLLM 1.106.2 finds its fallback by the message of 400"
CODE = "openapi.yaml: ErrorResponse; langchain-openai 1.7.3 knows a context overflow by the code of 400"

# Failure of the gateway → the first status of its class. A lost response is a failure of the server, too.
CLASSES = {
    **{f"status-{status}": status // 100 * 100 for status in (*REFUSALS, *BROKEN)},
    **dict.fromkeys(("html-502", "reset"), 500),
}
CAUSES = {
    **{f"status-{status}": f"as the gateway's {status}" for status in (*REFUSALS, *BROKEN)},
    "html-502": "because the gateway sent HTML with status 502",
    "reset": "because the gateway reset the connection",
}


def need_error(proxy: ContractSession, name: str, *, stream: bool) -> Capture:
    """The error for a failure of the gateway; not judged when the target reports no error status."""
    capture = failed_exchange(proxy, name, stream=stream)
    if capture.is_error:
        return capture
    because_of = f"G3-forwarded-{name}{'-status' * (stream and is_error_in_stream(capture))}"
    raise NotJudged(f"no error status: {describe(capture)}", (because_of,))


def need_error_object(proxy: ContractSession, status: int, *, stream: bool) -> dict[str, object]:
    """The error in the class of the gateway's; not judged when it is of another class or has another form."""
    capture = need_error(proxy, f"status-{status}", stream=stream)
    if not is_of_class(capture, f"status-{status}"):
        raise NotJudged(f"an error of another class: {describe(capture)}", (f"G3-class-{status}",))
    if missing := require_error_object(capture):
        raise NotJudged(missing.reason, missing.because_of)
    return child_object(answer_json(capture), "error")


def is_of_class(capture: Capture, name: str) -> bool:
    """Whether a response has a status of the class of this failure: 4xx or 5xx."""
    return capture.status is not None and 0 <= capture.status - CLASSES[name] < 100


@STREAMED
@check_each("name", {f"G3-class-{name.removeprefix('status-')}": name for name in CLASSES}, tier="S", source=CLASS)
def test_class(stream: bool, name: str, proxy: ContractSession) -> None:  # noqa: FBT001 -- a row
    """An error of the gateway ({row}) stays one of the client (4xx) or of the server (5xx)."""
    capture, first = need_error(proxy, name, stream=stream), CLASSES[name]
    expected = f"a status from {first} to {first + 99}, {CAUSES[name]}"
    expect_response(capture, is_of_class(capture, name), expected)


@STREAMED
@check_each("status", {f"G3-message-{status}": status for status in REFUSALS}, tier="S", source=MESSAGE)
def test_message(stream: bool, status: int, proxy: ContractSession) -> None:  # noqa: FBT001 -- a row
    """The message of the gateway's error ({row}) is in the message of the error."""
    expect_message(need_error_object(proxy, status, stream=stream), REFUSALS[status][1])


@STREAMED
@check_each("status", {f"G3-code-{status}": status for status in REFUSALS}, tier="S", source=CODE)
def test_code(stream: bool, status: int, proxy: ContractSession) -> None:  # noqa: FBT001 -- a row
    """The code of the gateway's error ({row}) is the code of the error."""
    error, code = need_error_object(proxy, status, stream=stream), REFUSALS[status][0]
    expect(
        error.get("code") == code, f"the code {code!r} of the gateway", f"the code {format_value(error.get('code'))}"
    )


def expect_message(error: dict[str, object], message: str) -> None:
    """The message of an error contains that of the gateway."""
    found = error.get("message")
    holds = isinstance(found, str) and message in found
    expect(holds, f"the message of the gateway: {message!r}", f"the message {format_value(found)}")


@check("G3-first-event", source="Oaklight/llm-rosetta#454 ends such a stream as an empty answer")
def test_first_event(proxy: ContractSession) -> None:
    """An error as the first event of the gateway's stream gives an error, not an empty answer."""
    capture = failed_exchange(proxy, FIRST_EVENT, stream=True)
    failed = capture.is_error or bool(error_documents(capture)) or capture.ended != "complete"
    expected = "an error status or an error event and no text, because the gateway's first event is an error"
    expect_response(capture, failed and not assistant_text(capture), expected)


@check("G3-message-first-event", tier="S", source="Oaklight/llm-rosetta#454; vercel/ai#18303")
def test_message_of_first_event(proxy: ContractSession) -> None:
    """The message of an error in the gateway's first event is in the message of the error."""
    capture = failed_exchange(proxy, FIRST_EVENT, stream=True)
    expect_event_message(capture, "G3-first-event")


@check("G3-message-late", tier="S", source="vercel/ai#18303 says Stream error occurred in place of the reason")
def test_message_of_late_error(proxy: ContractSession) -> None:
    """The message of an error event of the gateway after the first content arrives in an error event."""
    capture = late_failure_exchange(proxy, LATE, error_event)
    if capture.is_error:
        raise NotJudged(f"the failure came before the stream started: {describe(capture)}", ("E9",))
    expect_event_message(capture, "F5.3")


def expect_event_message(capture: Capture, no_error: str) -> None:
    """The error has the message of the gateway's error event; ``no_error`` is the check that reports its absence."""
    events = error_documents(capture)
    if not events and capture.ended == "complete" and capture.status == 200:
        raise NotJudged(f"no error: {describe(capture)}", (no_error,))
    errors = [child_object(event.value, "error") for event in events] or [child_object(answer_json(capture), "error")]
    found = [error.get("message") for error in errors]
    holds = any(isinstance(each, str) and EVENT_MESSAGE in each for each in found)
    said = f"the message {format_value(found[-1])}" if found[-1] is not None else f"none: {describe(capture)}"
    expect(holds, f"the message of the gateway: {EVENT_MESSAGE!r}", said)
