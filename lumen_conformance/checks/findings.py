"""Functions that judges share: they compare a capture with an expectation and yield findings."""

from codecs import BOM_UTF8
from collections.abc import Callable, Iterator

from lumen_conformance import schemas
from lumen_conformance.checks.verdict import Finding
from lumen_conformance.http.capture import Capture
from lumen_conformance.http.documents import JsonObject, documents, is_stream, media_type
from lumen_conformance.http.strict_json import Document, Path, format_path
from lumen_conformance.schemas.compiler import Breach
from lumen_conformance.schemas.descriptions import VALUE_CHARS, format_value, name_of

MISSING = object()


def quote(value: bytes | str) -> str:
    """Bytes or text in quotes, cut to one line."""
    text = value.decode("utf-8", errors="backslashreplace") if isinstance(value, bytes) else value
    return repr(text[:VALUE_CHARS]) + "…" * (len(text) > VALUE_CHARS)


def wrong_value(document: Document, path: Path, expected: str) -> Finding:
    """The finding that the value at a path is not as expected, or is missing."""
    name, value = name_of(path), _value(document.value, path)
    found = "missing" if value is MISSING else format_value(value)
    return Finding(f"{name}: {expected}", f"{name} is {found}", document.offset(path), format_path(path))


def _value(value: object, path: Path) -> object:
    for step in path:
        members: dict[str | int, object] = {}
        if isinstance(value, dict):
            members = dict(value)
        elif isinstance(value, list):
            members = dict(enumerate(value))
        value = members.get(step, MISSING)
    return value


def plain_document(capture: Capture) -> Document:
    """The body of a plain answer as one JSON document; an unparsed document for a stream."""
    return documents(capture)[0] if not is_stream(capture) else Document(capture.body, None)


def find_incomplete_body(capture: Capture) -> Iterator[Finding]:
    """A finding when the body does not end as its framing states; a client gets a part of it, or waits."""
    if capture.ended != "complete":
        end = f"{capture.ended} after {len(capture.body)} bytes and {capture.ended_s:.1f} s"
        yield Finding("the end of the body", "; ".join(filter(None, [capture.error, end])), len(capture.body))


# What a body is that is no JSON, by its first bytes; white space before them does not matter.
KINDS = {
    b"\x1f\x8b": "compressed data without Content-Encoding",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
    BOM_UTF8: "a byte order mark (U+FEFF) before the value",
    b"<": "a page of HTML or XML",
    b"data:": "server-sent events",
    b"event:": "server-sent events",
}


def describe_kind(body: bytes) -> str:
    """Say what a body is that should be JSON; empty for one that begins like JSON or like nothing that is known."""
    begin = body.lstrip()
    return next((kind for first, kind in KINDS.items() if begin.startswith(first)), "" if begin else "an empty body")


def describe_count(what: str, times: int, capture: Capture) -> str:
    """Say how often something occurs in a stream, and how the stream ended."""
    end = "the stream ended normally" if capture.ended == "complete" else f"the stream has no end ({capture.ended})"
    return f"{f'{what} {times} times' if times else f'no {what}'}; {end}"


def find_schema_breaches(
    document: Document, name: str, elsewhere: Callable[[Breach], bool] = lambda _breach: False
) -> Iterator[Finding]:
    """A finding for each breach of a schema, without those that another check reports."""
    for breach in schemas.find_breaches(name, document.value):
        if not elsewhere(breach):
            yield Finding(breach.expected, breach.found, document.offset(breach.path), format_path(breach.path))


def find_wire_breaches(document: Document, name: str) -> Iterator[Finding]:
    """A finding for each breach of the stricter schema ``{name}-wire`` that is not a breach of the schema ``name``."""

    def is_reported(breach: Breach) -> bool:
        others = schemas.find_breaches(name, document.value)
        paths = (other.path[:-1] or other.path if other.missing else other.path for other in others)
        return any(breach.path[: len(path)] == path for path in paths)

    yield from find_schema_breaches(document, f"{name}-wire", is_reported)


def find_wrong_media_type(capture: Capture, wanted: str) -> Iterator[Finding]:
    """A finding when the media type is not the expected one."""
    if media_type(capture) != wanted:
        found = capture.header("content-type")
        yield Finding(f"content-type: {wanted}", "no content-type" if found is None else f"content-type: {found}")


def child_object(value: object, key: str) -> JsonObject:
    """The member of an object that is an object itself; an empty object when there is none."""
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}
