"""From a capture to what it says: its JSON texts, the chunks of a stream, and the choices within them.

Whether a capture is a stream is decided by what was asked for and by the status, never by what the server claims in
its media type: that claim is judged (D1.1) and must not hide the rest.
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
Read = TypeVar("Read")


def once(read: Callable[[Capture], Read]) -> Callable[[Capture], Read]:
    """Make a function read a capture once: the result is kept with the capture."""

    @wraps(read)
    def ask(seen: Capture) -> Read:
        if read not in seen.derived:
            seen.derived[read] = read(seen)
        found: Read = seen.derived[read]
        return found

    return ask


@dataclass(frozen=True)
class Choice:
    """One entry of ``choices`` in one chunk."""

    document: Document
    path: Path
    value: JsonObject

    @property
    def delta(self) -> JsonObject:
        """Its delta; empty when that is absent or no object."""
        delta = self.value.get("delta")
        return delta if isinstance(delta, dict) else {}

    def offset(self, *steps: str | int) -> int:
        """Where a value below this choice begins."""
        return self.document.offset((*self.path, *steps))


@once
def request_of(seen: Capture) -> JsonObject:
    """The request's JSON object; empty when it was none."""
    try:
        request = json.loads(seen.request_body)
    except (ValueError, RecursionError):
        return {}
    return request if isinstance(request, dict) else {}


def is_chat(seen: Capture) -> bool:
    """Whether a chat completion was asked for."""
    return seen.method == "POST" and seen.url.partition("?")[0].rstrip("/").endswith(CHAT_SUFFIX)


def asks_stream(seen: Capture) -> bool:
    """Whether a stream was asked for."""
    return request_of(seen).get("stream") is True


def is_stream(seen: Capture) -> bool:
    """Whether the body is to be read as events: they were asked for, and no error status came instead."""
    return asks_stream(seen) and seen.status == 200


def media_type(seen: Capture) -> str:
    """The media type without its parameters, in lower case; empty when there is none."""
    return (seen.header("content-type") or "").partition(";")[0].strip().lower()


@once
def events(seen: Capture) -> tuple[sse.Event, ...]:
    """The body as events; what is left of an event where the body was cut is none."""
    found = sse.parse(seen.body)
    cut = found and not found[-1].closed and seen.ended != "complete"
    return found[:-1] if cut else found


@once
def payloads(seen: Capture) -> tuple[sse.Event, ...]:
    """The events of a stream that carry data, ``[DONE]`` included."""
    return tuple(event for event in events(seen) if event.data is not None)


@once
def documents(seen: Capture) -> tuple[Document, ...]:
    """Every JSON text of the body: one, or that of each event before ``[DONE]`` (D3.2 judges what follows it)."""
    if not is_stream(seen):
        return (parse(seen.body),)
    before = takewhile(lambda event: event.data != DONE, payloads(seen))
    return tuple(parse(event.data or b"", event.data_places) for event in before)


def answer(seen: Capture) -> JsonObject:
    """The body's JSON object; empty when it is none (B1 and C2 say so)."""
    value = documents(seen)[0].value if not is_stream(seen) else None
    return value if isinstance(value, dict) else {}


def is_error(document: Document) -> bool:
    """Whether a JSON text tells of an error at its top level."""
    return isinstance(document.value, dict) and document.value.get("error") is not None


@once
def chunks(seen: Capture) -> tuple[Document, ...]:
    """The events that are JSON objects and no errors."""
    return tuple(each for each in documents(seen) if isinstance(each.value, dict) and not is_error(each))


@once
def errors(seen: Capture) -> tuple[Document, ...]:
    """The JSON objects with a top-level ``error``."""
    return tuple(filter(is_error, documents(seen)))


def choices_in(document: Document) -> Iterator[Choice]:
    """The entries of ``choices`` that are objects."""
    listed = document.value.get("choices") if isinstance(document.value, dict) else None
    for position, value in enumerate(listed if isinstance(listed, list) else []):
        if isinstance(value, dict):
            yield Choice(document, ("choices", position), value)


@once
def choices(seen: Capture) -> tuple[Choice, ...]:
    """The choices of a plain answer, or of all chunks of a stream, in order."""
    found = chunks(seen) if is_stream(seen) else documents(seen)
    return tuple(choice for document in found for choice in choices_in(document))


@once
def by_index(seen: Capture) -> dict[str, list[Choice]]:
    """The entries of all chunks, in order, by their ``index``."""
    found: dict[str, list[Choice]] = defaultdict(list)
    for choice in choices(seen) if is_stream(seen) else ():
        found[str(choice.value.get("index"))].append(choice)
    return dict(found)


def contents(choices_of_one: Iterable[Choice]) -> list[str]:
    """The non-empty pieces of text, in order."""
    pieces = (choice.delta.get("content") for choice in choices_of_one)
    return [piece for piece in pieces if isinstance(piece, str) and piece]


@once
def said(seen: Capture) -> str:
    """The assistant's words of the first choice: of a plain answer, or the joined deltas of a stream."""
    if is_stream(seen):
        return "".join(contents(next(iter(by_index(seen).values()), [])))
    message = choices(seen)[0].value.get("message") if choices(seen) else None
    content = message.get("content") if isinstance(message, dict) else None
    return content if isinstance(content, str) else ""


@once
def finish_of(seen: Capture) -> object:
    """The last finish reason that is not null, or None."""
    reasons = (choice.value.get("finish_reason") for choice in reversed(choices(seen)))
    return next((reason for reason in reasons if reason is not None), None)
