"""D: the framing of server-sent events, and the headers of a stream."""

import re
from codecs import BOM_UTF8
from collections.abc import Iterator
from itertools import islice

from lumen_conformance.checks.findings import describe_count, find_wrong_media_type, quote
from lumen_conformance.checks.preconditions import (
    explain_missing_text,
    require_response,
    require_stream,
    require_stream_chunks,
    require_stream_events,
    requires_tool_call,
)
from lumen_conformance.checks.verdict import (
    Finding,
    Findings,
    JudgeContext,
    NotApplicable,
    NotObserved,
    judge,
    judge_with_context,
    judges_in,
)
from lumen_conformance.http import sse
from lumen_conformance.http.capture import Capture
from lumen_conformance.http.documents import DONE, assistant_text, data_events, documents, events, request_json

REPLACEMENT = "\ufffd"
REPLACEMENT_ESCAPE = re.compile(rb"\\+u[fF]{3}[dD]")
CLOSE_WITHIN_S = 2.0  # the AI SDK reads to the end of the body, so its caller waits until the server closes it
DISPATCHING = {
    b"event",
    b"retry",
}  # openai-python 2.54.0, _streaming.py:343: with one of them an event has data, or crashes
MARKERS = ("[DONE]", "data:")


def _done(capture: Capture) -> list[sse.Event]:
    return [event for event in data_events(capture) if event.data == DONE]


def _text(line: sse.Line) -> str:
    return quote(line.field + b": " + line.value if line.value else line.field)


@judge(
    "D1.1",
    "M",
    "WHATWG HTML, 9.2.6; vllm-project/vllm-ascend#6985 sent application/json, containers/ramalama#2902 text/plain",
    given=require_stream,
)
def media_type_event_stream(capture: Capture) -> Iterator[Finding]:
    """A stream has the media type text/event-stream."""
    yield from find_wrong_media_type(capture, "text/event-stream")


@judge(
    "D1.2",
    "M",
    "diegosouzapw/OmniRoute#1146; openai-python 2.54.0 raises JSONDecodeError on the empty data",
    given=require_stream_events,
)
def no_event_without_data(capture: Capture) -> Iterator[Finding]:
    """No event has a name, an id or a retry time but no data; after an id, no event consists only of comments."""
    numbered = False  # an id applies to all following events, so openai-python makes an event of a comment, too
    for event in events(capture):
        numbered = numbered or any(line.field == b"id" and line.value for line in event.lines)
        named = [line for line in event.lines if line.field in DISPATCHING and line.value]
        if event.data is None and (named or numbered):
            line = named[0] if named else event.lines[0]
            yield Finding(
                "an event with data, or a comment before any id",
                f"an event without data: {_text(line)}",
                event.offset,
            )


@judge(
    "D1.3",
    "S",
    "WHATWG HTML, 9.2.6: EventSource dispatches it under another name than message",
    given=require_stream_events,
)
def no_other_names(capture: Capture) -> Iterator[Finding]:
    """No event with data has a name other than message."""
    for event in data_events(capture):
        for line in event.lines:
            if line.field == b"event" and line.value not in {b"", b"message"}:
                yield Finding("no event line, or event: message", _text(line), line.offset)


@judge("D1.4", "S", "recorded streams of api.openai.com have data lines only", given=require_stream_events)
def only_data_and_comments(capture: Capture) -> Iterator[Finding]:
    """An event with data has only data lines and comments."""
    for event in data_events(capture):
        for line in event.lines:
            renamed = line.field == b"event" and line.value != b"message"  # D1.3
            if line.field != b"data" and not line.comment and not renamed:
                yield Finding("a data line or a comment", _text(line), line.offset)


@judge(
    "D2.1",
    "M",
    "WHATWG HTML, 9.2.6: an event without a blank line at its end is discarded",
    given=require_stream_events,
)
def every_event_is_closed(capture: Capture) -> Iterator[Finding]:
    """Every event but [DONE] ends with a blank line."""
    yield from (_open(event) for event in events(capture) if not event.closed and event.data != DONE)


