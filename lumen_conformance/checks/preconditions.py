"""Preconditions of judges: what an exchange must contain before a claim can be decided.

A function returns None when its precondition holds. Otherwise it returns the reason, and the checks that fail for the
same exchange.
"""

from __future__ import annotations

from lumen_conformance.checks.findings import child_object
from lumen_conformance.checks.verdict import EXCHANGE, NotApplicable, NotObserved, Unjudged
from lumen_conformance.http.capture import Capture
from lumen_conformance.http.content_coding import coding_of
from lumen_conformance.http.documents import (
    answer_json,
    assistant_text,
    choices,
    chunks,
    data_events,
    documents,
    error_documents,
    finish_of,
    is_chat,
    is_stream,
    request_json,
    requests_stream,
)
from lumen_conformance.http.strict_json import Document, is_whole

JSON_CHECKS = {
    "utf8": "B1.1", "constant": "B1.2", "duplicate": "B1.3", "surrogate": "B1.4", "digits": "B1.6", "range": "B1.7",
}  # fmt: skip
COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")
NO_TEXT = ("C4.2", "C4.5", "H3-usable")  # one of them fails when a plain answer has no text
NO_STREAMED_TEXT = ("E10", "E6.1")  # one of them fails when only the stream has no text


def require_response(capture: Capture) -> Unjudged | None:
    """A response was received."""
    return NotObserved(f"no response: {capture.ended}", (EXCHANGE,)) if capture.status is None else None


def require_body(capture: Capture) -> Unjudged | None:
    """A response was received; an error has a body."""
    if missing := require_response(capture):
        return missing
    if missing := require_no_coding(capture):
        return missing
    complete = capture.ended == "complete"
    bare = capture.is_error and not capture.body
    return NotObserved("the error has no body", ("F1.8" if complete else "F1.6",)) if bare else None


def require_no_coding(capture: Capture) -> Unjudged | None:
    """The body has no content coding: clients that decode it read it, others do not."""
    coding = coding_of(capture)
    return NotObserved(f"Content-Encoding: {coding} although not accepted", ("H8-unasked",)) if coding else None


def require_status_200(capture: Capture) -> Unjudged | None:
    """The status is 200, and the body has no content coding."""
    if capture.status == 200:
        return require_no_coding(capture)
    received = "no response" if capture.status is None else f"the status is {capture.status}"
    check = check_of_tool_call(capture) if requires_tool_call(capture) else "C1.1"
    return NotObserved(f"{received}, {capture.ended}", (check,) if is_chat(capture) else (EXCHANGE,))


def requires_tool_call(capture: Capture) -> bool:
    """Whether the request requires a tool call: of any tool, or of the one that it names."""
    choice = request_json(capture).get("tool_choice")
    return choice == "required" or (isinstance(choice, dict) and choice.get("type") in ("function", "custom"))


def check_of_tool_call(capture: Capture) -> str:
    """The check that fails when the tool call that the request requires does not come."""
    if requests_stream(capture):
        return "E8.4"
    return "C9.1" if request_json(capture).get("tool_choice") == "required" else "C9.7"


def require_plain_json(capture: Capture) -> Unjudged | None:
    """The request does not ask for a stream, the status is 200, and the body is JSON."""
    if missing := require_status_200(capture):
        return missing
    if requests_stream(capture):
        return NotApplicable("the request asks for a stream")
    return require_readable_json(documents(capture)[0])


def require_readable_json(document: Document) -> Unjudged | None:
    """A document is JSON that can be parsed to its end."""
    kinds = {problem.kind: None for problem in document.problems}
    checks = tuple(dict.fromkeys(JSON_CHECKS.get(kind, "B1.5") for kind in kinds))
    return None if document.readable else NotObserved("the body is not JSON", checks)


def require_answer_object(capture: Capture) -> Unjudged | None:
    """The body is a JSON object and not an error; see `require_plain_json`."""
    if missing := require_plain_json(capture):
        return missing
    found = answer_json(capture)
    if found.get("error") is not None and "choices" not in found:
        return NotObserved("the body is an error", ("C1.3",))
    return None if found else NotObserved("the body is not a JSON object, or it is empty", ("C2.5",))


def require_choices(capture: Capture) -> Unjudged | None:
    """The answer has at least one choice."""
    if missing := require_answer_object(capture):
        return missing
    return None if choices(capture) else NotObserved("the answer has no choices", ("C2.4",))


def require_messages(capture: Capture) -> Unjudged | None:
    """Each choice of the answer has a message that is an object."""
    if missing := require_choices(capture):
        return missing
    valid = all(isinstance(choice.value.get("message"), dict) for choice in choices(capture))
    return None if valid else NotObserved("a choice has no message", ("C2.5",))


def require_usage(capture: Capture) -> Unjudged | None:
    """The answer has a usage with three counts that are whole numbers."""
    if missing := require_answer_object(capture):
        return missing
    counts = (child_object(answer_json(capture), "usage").get(name) for name in COUNTS)
    return None if all(map(is_whole, counts)) else NotObserved("the usage does not have three whole numbers", ("C5.1",))


def require_usage_and_text(capture: Capture) -> Unjudged | None:
    """The answer has a usage and a text."""
    if missing := require_usage(capture) or require_messages(capture):
        return missing
    return None if assistant_text(capture) else explain_missing_text(capture)


