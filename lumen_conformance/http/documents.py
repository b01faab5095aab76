"""Decoded parts of a capture: its JSON documents, the chunks of a stream, and the choices in them.

The request and the status decide whether a capture is a stream, not the media type: check D1.1 tests the media type,
and a wrong one must not hide other defects.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import wraps
from itertools import takewhile
from typing import Any, TypeVar

from lumen_conformance.http import sse
from lumen_conformance.http.capture import Capture
from lumen_conformance.http.strict_json import Document, Path, parse

DONE = b"[DONE]"
CHAT_SUFFIX = "/chat/completions"
JsonObject = dict[str, Any]
Value = TypeVar("Value")


def cached_on_capture(compute: Callable[[Capture], Value]) -> Callable[[Capture], Value]:
    """Compute a value of a capture once: the result is stored in `Capture.derived`."""

    @wraps(compute)
    def get(capture: Capture) -> Value:
        if compute not in capture.derived:
            capture.derived[compute] = compute(capture)
        value: Value = capture.derived[compute]
        return value

    return get


@dataclass(frozen=True)
class Choice:
    """One entry of ``choices`` in one chunk."""

    document: Document
    path: Path
    value: JsonObject

    @property
    def delta(self) -> JsonObject:
        """The delta; empty when it is absent or not an object."""
        delta = self.value.get("delta")
        return delta if isinstance(delta, dict) else {}

    def offset(self, *steps: str | int) -> int:
        """The byte offset of a value in this choice."""
        return self.document.offset((*self.path, *steps))


@cached_on_capture
def request_json(capture: Capture) -> JsonObject:
    """The JSON object of the request; empty when the request body is not a JSON object."""
    try:
        request = json.loads(capture.request_body)
    except (ValueError, RecursionError):
        return {}
    return request if isinstance(request, dict) else {}


def is_chat(capture: Capture) -> bool:
    """Whether the request asks for a chat completion."""
    return capture.method == "POST" and capture.url.partition("?")[0].rstrip("/").endswith(CHAT_SUFFIX)


def requests_stream(capture: Capture) -> bool:
    """Whether the request asks for a stream."""
    return request_json(capture).get("stream") is True


def is_stream(capture: Capture) -> bool:
    """Whether the body is parsed as events: the request asks for a stream, and the status is 200."""
    return requests_stream(capture) and capture.status == 200


def media_type(capture: Capture) -> str:
    """The media type without parameters, in lower case; empty when there is none."""
    return (capture.header("content-type") or "").partition(";")[0].strip().lower()


@cached_on_capture
def events(capture: Capture) -> tuple[sse.Event, ...]:
    """The events of the body, without an incomplete event at the end of a body that was cut off."""
    found = sse.parse(capture.body)
    cut = found and not found[-1].closed and capture.ended != "complete"
    return found[:-1] if cut else found


@cached_on_capture
def data_events(capture: Capture) -> tuple[sse.Event, ...]:
    """The events with data, ``[DONE]`` included."""
    return tuple(event for event in events(capture) if event.data is not None)


@cached_on_capture
def documents(capture: Capture) -> tuple[Document, ...]:
    """The JSON text of the body, or of each event before ``[DONE]`` (check D3.2 tests what follows ``[DONE]``)."""
    if not is_stream(capture):
        return (parse(capture.body),)
    before = takewhile(lambda event: event.data != DONE, data_events(capture))
    return tuple(parse(event.data or b"", event.data_offsets) for event in before)


def answer_json(capture: Capture) -> JsonObject:
    """The JSON object of the body; empty when the body is not a JSON object (checks B1.* and C2.5 fail then)."""
    value = documents(capture)[0].value if not is_stream(capture) else None
    return value if isinstance(value, dict) else {}


def is_error(document: Document) -> bool:
    """Whether a JSON text has an error at its top level."""
    return isinstance(document.value, dict) and document.value.get("error") is not None


@cached_on_capture
def chunks(capture: Capture) -> tuple[Document, ...]:
    """The JSON objects without a top-level ``error``."""
    return tuple(each for each in documents(capture) if isinstance(each.value, dict) and not is_error(each))


@cached_on_capture
def error_documents(capture: Capture) -> tuple[Document, ...]:
    """The JSON objects with a top-level ``error``."""
    return tuple(filter(is_error, documents(capture)))


def choices_in(document: Document) -> Iterator[Choice]:
    """The entries of ``choices`` that are objects."""
    listed = document.value.get("choices") if isinstance(document.value, dict) else None
    for position, value in enumerate(listed if isinstance(listed, list) else []):
        if isinstance(value, dict):
            yield Choice(document, ("choices", position), value)


@cached_on_capture
def choices(capture: Capture) -> tuple[Choice, ...]:
    """The choices of a plain answer, or of all chunks of a stream, in order."""
    found = chunks(capture) if is_stream(capture) else documents(capture)
    return tuple(choice for document in found for choice in choices_in(document))


@cached_on_capture
def choices_by_index(capture: Capture) -> dict[str, list[Choice]]:
    """The choices of all chunks by their ``index``, in order."""
    found: dict[str, list[Choice]] = defaultdict(list)
    for choice in choices(capture) if is_stream(capture) else ():
        found[str(choice.value.get("index"))].append(choice)
    return dict(found)


def content_pieces(choices_of_one: Iterable[Choice]) -> list[str]:
    """The non-empty pieces of text, in order."""
    pieces = (choice.delta.get("content") for choice in choices_of_one)
    return [piece for piece in pieces if isinstance(piece, str) and piece]


@cached_on_capture
def assistant_text(capture: Capture) -> str:
    """The text of the first choice: its message, or the joined deltas of a stream."""
    if is_stream(capture):
        return "".join(content_pieces(next(iter(choices_by_index(capture).values()), [])))
    message = choices(capture)[0].value.get("message") if choices(capture) else None
    content = message.get("content") if isinstance(message, dict) else None
    return content if isinstance(content, str) else ""


@cached_on_capture
def finish_of(capture: Capture) -> object:
    """The last finish_reason that is not null, or None."""
    reasons = (choice.value.get("finish_reason") for choice in reversed(choices(capture)))
    return next((reason for reason in reasons if reason is not None), None)
