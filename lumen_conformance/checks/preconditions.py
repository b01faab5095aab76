"""What a claim must see before it can be decided, and which check says why it is not there.

Each function returns None when the precondition holds.  The checks are those that fail for the same exchange.
"""

from __future__ import annotations

from lumen_conformance.checks.findings import child
from lumen_conformance.checks.verdict import EXCHANGE, NotApplicable, NotSeen, Unjudged
from lumen_conformance.http.capture import Capture
from lumen_conformance.http.documents import (
    answer,
    asks_stream,
    choices,
    chunks,
    documents,
    errors,
    finish_of,
    is_chat,
    is_stream,
    payloads,
    request_of,
    said,
)
from lumen_conformance.http.strict_json import Document, is_whole

JSON_CHECKS = {
    "utf8": "B1.1", "constant": "B1.2", "duplicate": "B1.3", "surrogate": "B1.4", "digits": "B1.6", "range": "B1.7",
}  # fmt: skip
COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")
REFUSED = 400  # and above: an error status
NO_TEXT = ("C4.2", "C4.5", "H3.usable")  # one of them fails where a plain answer has no text
NO_STREAMED_TEXT = ("E10", "E6.1")  # one of them fails where a stream has none and the plain answer has


def responded(seen: Capture) -> Unjudged | None:
    """A response came."""
    return NotSeen(f"no response: {seen.ended}", (EXCHANGE,)) if seen.status is None else None


def embodied(seen: Capture) -> Unjudged | None:
    """A response came, and if it is an error, it has a body."""
    if missing := responded(seen):
        return missing
    whole = seen.ended == "complete"
    bare = _is_error(seen) and not seen.body
    return NotSeen("the error has no body", ("F1.8" if whole else "F1.6",)) if bare else None


def answered(seen: Capture) -> Unjudged | None:
    """The status is 200."""
    if seen.status == 200:
        return None
    came = "no response" if seen.status is None else f"the status is {seen.status}"
    told_by = "E8.4" if must_call(seen) else "C1.1"
    return NotSeen(f"{came}, {seen.ended}", (told_by,) if is_chat(seen) else (EXCHANGE,))


def must_call(seen: Capture) -> bool:
    """Whether the request leaves no choice but to call a tool."""
    return request_of(seen).get("tool_choice") == "required"


def plain_json(seen: Capture) -> Unjudged | None:
    """The request was answered, not with a stream, and the body is JSON."""
    if missing := answered(seen):
        return missing
    if asks_stream(seen):
        return NotApplicable("a stream was asked for")
    return readable(documents(seen)[0])


def readable(document: Document) -> Unjudged | None:
    """A text is JSON as far as it can be read."""
    kinds = {problem.kind: None for problem in document.problems}
    checks = tuple(dict.fromkeys(JSON_CHECKS.get(kind, "B1.5") for kind in kinds))
    return None if document.readable else NotSeen("the body is no JSON", checks)


def plain_object(seen: Capture) -> Unjudged | None:
    """The request was answered with a JSON object that is no error."""
    if missing := plain_json(seen):
        return missing
    found = answer(seen)
    if found.get("error") is not None and "choices" not in found:
        return NotSeen("the body is an error", ("C1.3",))
    return None if found else NotSeen("the body is no JSON object, or an empty one", ("C2.5",))


def plain_choices(seen: Capture) -> Unjudged | None:
    """The request was answered with at least one choice."""
    if missing := plain_object(seen):
        return missing
    return None if choices(seen) else NotSeen("the answer has no choices", ("C2.4",))


def plain_messages(seen: Capture) -> Unjudged | None:
    """Each choice of the answer has a message that is an object."""
    if missing := plain_choices(seen):
        return missing
    whole = all(isinstance(choice.value.get("message"), dict) for choice in choices(seen))
    return None if whole else NotSeen("a choice has no message", ("C2.5",))


def plain_usage(seen: Capture) -> Unjudged | None:
    """The answer has a usage with its three counts, each a whole number."""
    if missing := plain_object(seen):
        return missing
    counts = (child(answer(seen), "usage").get(name) for name in COUNTS)
    return None if all(map(is_whole, counts)) else NotSeen("the usage is not three counts", ("C5.1",))


def plain_words(seen: Capture) -> Unjudged | None:
    """The answer has a usage, and a text to be counted."""
    if missing := plain_usage(seen) or plain_messages(seen):
        return missing
    return None if said(seen) else no_text(seen)


def no_text(seen: Capture) -> Unjudged:
    """Why nothing can be said of the text of an answer that has none; an answer that calls a tool needs none."""
    parts = (child(choice.value, name) for choice in choices(seen) for name in ("message", "delta"))
    if any(part.get("tool_calls") for part in parts):
        return NotApplicable("a tool is called")
    if asks_stream(seen):
        return NotSeen("the stream has no text", NO_STREAMED_TEXT)
    return NotSeen("the answer has no text", NO_TEXT)


