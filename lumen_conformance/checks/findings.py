"""What several judges ask of a JSON text, with the place of whatever is wrong."""

from collections.abc import Callable, Iterator

from lumen_conformance import schemas
from lumen_conformance.checks.verdict import Finding
from lumen_conformance.http.capture import Capture
from lumen_conformance.http.documents import JsonObject, documents, is_stream, media_type
from lumen_conformance.http.strict_json import Document, Path, spell
from lumen_conformance.schemas.compiler import Breach
from lumen_conformance.schemas.descriptions import VALUE_CHARS, format_value, name_of

MISSING = object()


def shorten(value: bytes | str) -> str:
    """Bytes or text of a body in quotes, cut to one line."""
    text = value.decode("utf-8", errors="backslashreplace") if isinstance(value, bytes) else value
    return repr(text[:VALUE_CHARS]) + "…" * (len(text) > VALUE_CHARS)


def wrong(document: Document, path: Path, expected: str) -> Finding:
    """A finding about the value at a path, or about its absence."""
    name, value = name_of(path), _value(document.value, path)
    found = "missing" if value is MISSING else format_value(value)
    return Finding(f"{name}: {expected}", f"{name} is {found}", document.offset(path), spell(path))


def _value(value: object, path: Path) -> object:
    for step in path:
        members: dict[str | int, object] = {}
        if isinstance(value, dict):
            members = dict(value)
        elif isinstance(value, list):
            members = dict(enumerate(value))
        value = members.get(step, MISSING)
    return value


def whole(seen: Capture) -> Document:
    """The body of a plain answer as one JSON text, whatever was asked for."""
    return documents(seen)[0] if not is_stream(seen) else Document(seen.body, None)


def incomplete(seen: Capture) -> Iterator[Finding]:
    """A finding when the body did not end as its framing says: then a client has half of it, or waits for ever."""
    if seen.ended != "complete":
        found = f"{seen.ended} after {len(seen.body)} bytes and {seen.ended_s:.1f} s"
        yield Finding("the end of the body", f"{found}{f': {seen.error}' if seen.error else ''}", len(seen.body))


def how_often(what: str, times: int, seen: Capture) -> str:
    """How often something came before a stream ended, and how it ended."""
    end = "the stream ended normally" if seen.ended == "complete" else f"the stream has no end ({seen.ended})"
    return f"{f'{what} {times} times' if times else f'no {what}'}; {end}"


def fits_schema(
    document: Document, name: str, elsewhere: Callable[[Breach], bool] = lambda _breach: False
) -> Iterator[Finding]:
    """A finding for each breach of a schema but those that another check tells."""
    for breach in schemas.find_breaches(name, document.value):
        if not elsewhere(breach):
            yield Finding(breach.expected, breach.found, document.offset(breach.path), spell(breach.path))


def fits_wire(document: Document, name: str) -> Iterator[Finding]:
    """A finding for each detail unlike OpenAI's own that clients can live with: the schema ``name`` tells the rest."""

    def told(breach: Breach) -> bool:
        others = schemas.find_breaches(name, document.value)
        paths = (other.path[:-1] or other.path if other.missing else other.path for other in others)
        return any(breach.path[: len(path)] == path for path in paths)

    yield from fits_schema(document, f"{name}-wire", told)


def has_type(seen: Capture, wanted: str) -> Iterator[Finding]:
    """A finding when the media type is another one."""
    if media_type(seen) != wanted:
        found = seen.header("content-type")
        yield Finding(f"content-type: {wanted}", "no content-type" if found is None else f"content-type: {found}")


def child(value: object, key: str) -> JsonObject:
    """An object's member that is an object, or an empty one."""
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}