def explain_missing_text(capture: Capture) -> Unjudged:
    """Why an answer or a stream has no text; an answer with a tool call needs none."""
    parts = (child_object(choice.value, name) for choice in choices(capture) for name in ("message", "delta"))
    if any(part.get("tool_calls") for part in parts):
        return NotApplicable("the answer calls a tool")
    if requires_tool_call(capture):
        return NotObserved("the answer has neither a text nor a tool call", (check_of_tool_call(capture),))
    if requests_stream(capture):
        return NotObserved("the stream has no text", NO_STREAMED_TEXT)
    return NotObserved("the answer has no text", NO_TEXT)


def require_several_requested(capture: Capture) -> Unjudged | None:
    """The request asks for more than one choice."""
    n = request_json(capture).get("n")
    several = isinstance(n, int) and n > 1
    return None if several else NotApplicable("the request asks for one choice")


def require_stream(capture: Capture) -> Unjudged | None:
    """The request asks for a stream, and the status is 200."""
    return (
        require_status_200(capture)
        if requests_stream(capture)
        else NotApplicable("the request does not ask for a stream")
    )


def require_stream_events(capture: Capture) -> Unjudged | None:
    """The stream has events with data."""
    if missing := require_stream(capture):
        return missing
    return None if data_events(capture) else NotObserved("the stream has no events with data", ("E1.1",))


def require_stream_chunks(capture: Capture) -> Unjudged | None:
    """The stream has chunks with choices."""
    if missing := require_stream(capture):
        return missing
    return None if choices(capture) else NotObserved("no chunk has choices", ("E1.1",))


def require_stream_finish(capture: Capture) -> Unjudged | None:
    """The stream has a finish_reason."""
    if missing := require_stream_chunks(capture):
        return missing
    return None if finish_of(capture) else NotObserved("the stream has no finish_reason", ("E3.3",))


def require_usage_requested(capture: Capture) -> Unjudged | None:
    """The request asks for a stream with usage, and the stream has chunks with choices."""
    return (
        require_stream_chunks(capture)
        if requests_usage(capture)
        else NotApplicable("the request does not ask for usage")
    )


def require_usage_not_requested(capture: Capture) -> Unjudged | None:
    """The request asks for a stream without usage, and the stream has chunks with choices."""
    return NotApplicable("the request asks for usage") if requests_usage(capture) else require_stream_chunks(capture)


def require_stream_usage(capture: Capture) -> Unjudged | None:
    """The stream has a usage."""
    if missing := require_stream_chunks(capture):
        return missing
    if usage_chunks(capture):
        return None
    return (
        NotObserved("no chunk has usage", ("E5.1",))
        if requests_usage(capture)
        else NotApplicable("the request does not ask for usage")
    )


def require_stream_token_counts(capture: Capture) -> Unjudged | None:
    """The stream has a usage, and each of its counts is a whole number."""
    if missing := require_stream_usage(capture):
        return missing
    counts = (chunk.value["usage"].get(name) for chunk in usage_chunks(capture) for name in COUNTS)
    return None if all(map(is_whole, counts)) else NotObserved("a count is not a whole number", ("E5.3",))


def require_requested_stream_usage(capture: Capture) -> Unjudged | None:
    """The request asks for a stream with usage, and the stream has a usage."""
    return require_usage_requested(capture) or require_stream_usage(capture)


def require_stream_usage_and_text(capture: Capture) -> Unjudged | None:
    """The stream has a usage and a text."""
    if missing := require_stream_usage(capture):
        return missing
    return None if assistant_text(capture) else explain_missing_text(capture)


def requests_usage(capture: Capture) -> bool:
    """Whether the request asks for usage in a stream."""
    return child_object(request_json(capture), "stream_options").get("include_usage") is True


def usage_chunks(capture: Capture) -> list[Document]:
    """The chunks with usage."""
    return [chunk for chunk in chunks(capture) if child_object(chunk.value, "usage")]


def require_error(capture: Capture) -> Unjudged | None:
    """The response is an error with a body: an error status, or an error event in a stream."""
    if missing := require_body(capture):
        return missing
    if is_stream(capture):
        return None if error_documents(capture) else NotObserved("the stream has no error event", (EXCHANGE,))
    return require_error_status(capture)


def require_error_json(capture: Capture) -> Unjudged | None:
    """The error is JSON; see `require_error`."""
    return require_error(capture) or (None if is_stream(capture) else require_readable_json(documents(capture)[0]))


def require_error_object(capture: Capture) -> Unjudged | None:
    """The error is an object with an object under the key error; see `require_error_json`."""
    if missing := require_error_json(capture):
        return missing
    found = error_documents(capture) if is_stream(capture) else documents(capture)
    valid = all(isinstance(each.value, dict) and isinstance(each.value.get("error"), dict) for each in found)
    return None if valid else NotObserved("the error is not an object under the key error", ("F1.2",))


def require_error_status(capture: Capture) -> Unjudged | None:
    """The status is an error status."""
    if missing := require_response(capture):
        return missing
    return (
        None if capture.is_error else NotObserved(f"the status is {capture.status}, not an error status", (EXCHANGE,))
    )


def require_stream_start(capture: Capture) -> Unjudged | None:
    """The request asks for a stream, and the status is 200."""
    if missing := require_response(capture):
        return missing
    if not requests_stream(capture):
        return NotApplicable("the request does not ask for a stream")
    return (
        None
        if capture.status == 200
        else NotObserved(f"the status is {capture.status}, so no stream started", (EXCHANGE,))
    )