@judge(
    "D2.2",
    "M",
    "WHATWG HTML, 9.2.6; open-metadata/OpenMetadata#29531: U+0085 and U+2028 are text, not line ends",
    given=require_stream_events,
)
def events_are_whole(capture: Capture) -> Iterator[Finding]:
    """Every event contains one complete JSON text or [DONE]."""
    for document in documents(capture):
        for problem in document.problems:
            if problem.kind in {"syntax", "extra"}:
                yield Finding("one JSON text", problem.found, document.body_offset(problem.offset))


@judge("D2.3", "S", "WHATWG HTML, 9.2.6; no client depends on it", given=require_stream_events)
def done_is_closed(capture: Capture) -> Iterator[Finding]:
    """The event [DONE] ends with a blank line."""
    yield from (_open(event) for event in events(capture) if not event.closed and event.data == DONE)


@judge(
    "D2.4",
    "M",
    "WHATWG HTML, 9.2.6 skips one at the start; openai-python loses the first event with it",
    given=require_stream_events,
)
def no_byte_order_mark(capture: Capture) -> Iterator[Finding]:
    """No line of a stream begins with a byte order mark."""
    if capture.body.startswith(BOM_UTF8):
        yield Finding("the first event at the start of the stream", "a byte order mark (U+FEFF) at the start", 0)
    for line in (line for event in events(capture) for line in event.lines if line.field.startswith(BOM_UTF8)):
        yield Finding("a line without a byte order mark (U+FEFF)", _text(line), line.offset)


@judge(
    "D3.1",
    "M",
    "ikawrakow/ik_llama.cpp#467: inference-benchmarker 687e477 fails without one; "
    "huggingface/text-generation-inference#1896; all clients stop at the first one",
    given=require_stream_events,
)
def done_once(capture: Capture) -> Iterator[Finding]:
    """A stream has `data: [DONE]` exactly once."""
    found = _done(capture)
    if len(found) != 1:
        at = found[1].offset if found else len(capture.body)
        yield Finding("data: [DONE] once", describe_count("`data: [DONE]`", len(found), capture), at)


@judge(
    "D3.2", "M", "openai-python stops reading at [DONE]; the AI SDK fails on data after it", given=require_stream_events
)
def done_last(capture: Capture) -> Findings:
    """Only comments follow [DONE]."""
    yield from _without_done(capture)
    for done in _done(capture)[:1]:
        for event in events(capture):
            for line in event.lines:
                if line.offset > done.data_offset and not line.comment:
                    yield Finding("nothing after data: [DONE]", _text(line), line.offset)


@judge("D3.3", "M", "diegosouzapw/OmniRoute#6777 did not close the connection", given=require_stream_events)
def closed_after_done(capture: Capture) -> Findings:
    """The body ends within 2 s of [DONE]."""
    yield from _without_done(capture)
    for done in _done(capture)[-1:]:
        arrived_s = capture.arrived_s(done.data_offset) or 0.0
        waited_s = capture.ended_s - arrived_s
        if capture.ended != "complete" or waited_s > CLOSE_WITHIN_S:
            expected = f"the end of the body within {CLOSE_WITHIN_S} s of [DONE]"
            end = "its end" if capture.ended == "complete" else f"no end ({capture.ended})"
            yield Finding(expected, f"{end} after {waited_s:.1f} s", done.offset)


