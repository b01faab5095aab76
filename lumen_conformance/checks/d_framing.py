"""D: server-sent events, as bytes."""

import re
from codecs import BOM_UTF8
from collections.abc import Iterator
from itertools import islice

from lumen_conformance.checks.findings import has_type, how_often, shorten
from lumen_conformance.checks.preconditions import no_text, responded, stream_chunks, stream_events, streamed
from lumen_conformance.checks.verdict import (
    Finding,
    Findings,
    Known,
    NotApplicable,
    NotSeen,
    informed,
    judge,
    judges_in,
)
from lumen_conformance.http import sse
from lumen_conformance.http.capture import Capture
from lumen_conformance.http.documents import DONE, documents, events, payloads, request_of, said

REPLACEMENT = "\ufffd"
REPLACEMENT_ESCAPE = re.compile(rb"\\+u[fF]{3}[dD]")
CLOSE_WITHIN_S = 2.0  # the AI SDK reads to the end of the body: its caller waits as long as the server dawdles
DISPATCHING = {
    b"event",
    b"retry",
}  # openai-python 2.54.0, _streaming.py:343: with one of them an event has data, or crashes
MARKERS = ("[DONE]", "data:")


def _done(seen: Capture) -> list[sse.Event]:
    return [event for event in payloads(seen) if event.data == DONE]


def _text(line: sse.Line) -> str:
    return shorten(line.field + b": " + line.value if line.value else line.field)


@judge("D1.1", "M", "vllm-ascend#6985 said application/json, ramalama#2902 text/plain", given=streamed)
def media_type_event_stream(seen: Capture) -> Iterator[Finding]:
    """A stream has the media type text/event-stream."""
    yield from has_type(seen, "text/event-stream")


@judge(
    "D1.2", "M", "OmniRoute#1146; openai-python 2.54.0 raises JSONDecodeError on the empty data", given=stream_events
)
def no_event_without_data(seen: Capture) -> Iterator[Finding]:
    """No event has a name, an id or a retry time without data; after an id, no comment stands alone."""
    numbered = False  # an id holds for all events that follow, so openai-python makes an event even of a comment
    for event in events(seen):
        numbered = numbered or any(line.field == b"id" and line.value for line in event.lines)
        named = [line for line in event.lines if line.field in DISPATCHING and line.value]
        if event.data is None and (named or numbered):
            line = named[0] if named else event.lines[0]
            yield Finding(
                "an event with data, or a comment where no id came before",
                f"an event without data: {_text(line)}",
                event.offset,
            )


@judge("D1.3", "S", "WHATWG HTML, 9.2.6: a reader gets it under another name than message", given=stream_events)
def no_other_names(seen: Capture) -> Iterator[Finding]:
    """No event with data has a name but message."""
    for event in payloads(seen):
        for line in event.lines:
            if line.field == b"event" and line.value not in {b"", b"message"}:
                yield Finding("no event line, or event: message", _text(line), line.offset)


@judge("D1.4", "S", "recorded streams of api.openai.com have data lines only", given=stream_events)
def only_data_and_comments(seen: Capture) -> Iterator[Finding]:
    """Beside its data an event has comments only."""
    for event in payloads(seen):
        for line in event.lines:
            renamed = line.field == b"event" and line.value != b"message"  # D1.3
            if line.field != b"data" and not line.comment and not renamed:
                yield Finding("a data line or a comment", _text(line), line.offset)


@judge("D2.1", "M", "WHATWG HTML, 9.2.6: an event that no blank line closes is thrown away", given=stream_events)
def every_event_is_closed(seen: Capture) -> Iterator[Finding]:
    """Every event but [DONE] ends with a blank line."""
    yield from (_open(event) for event in events(seen) if not event.closed and event.data != DONE)


@judge("D2.2", "M", "OpenMetadata#29531: U+0085 and U+2028 are text, not line ends", given=stream_events)
def events_are_whole(seen: Capture) -> Iterator[Finding]:
    """Every event carries one whole JSON text or [DONE]."""
    for document in documents(seen):
        for problem in document.problems:
            if problem.kind in {"syntax", "extra"}:
                yield Finding("one JSON text", problem.found, document.in_body(problem.offset))


@judge("D2.3", "S", "WHATWG HTML, 9.2.6; no client misses [DONE]", given=stream_events)
def done_is_closed(seen: Capture) -> Iterator[Finding]:
    """The event [DONE] ends with a blank line."""
    yield from (_open(event) for event in events(seen) if not event.closed and event.data == DONE)


@judge("D2.4", "M", "WHATWG HTML, 9.2.6 skips it; openai-python loses the first event with it", given=stream_events)
def no_byte_order_mark(seen: Capture) -> Iterator[Finding]:
    """No line of a stream begins with a byte order mark."""
    if seen.body.startswith(BOM_UTF8):
        yield Finding("the first event at the start of the stream", "a byte order mark (U+FEFF) at the start", 0)
    for line in (line for event in events(seen) for line in event.lines if line.field.startswith(BOM_UTF8)):
        yield Finding("a line without a byte order mark (U+FEFF)", _text(line), line.offset)