def several_asked(seen: Capture) -> Unjudged | None:
    """More than one choice was asked for."""
    wanted = request_of(seen).get("n")
    several = isinstance(wanted, int) and wanted > 1
    return None if several else NotApplicable("one choice was asked for")


def streamed(seen: Capture) -> Unjudged | None:
    """The request for a stream was answered with status 200."""
    return answered(seen) if asks_stream(seen) else NotApplicable("no stream was asked for")


def stream_events(seen: Capture) -> Unjudged | None:
    """The stream has events with data."""
    if missing := streamed(seen):
        return missing
    return None if payloads(seen) else NotSeen("the stream has no events with data", ("E1.1",))


def stream_chunks(seen: Capture) -> Unjudged | None:
    """The stream has chunks with choices."""
    if missing := streamed(seen):
        return missing
    return None if choices(seen) else NotSeen("no chunk has choices", ("E1.1",))


def stream_finish(seen: Capture) -> Unjudged | None:
    """The stream has a finish reason."""
    if missing := stream_chunks(seen):
        return missing
    return None if finish_of(seen) else NotSeen("the stream has no finish_reason", ("E3.3",))


def usage_asked(seen: Capture) -> Unjudged | None:
    """A stream with usage was asked for, and chunks came."""
    return stream_chunks(seen) if asks_usage(seen) else NotApplicable("no usage was asked for")


def usage_unasked(seen: Capture) -> Unjudged | None:
    """A stream without usage was asked for, and chunks came."""
    return NotApplicable("usage was asked for") if asks_usage(seen) else stream_chunks(seen)


def stream_usage(seen: Capture) -> Unjudged | None:
    """The stream has a usage."""
    if missing := stream_chunks(seen):
        return missing
    if counted(seen):
        return None
    return NotSeen("no chunk has usage", ("E5.1",)) if asks_usage(seen) else NotApplicable("no usage was asked for")


def stream_counts(seen: Capture) -> Unjudged | None:
    """The stream has a usage, and no count in it is anything but a whole number."""
    if missing := stream_usage(seen):
        return missing
    counts = (chunk.value["usage"].get(name) for chunk in counted(seen) for name in COUNTS)
    return None if all(map(is_whole, counts)) else NotSeen("a count is no whole number", ("E5.3",))


def usage_asked_and_seen(seen: Capture) -> Unjudged | None:
    """A stream with usage was asked for, and usage came."""
    return usage_asked(seen) or stream_usage(seen)


def stream_usage_of_words(seen: Capture) -> Unjudged | None:
    """The stream has a usage, and a text to be counted."""
    if missing := stream_usage(seen):
        return missing
    return None if said(seen) else no_text(seen)


def asks_usage(seen: Capture) -> bool:
    """Whether the request asked for usage in a stream."""
    return child(request_of(seen), "stream_options").get("include_usage") is True


def counted(seen: Capture) -> list[Document]:
    """The chunks with usage."""
    return [chunk for chunk in chunks(seen) if child(chunk.value, "usage")]


def error_sent(seen: Capture) -> Unjudged | None:
    """An error came with a body: as a status, or as an event of a stream."""
    if missing := embodied(seen):
        return missing
    if is_stream(seen):
        return None if errors(seen) else NotSeen("the stream has no error event", (EXCHANGE,))
    return refused(seen)


def error_json(seen: Capture) -> Unjudged | None:
    """The error that came is JSON."""
    return error_sent(seen) or (None if is_stream(seen) else readable(documents(seen)[0]))


def error_object(seen: Capture) -> Unjudged | None:
    """The error that came is the object that clients look into."""
    if missing := error_json(seen):
        return missing
    told = errors(seen) if is_stream(seen) else documents(seen)
    whole = all(isinstance(each.value, dict) and isinstance(each.value.get("error"), dict) for each in told)
    return None if whole else NotSeen("the error is no object below the key error", ("F1.2",))


def refused(seen: Capture) -> Unjudged | None:
    """The status is an error status."""
    if missing := responded(seen):
        return missing
    return None if _is_error(seen) else NotSeen(f"the status is {seen.status}: no error was sent", (EXCHANGE,))


def _is_error(seen: Capture) -> bool:
    return seen.status is not None and seen.status >= REFUSED


def begun(seen: Capture) -> Unjudged | None:
    """A stream was begun, with status 200."""
    if missing := responded(seen):
        return missing
    if not asks_stream(seen):
        return NotApplicable("no stream was asked for")
    return None if seen.status == 200 else NotSeen(f"the status is {seen.status}: no stream was begun", (EXCHANGE,))
