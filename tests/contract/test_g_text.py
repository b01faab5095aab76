"""G5: every character arrives unchanged, in both directions, however the bytes are split."""

import json
import re
import unicodedata
from codecs import BOM_UTF8

import pytest

from lumen_conformance.checks.findings import child_object
from lumen_conformance.contract.exchanges import STREAMED
from lumen_conformance.contract.expectations import (
    describe,
    describe_lookalike,
    expect_complete,
    expect_status,
    expect_text,
    first_difference,
)
from lumen_conformance.contract.session import ContractSession, question
from lumen_conformance.gateway import replies
from lumen_conformance.gateway.replies import answer_with, body_for, encoded, split
from lumen_conformance.http.client import Capture, Connection
from lumen_conformance.http.documents import assistant_text
from lumen_conformance.registry.declaration import check, check_each
from lumen_conformance.registry.refutation import NotJudged, expect, shorten
from lumen_conformance.targets.endpoint import CHAT

pytestmark = pytest.mark.needs("gateway")

LONG_CHARS = 16_000  # of a request: half of the 32,000 that our own gateway accepts
BYTES_S = 60.0  # for some thousand bytes with a pause after each: 3 s, and on a busy machine more than 10 s
LARGE_BYTES = 1_000_000  # of an answer
OFFSET_STEP = 1  # between the offsets at which the bytes of the gateway are split
SOURCE = "RFC 8259, 8.1: JSON is UTF-8; openapi.yaml: content"
SYLLABLES = "각 뷁 힣 안녕하세요"
# Such a stream has 20,000 chunks: a second, but minutes on a machine with twenty busy processes. The timeout applies to
# each read, not to the whole answer; the test takes at most 30 ms for each chunk.
LARGE_TEST_S = 600.0
TEXTS = {
    "korean-nfc": unicodedata.normalize("NFC", SYLLABLES),
    "korean-nfd": unicodedata.normalize("NFD", SYLLABLES),
    "zwj-emoji": "👩‍👩‍👧‍👦 👨🏽‍🚀 🏳️‍🌈 🇰🇷",
    "u2028": "a\u2028b\u2029c",
    "u0085": "a\u0085b",
    "line-ends": "a\nb\r\nc\rd\n\n",
    "quotes": "\"double\" 'single' \\back\\ /slash/ “curly” «angle»",
    "protocol": 'data: [DONE]\n\ndata: {"error": {}}\n: comment\nevent: x\n\n',
    "escapes": r"\n \u0041 \x41 %41 &amp; {0} ${x}",
    "controls": "bell\x07 nul\x00 escape\x1b[31m delete\x7f",
    "direction": "שלום \u202eabc\u202c مرحبا",
    "white-space": "  two\t\ttabs \u00a0\u3000 end  ",
    "byte-order-mark": "\ufeffbom",
    "replacement": "was already \ufffd",
    "noncharacter": "\uffff\U0010ffff",
    "combining": "e\u0301 Z\u0351\u036b\u0343",
    "html": "<script>alert('&')</script>",
    "zero": "0",
}


def numbered(text: str, times: int) -> str:
    """Repeat a text with a number before each copy: some proxies stop an answer that repeats itself."""
    return "".join(f"{number}{text}" for number in range(times))


@STREAMED
@check_each("text", {f"G5-{name}": text for name, text in TEXTS.items()}, source=SOURCE)
def test_round_trip(text: str, stream: bool, proxy: ContractSession) -> None:  # noqa: FBT001 -- a row
    """A text ({row}) reaches the gateway unchanged, and comes back unchanged."""
    before = len(proxy.gateway.chats)
    capture = proxy.ask(text, stream=stream)
    # There may be other calls: a proxy may still retry for a client that has disconnected.
    asked = [call.message for call in proxy.gateway.chats[before:]]
    same = next(filter(None, (describe_lookalike(one, text) for one in asked)), "")
    expect(
        text in asked,
        f"a request to the gateway with {text!r}",
        f"requests with {shorten(asked)}{same}; {describe(capture)}",
    )
    expect_text(capture, text)


@check("G5-escaped-request", source="RFC 8259, 7")
def test_escaped_request(proxy: ContractSession) -> None:
    """A request in which every character is a JSON escape has the same meaning."""
    text = TEXTS["zwj-emoji"] + TEXTS["korean-nfd"]
    escaped = "".join(f"\\u{unit:04x}" for unit in memoryview(text.encode("utf-16-le")).cast("H"))
    body = encoded(question("@")).replace(b'"@"', f'"{escaped}"'.encode())
    capture = proxy.call("POST", CHAT, body=body, headers=[("Content-Type", "application/json")])
    expect_text(capture, text)


