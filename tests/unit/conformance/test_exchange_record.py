"""The record of an exchange for the report has its texts, times and events, bounded, without secrets."""

from __future__ import annotations

import gzip
import json

import pytest

from lumen_conformance.http.capture import Capture
from lumen_conformance.http.exchange_record import SHOWN_ARRIVALS, SHOWN_BYTES, SHOWN_CHARS, exchange_record, hexdump
from lumen_conformance.registry.redaction import Redactor

HEAD = b"POST /v1/chat HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer sk-very-secret\r\nContent-Length: 2\r\n\r\n"

GZIPPED = gzip.compress(b"data: 1\n\n")


def capture(**fields: object) -> Capture:
    """Return an exchange."""
    given = {
        "url": "http://127.0.0.1:1/v1/chat/completions",
        "request": HEAD + b"{}",
        "status": 200,
        "ended": "complete",
    }
    return Capture(**given | fields)  # type: ignore[arg-type]


def test_times_count_from_the_first_attempt_to_connect() -> None:
    """Sent, first byte, chunks and end are on one scale, although a capture counts from two moments."""
    found = exchange_record(
        capture(elapsed_s=1.5, ended_s=1.0, connected_s=0.4, first_byte_s=0.2, arrivals=((0.3, 5), (0.9, 9)))
    )["times"]
    assert found["chunks"] == [(0.8, 5), (1.4, 9)]
    assert {name: found[name] for name in ("connected", "sent", "first_byte", "ended")} == {
        "connected": 0.4, "sent": 0.5, "first_byte": 0.7, "ended": 1.5,
    }  # fmt: skip


def test_secret_headers_are_masked() -> None:
    """The value of Authorization is in no part of the record."""
    found = exchange_record(capture(raw_head=b"HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nCookie: topsecret\r\n\r\n"))
    assert "Authorization: ***" in found["request"]
    assert "Cookie: ***" in found["response"]
    assert "very-secret" not in json.dumps(found)


def test_long_parts_are_cut() -> None:
    """A record has a few kilobytes at most, and says how long each part was."""
    stream = b"".join(b"data: " + b"x" * 5_000 + b"\n\n" for _ in range(1_000))
    found = exchange_record(
        capture(
            request=HEAD + b"y" * 9_000,
            headers=(("content-type", "text/event-stream"),),
            raw_head=b"HTTP/1.1 200 OK\r\n" + b"".join(b"a: %s\r\n" % (b"z" * 9_000) for _ in range(300)) + b"\r\n",
            body=stream,
            arrivals=tuple((n / 100, n) for n in range(1_000)),
        )
    )
    assert (found["body_bytes"], found["request_bytes"]) == (len(stream), 9_000)
    assert (found["events"]["number"], len(found["body"])) == (1_000, SHOWN_BYTES)
    assert found["times"]["number_of_chunks"] == 1_000
    assert found["response"][-1].startswith("… ")
    assert all(len(line) <= SHOWN_CHARS + 1 for line in found["response"])
    assert len(json.dumps(found)) < 50_000


def test_events_have_times() -> None:
    """Each event has the time at which its last line arrived, on the scale of the other times; a coded one has none."""
    fields = {
        "headers": (("content-type", "text/event-stream"),),
        "body": b"data: 1\n\ndata: 2\n\n",
        "arrivals": ((0.1, 6), (0.2, 12), (0.9, 18)),
        "elapsed_s": 1.5,
        "ended_s": 1.0,
    }
    assert exchange_record(capture(**fields))["events"] == {"number": 2, "data": ["1", "2"], "times": [0.7, 1.4]}
    coded = {"headers": (("content-type", "text/event-stream"), ("content-encoding", "gzip")), "body": GZIPPED}
    assert exchange_record(capture(**fields | coded))["events"] == {"number": 1, "data": ["1"], "times": [None]}


def test_a_body_is_masked_before_it_is_cut() -> None:
    """No part of a secret is left where a body is cut, also in one that is compressed."""
    mask = Redactor(["k3y-k3y-k3y"]).content
    found = exchange_record(capture(body=b"x" * (SHOWN_BYTES - 5) + b"k3y-k3y-k3y"), mask)
    assert (found["body"][-5:], found["cut"], found["masked"]) == ("[hidd", ["body"], ["body"])
    assert found["body_bytes"] == SHOWN_BYTES + 6
    coded = capture(body=gzip.compress(b"a k3y-k3y-k3y"), headers=(("content-encoding", "gzip"),))
    assert exchange_record(coded, mask)["body"] == "a [hidden]"


@pytest.mark.parametrize("before", range(4))
@pytest.mark.parametrize("letter", ["é", "안", "😀"])
def test_a_body_is_cut_between_characters(before: int, letter: str) -> None:
    """A cut text ends with a whole character: half of one would look like a defect of the server."""
    text = "x" * before + letter * SHOWN_BYTES
    found = exchange_record(capture(body=text.encode(), request=HEAD + text.encode()))
    assert (found["body"], found["request_body"]) == (text[: len(found["body"])],) * 2
    assert SHOWN_BYTES - 3 <= len(found["body"].encode()) <= SHOWN_BYTES


@pytest.mark.parametrize(
    ("body", "end"),
    [
        (b"x" * (SHOWN_BYTES - 1) + b"\xec", "x\\xec"),
        (b"x" * (SHOWN_BYTES - 1) + b"\xecyyy", "x\\xec"),
        (b"\xff" * SHOWN_BYTES + b"y", "\\xff"),
    ],
)
def test_wrong_bytes_are_shown(body: bytes, end: str) -> None:
    """Bytes that are no character are shown, at the end of a whole body and in one that is cut."""
    assert exchange_record(capture(body=body))["body"].endswith(end)


def test_a_coded_body_has_two_sizes() -> None:
    """Its bytes on the wire, and those that are shown; a body without a coding has one."""
    coded = capture(body=gzip.compress(b"a" * 9_000), headers=(("content-encoding", "gzip"),))
    found = exchange_record(coded)
    assert (found["body_bytes"], found["decoded_bytes"]) == (len(coded.body), 9_000)
    assert "decoded_bytes" not in exchange_record(capture(body=b"a" * 9_000))


def test_many_arrivals_are_thinned() -> None:
    """Of many arrivals the first, the last, and some between them are kept."""
    found = exchange_record(capture(arrivals=tuple((n / 1_000, n) for n in range(5_000))))["times"]
    assert (len(found["chunks"]), found["number_of_chunks"]) == (SHOWN_ARRIVALS, 5_000)
    assert (found["chunks"][0], found["chunks"][-1]) == ((0.0, 0), (4.999, 4_999))


def test_lost_connections_have_a_record() -> None:
    """An exchange without a response is recorded, too."""
    found = exchange_record(capture(status=None, ended="refused", error="ConnectionRefusedError"))
    assert (found["status"], found["events"], found["times"]["first_byte"]) == (None, None, None)


def test_hexdump_points_to_the_line_of_the_offset() -> None:
    """The dump has three lines before and after the offset at most, and one of them is marked."""
    lines = hexdump(bytes(range(256)), 100).split("\n")
    assert [line for line in lines if line.startswith(">")] == [lines[3]]
    assert lines[3].startswith("> 00000060  60 61 62 63")
    assert lines[3].endswith("`abcdefghijklmno")
    assert len(lines) == 7
    assert hexdump(b"ab", 1) == f"> 00000000  {'61 62':<47}  ab"
    assert hexdump(b"", 0) == ""