@judge_with_context(
    "D3.4",
    "M",
    "WHATWG HTML, 9.2.6: only whole lines are fields; some parsers search for the markers in the text",
    needs="text",
    given=require_stream_events,
)
def markers_are_text(capture: Capture, context: JudgeContext) -> Findings:
    """Text that contains "[DONE]" or "data:" arrives unchanged."""
    wanted, found = (context.text or ""), assistant_text(capture)
    if requires_tool_call(capture):
        yield NotApplicable("the request requires a tool call")
    elif not any(marker in wanted for marker in MARKERS):
        yield NotApplicable("the text contains neither [DONE] nor data:")
    elif not found:
        yield explain_missing_text(capture)
    else:
        for marker in MARKERS:
            if found.count(marker) != wanted.count(marker):
                there = f"number of {marker} in the text: {found.count(marker)}, {quote(found)}"
                yield Finding(f"number of {marker} in the text: {wanted.count(marker)}", there, 0)


@judge("D4", "M", "musistudio/claude-code-router#1672 split a character over two chunks", given=require_stream_chunks)
def no_replacement_characters(capture: Capture) -> Findings:
    """An answer that echoes the request has U+FFFD only if the request has it."""
    at = _replacement(capture.body)  # no comparison with the plain answer: it can have the same defect
    if at is not None and REPLACEMENT not in str(request_json(capture)):
        yield Finding("the characters that were sent", "U+FFFD, which replaces invalid bytes", at)
    elif not assistant_text(capture):
        yield explain_missing_text(capture)


@judge("D5", "S", "mnfst/llm-gateway#2053 sent a comment between the lines of an event", given=require_stream_events)
def comments_between_events(capture: Capture) -> Iterator[Finding]:
    """Comments are between events, not inside them."""
    for event in data_events(capture):
        for line in event.lines:
            if line.comment and line.offset > event.data_lines[0].offset:
                yield Finding(
                    "comments between events only", f"a comment within an event: {quote(line.value)}", line.offset
                )


@judge("D6.1", "S", "RFC 9111, 5.2.2.4; docs/behaviour.md", profile="lumen", given=require_stream_events)
def not_cached(capture: Capture) -> Iterator[Finding]:
    """A stream has the header Cache-Control: no-cache."""
    if "no-cache" not in (capture.header("cache-control") or ""):
        yield Finding("cache-control: no-cache", _header(capture, "cache-control"))


@judge(
    "D6.2",
    "S",
    "nginx, proxy_buffering: without it a stream is buffered; docs/behaviour.md",
    profile="lumen",
    given=require_stream_events,
)
def not_buffered(capture: Capture) -> Iterator[Finding]:
    """A stream has the header X-Accel-Buffering: no."""
    if capture.header("x-accel-buffering") != "no":
        yield Finding("x-accel-buffering: no", _header(capture, "x-accel-buffering"))


@judge("D7", "M", "RFC 9112, 6.2 and 6.3: both headers allow request smuggling", given=require_response)
def one_framing(capture: Capture) -> Iterator[Finding]:
    """No response has both Content-Length and Transfer-Encoding."""
    both = [
        f"{name}: {capture.header(name)}" for name in ("content-length", "transfer-encoding") if capture.header(name)
    ]
    if len(both) > 1:
        yield Finding("content-length or transfer-encoding, not both", ", ".join(both))


def _open(event: sse.Event) -> Finding:
    return Finding("a blank line", f"the end of the body after {quote(event.lines[-1].value)}", event.offset)


def _header(capture: Capture, name: str) -> str:
    found = capture.header(name)
    return f"no {name}" if found is None else f"{name}: {found}"


def _without_done(capture: Capture) -> Iterator[NotObserved]:
    if not _done(capture):
        yield NotObserved("the stream has no [DONE]", ("D3.1",))


def _replacement(body: bytes) -> int | None:
    """The offset of the first U+FFFD, as bytes or as an escape; None when there is none."""
    offsets = [body.find(REPLACEMENT.encode())] if REPLACEMENT.encode() in body else []
    escapes = (match for match in REPLACEMENT_ESCAPE.finditer(body) if match.group().count(b"\\") % 2)  # not \\ufffd
    offsets += [match.start() for match in islice(escapes, 1)]
    return min(offsets, default=None)


JUDGES = judges_in(globals())