@STREAMED
@check("G5-long-request", source=SOURCE)
def test_long_request(stream: bool, proxy: ContractSession) -> None:  # noqa: FBT001 -- a row
    """A question of 16,000 characters reaches the gateway and comes back unchanged."""
    text = numbered("가나다 👩‍👩‍👧‍👦 ", LONG_CHARS)[:LONG_CHARS]
    expect_text(proxy.ask(text, stream=stream), text)


def join_deltas(body: bytes) -> str:
    """The text of 20,000 chunks, by a quick parser: the strict parser takes seconds."""
    lines = re.split(rb"\r\n|\r|\n", body.removeprefix(BOM_UTF8))  # check D2.4 reports the mark
    events = [line.removeprefix(b"data:") for line in lines if line.startswith(b"data:")]
    return "".join(map(_delta_text, events))


def _delta_text(event: bytes) -> str:
    """The text of one event; empty when the event is not a chunk."""
    try:
        chunk = json.loads(event)
    except (ValueError, RecursionError):
        return ""
    choices = chunk.get("choices") if isinstance(chunk, dict) else None
    found = child_object(choices[0], "delta").get("content") if isinstance(choices, list) and choices else None
    return found if isinstance(found, str) else ""


def ask_with_read_timeout(proxy: ContractSession, *, stream: bool) -> Capture:
    """Ask a question with a timeout for each read, not for the whole answer."""
    with Connection(proxy.server.url, proxy.server.headers, proxy.target.answer_s, timeout_per_read=True) as connection:
        return proxy.call_on(connection, "POST", CHAT, json=question("안녕", stream=stream))


@STREAMED
@pytest.mark.timeout(LARGE_TEST_S)
@check("G5-large-answer", source=SOURCE)
def test_large_answer(stream: bool, proxy: ContractSession) -> None:  # noqa: FBT001 -- a row
    """An answer of one megabyte arrives complete."""
    line = "안녕하세요 👩‍👩‍👧‍👦\u2028"
    text = numbered(line, LARGE_BYTES // len(line.encode()))
    with proxy.gateway.scripted(answer_with(text)):
        capture = ask_with_read_timeout(proxy, stream=stream)
    if capture.ended == "timeout" and proxy.target.profile != "lumen":  # some targets need longer for megabytes
        raise NotJudged(f"no byte for {proxy.target.answer_s} s (--proxy-timeout): {describe(capture)}", ())
    expect_status(capture, 200)
    expect_complete(capture)
    expect_long_text(join_deltas(capture.body) if stream else assistant_text(capture), text)


def expect_long_text(found: str, text: str) -> None:
    """A long text is the expected one; the failure has the first difference."""
    difference = f"the first difference is at character {first_difference(found, text)}"
    expect(found == text, f"a text of {len(text)} characters", f"a text of {len(found)} characters; {difference}")


@check("G5-split-anywhere", source="RFC 9293, 3.7: TCP may split bytes anywhere; musistudio/claude-code-router#1672")
def test_split_anywhere(proxy: ContractSession) -> None:
    """An answer arrives unchanged when the gateway's bytes are split at any offset."""
    text = "힣\u2028👩‍👧"
    whole = proxy.ask(text)
    asked = [call for call in proxy.gateway.chats if call.message == text]
    expect(bool(asked), f"a request to the gateway with {text!r}", f"none; {describe(whole)}")
    expect_text(whole, text)
    for offset in range(0, len(body_for(asked[-1], text)) + 1, OFFSET_STEP):
        with proxy.gateway.scripted(split(offset)):
            capture = proxy.ask(text)
        expect_text(capture, text, at=f"the gateway's body is split at byte {offset}")


@check(
    "G5-stream-byte-by-byte", source="RFC 9293, 3.7: TCP may split bytes anywhere; musistudio/claude-code-router#1672"
)
def test_stream_byte_by_byte(proxy: ContractSession) -> None:
    """A stream arrives unchanged when the gateway sends it byte by byte."""
    text = "힣\u2028👩‍👧"
    with proxy.gateway.scripted(replies.stream_byte_by_byte):
        capture = proxy.ask(text, stream=True, timeout_s=max(BYTES_S, proxy.target.answer_s))
    expect_text(capture, text)
