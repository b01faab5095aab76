"""F5: a stream that fails after its first byte."""

from collections.abc import Iterator

from lumen_conformance.checks.findings import quote, wrong_value
from lumen_conformance.checks.preconditions import require_stream_start
from lumen_conformance.checks.verdict import Finding, Findings, NotObserved, judge, judges_in
from lumen_conformance.http.capture import Capture
from lumen_conformance.http.documents import choices, data_events, error_documents

ABORTED = {"aborted", "reset"}  # all clients raise an error


@judge(
    "F5.1",
    "S",
    "mozilla-ai/any-llm#847; most clients treat an error without the key error as a short answer",
    given=require_stream_start,
)
def late_error_is_reported(capture: Capture) -> Findings:
    """A stream that fails ends with an error event or an aborted body."""
    found_errors = error_documents(capture)
    last = [event for event in data_events(capture) if event.data != b"[DONE]"][-1:]
    if found_errors and last[0].data_offset != found_errors[-1].start:
        found = f"after the error: {quote(last[0].data or b'')}"
        yield Finding("the error as the last event", found, found_errors[-1].start)
    if not found_errors and capture.ended == "complete":
        yield NotObserved("the stream ends normally without an error event", ("F5.3",))
    elif not found_errors and capture.ended not in ABORTED:
        yield Finding('data: {"error": {…}}, or an aborted body', f"neither: {capture.ended}", len(capture.body))


@judge(
    "F5.2", "S", "BerriAI/litellm#33404 ended a reset stream with the finish_reason stop", given=require_stream_start
)
def late_error_is_no_success(capture: Capture) -> Findings:
    """A stream that fails has no finish_reason."""
    if capture.ended == "complete" and not (choices(capture) or error_documents(capture)):
        yield NotObserved("the stream ends normally with neither a chunk nor an error event", ("F5.3",))
    for choice in choices(capture):
        if choice.value.get("finish_reason"):
            yield wrong_value(choice.document, (*choice.path, "finish_reason"), "null, because the stream failed")


@judge(
    "F5.3",
    "M",
    "every SDK treats a normal end of the body as a complete answer; docs/breaks.md",
    given=require_stream_start,
)
def no_clean_early_end(capture: Capture) -> Iterator[Finding]:
    """A stream that fails does not end normally without an error event."""
    if capture.ended == "complete" and not error_documents(capture):
        yield Finding("an error event, or an aborted body", "a normal end without an error event", len(capture.body))


JUDGES = judges_in(globals())
