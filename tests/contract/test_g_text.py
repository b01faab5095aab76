"""G5: every character arrives as it was sent, in both directions, however the bytes are cut."""

import json
import re
import unicodedata
from codecs import BOM_UTF8

import pytest

from lumen_conformance.checks.findings import child
from lumen_conformance.contract.expectations import (
    describe,
    expect_complete,
    expect_status,
    expect_text,
    first_difference,
    lookalike,
)
from lumen_conformance.contract.session import Talk, question
from lumen_conformance.gateway import replies
from lumen_conformance.gateway.replies import answer_with, body_for, encoded, split
from lumen_conformance.http.client import Capture, Connection
from lumen_conformance.http.documents import said
from lumen_conformance.registry.declaration import check, check_each
from lumen_conformance.registry.refutation import NotJudged, expect, shorten
from lumen_conformance.targets.endpoint import CHAT

pytestmark = pytest.mark.needs("gateway")

LONG_CHARS = 16_000  # of a request, contract G5
LARGE_BYTES = 1_000_000  # of an answer, contract G5
SYLLABLES = "각 뷁 힣 안녕하세요"
# Such a stream is 20,000 chunks: a second's work, but minutes on a machine with twenty busy processes. No time is set
# for the whole; each pause may last as long as a whole answer, and the test takes at most 30 ms a chunk.
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
}
STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])


def numbered(words: str, times: int) -> str:
    """The same words again and again, and yet no two lines the same: some proxies end an answer that only repeats."""
    return "".join(f"{number}{words}" for number in range(times))


@STREAMED
@check_each("text", {f"G5.{name}": text for name, text in TEXTS.items()})
def test_round_trip(text: str, stream: bool, talk: Talk) -> None:  # noqa: FBT001 -- a row
    """A text reaches the gateway as it was sent, and comes back as the gateway said it."""
    before = len(talk.gateway.chats)
    seen = talk.ask(text, stream=stream)
    # Among others: a proxy may still be trying again for a client that has left long ago.
    asked = [call.message for call in talk.gateway.chats[before:]]
    same = next(filter(None, (lookalike(one, text) for one in asked)), "")
    expect(text in asked, f"the gateway is asked {text!r}", f"it is asked {shorten(asked)}{same}; {describe(seen)}")
    expect_text(seen, text)


@check("G5.escaped-request")
def test_escaped_request(talk: Talk) -> None:
    """A request whose characters are all escaped means the same."""
    text = TEXTS["zwj-emoji"] + TEXTS["korean-nfd"]
    escaped = "".join(f"\\u{unit:04x}" for unit in memoryview(text.encode("utf-16-le")).cast("H"))
    body = encoded(question("@")).replace(b'"@"', f'"{escaped}"'.encode())
    seen = talk.call("POST", CHAT, body=body, headers=[("Content-Type", "application/json")])
    expect_text(seen, text)


@STREAMED
@check("G5.long-request")
def test_long_request(stream: bool, talk: Talk) -> None:  # noqa: FBT001 -- a row
    """A question of 16,000 characters round-trips."""
    text = numbered("가나다 👩‍👩‍👧‍👦 ", LONG_CHARS)[:LONG_CHARS]
    expect_text(talk.ask(text, stream=stream), text)


def joined(body: bytes) -> str:
    """The words of 20,000 chunks, by a quick parser: the strict one, which knows each value's place, takes seconds."""
    lines = re.split(rb"\r\n|\r|\n", body.removeprefix(BOM_UTF8))  # D2.4 reports the mark
    events = [line.removeprefix(b"data:") for line in lines if line.startswith(b"data:")]
    return "".join(map(_piece, events))


def _piece(event: bytes) -> str:
    """The words of one event; none of what is no chunk."""
    try:
        chunk = json.loads(event)
    except (ValueError, RecursionError):
        return ""
    choices = chunk.get("choices") if isinstance(chunk, dict) else None
    found = child(choices[0], "delta").get("content") if isinstance(choices, list) and choices else None
    return found if isinstance(found, str) else ""


def asked_for_progress(talk: Talk, *, stream: bool) -> Capture:
    """A question whose answer may take as long as it likes, while it comes."""
    with Connection(talk.proxy.url, talk.proxy.headers, talk.target.answer_s, paused=True) as connection:
        return connection.call("POST", CHAT, json=talk.own(question("안녕", stream=stream)))


@STREAMED
@pytest.mark.timeout(LARGE_TEST_S)
@check("G5.large-answer")
def test_large_answer(stream: bool, talk: Talk) -> None:  # noqa: FBT001 -- a row
    """An answer of a megabyte comes whole."""
    line = "안녕하세요 👩‍👩‍👧‍👦\u2028"
    text = numbered(line, LARGE_BYTES // len(line.encode()))
    with talk.gateway.scripted(answer_with(text)):
        seen = asked_for_progress(talk, stream=stream)
    if seen.ended == "timeout" and talk.target.profile != "lumen":  # some work on megabytes for longer
        raise NotJudged(f"for {talk.target.answer_s} s, --proxy-timeout, nothing comes: {describe(seen)}", ())
    expect_status(seen, 200)
    expect_complete(seen)
    found = joined(seen.body) if stream else said(seen)
    place = first_difference(found, text)
    expect(
        found == text,
        f"a text of {len(text)} characters",
        f"a text of {len(found)} characters, which differs from character {place} on",
    )


@check("G5.split-anywhere")
def test_split_anywhere(talk: Talk) -> None:
    """The gateway's bytes may be cut at any place."""
    text = "힣\u2028👩‍👧"
    whole = talk.ask(text)
    asked = [call for call in talk.gateway.chats if call.message == text]
    expect(bool(asked), f"the gateway is asked {text!r}", f"it is not; {describe(whole)}")
    expect_text(whole, text)
    for offset in range(len(body_for(asked[-1], text)) + 1):
        with talk.gateway.scripted(split(offset)):
            seen = talk.ask(text)
        expect_text(seen, text, at=f"the gateway's body is cut at byte {offset}")


@check("G5.stream-byte-by-byte")
def test_stream_byte_by_byte(talk: Talk) -> None:
    """A stream of the gateway whose bytes come one by one, so that it is cut at every place, arrives whole."""
    text = "힣\u2028👩‍👧"
    with talk.gateway.scripted(replies.stream_byte_by_byte):
        seen = talk.ask(text, stream=True)
    expect_text(seen, text)