@judge(
    "D3.1",
    "M",
    "ik_llama.cpp#467: inference-benchmarker 687e477 fails without one; TGI#1896; a second one cuts all clients",
    given=stream_events,
)
def done_once(seen: Capture) -> Iterator[Finding]:
    """A stream has `data: [DONE]` exactly once."""
    found = _done(seen)
    if len(found) != 1:
        at = found[1].offset if found else len(seen.body)
        yield Finding("data: [DONE] once", how_often("`data: [DONE]`", len(found), seen), at)


@judge("D3.2", "M", "openai-python stops reading there; the AI SDK breaks on what follows", given=stream_events)
def done_last(seen: Capture) -> Findings:
    """Nothing but comments follows [DONE]."""
    yield from _without_done(seen)
    for done in _done(seen)[:1]:
        for event in events(seen):
            for line in event.lines:
                if line.offset > done.data_offset and not line.comment:
                    yield Finding("nothing after data: [DONE]", _text(line), line.offset)


@judge("D3.3", "M", "OmniRoute#6777 left the socket open", given=stream_events)
def closed_after_done(seen: Capture) -> Findings:
    """The body ends within 2 s of [DONE]."""
    yield from _without_done(seen)
    for done in _done(seen)[-1:]:
        arrived_s = seen.arrived_s(done.data_offset) or 0.0
        waited_s = seen.ended_s - arrived_s
        if seen.ended != "complete" or waited_s > CLOSE_WITHIN_S:
            expected = f"the end of the body within {CLOSE_WITHIN_S} s of [DONE]"
            end = "its end" if seen.ended == "complete" else f"no end ({seen.ended})"
            yield Finding(expected, f"{end} after {waited_s:.1f} s", done.offset)


@informed("D3.4", "M", "a parser that looks for words instead of lines", needs="text", given=stream_events)
def markers_are_text(seen: Capture, known: Known) -> Findings:
    """Text that contains "[DONE]" or "data:" arrives whole."""
    wanted, found = (known.text or ""), said(seen)
    if not any(marker in wanted for marker in MARKERS):
        yield NotApplicable("the text has none of these words")
    elif not found:
        yield no_text(seen)
    else:
        for marker in MARKERS:
            if found.count(marker) != wanted.count(marker):
                there = f"number of {marker} in the text: {found.count(marker)}, {shorten(found)}"
                yield Finding(f"number of {marker} in the text: {wanted.count(marker)}", there, 0)


@judge("D4", "M", "claude-code-router#1672 split a character over two chunks", given=stream_chunks)
def no_replacement_characters(seen: Capture) -> Findings:
    """No U+FFFD comes back from a gateway that echoes unless it was sent."""
    at = _replacement(seen.body)  # the plain answer proves nothing: it may have been broken in the same way
    if at is not None and REPLACEMENT not in str(request_of(seen)):
        yield Finding("the characters that were sent", "U+FFFD, the mark of a character that was lost", at)
    elif not said(seen):
        yield no_text(seen)


@judge("D5", "S", "mnfst/llm-gateway#2053: a comment amid the lines of an event", given=stream_events)
def comments_between_events(seen: Capture) -> Iterator[Finding]:
    """Comments stand between events, not within them."""
    for event in payloads(seen):
        for line in event.lines:
            if line.comment and line.offset > event.data_lines[0].offset:
                yield Finding(
                    "comments between events only", f"a comment within an event: {shorten(line.value)}", line.offset
                )


@judge("D6.1", "S", "a cache that keeps a stream replays it", profile="lumen", given=streamed)
def not_cached(seen: Capture) -> Iterator[Finding]:
    """A stream says Cache-Control: no-cache."""
    if "no-cache" not in (seen.header("cache-control") or ""):
        yield Finding("cache-control: no-cache", _header(seen, "cache-control"))


@judge("D6.2", "S", "nginx buffers a stream until its end otherwise", profile="lumen", given=streamed)
def not_buffered(seen: Capture) -> Iterator[Finding]:
    """A stream says X-Accel-Buffering: no."""
    if seen.header("x-accel-buffering") != "no":
        yield Finding("x-accel-buffering: no", _header(seen, "x-accel-buffering"))


@judge("D7", "M", "RFC 9112, 6.2: the way to smuggle a request", given=responded)
def one_framing(seen: Capture) -> Iterator[Finding]:
    """No response has both Content-Length and Transfer-Encoding."""
    both = [f"{name}: {seen.header(name)}" for name in ("content-length", "transfer-encoding") if seen.header(name)]
    if len(both) > 1:
        yield Finding("content-length or transfer-encoding, not both", ", ".join(both))


def _open(event: sse.Event) -> Finding:
    return Finding("a blank line", f"the end of the body after {shorten(event.lines[-1].value)}", event.offset)


def _header(seen: Capture, name: str) -> str:
    found = seen.header(name)
    return f"no {name}" if found is None else f"{name}: {found}"


def _without_done(seen: Capture) -> Iterator[NotSeen]:
    if not _done(seen):
        yield NotSeen("the stream has no [DONE]", ("D3.1",))


def _replacement(body: bytes) -> int | None:
    """Where U+FFFD is, as bytes or as an escape; None when it is nowhere."""
    places = [body.find(REPLACEMENT.encode())] if REPLACEMENT.encode() in body else []
    escapes = (match for match in REPLACEMENT_ESCAPE.finditer(body) if match.group().count(b"\\") % 2)  # not \\ufffd
    places += [match.start() for match in islice(escapes, 1)]
    return min(places, default=None)


JUDGES = judges_in(globals())
