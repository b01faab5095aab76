"""No judge raises, whatever a server sends; a failed verdict has all that is needed to find the defect."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumen_conformance.checks import catalogue
from lumen_conformance.checks.verdict import JudgeContext
from lumen_conformance.http.client import Capture
from tests.unit.conformance import samples as s
from tests.unit.conformance.samples import ANSWER, ERROR, chunk, chunks, edited, with_usage

KNOWN = JudgeContext(text=s.TEXT, finish="stop", secrets=("sk-hush-hush",), upstream=("gateway.example",))
ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, -1, 1.5, "", "x", "None", [], [None], {}, {"a": [1]}, 10**30, 10**400, "<1e999>", "<long>"]
)
LEXEMES = {b'"<1e999>"': b"1e999", b'"<long>"': b"9" * 5_000}  # what Python does not write


def ask_all(capture: Capture) -> None:
    """Every judge returns a verdict that can be shown."""
    for judge in catalogue.JUDGES.values():
        assert str(judge(capture, KNOWN))
    for comparison in catalogue.COMPARISONS.values():
        assert str(comparison([capture, s.plain(), capture]))


def written(value: object) -> bytes:
    """JSON of a value, with numbers that Python does not write."""
    text = s.encoded(value)
    for name, lexeme in LEXEMES.items():
        text = text.replace(name, lexeme)
    return text


def paths(value: object, path: str = "") -> list[str]:
    """The dotted paths of all values in a value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [(f"{path}.{key}".lstrip("."), below) for key, below in items]
    return [each for name, below in found for each in (name, *paths(below, name))]


@given(st.sampled_from(paths(ANSWER)), ODD)
def test_odd_values_in_answers(path: str, odd: object) -> None:
    """Any value in any place of an answer is judged."""
    ask_all(s.plain(written(edited(ANSWER, (path, odd)))))


@given(st.sampled_from(paths(with_usage())), ODD)
def test_odd_values_in_streams(path: str, odd: object) -> None:
    """Any value in any place of a stream is judged."""
    body = s.framed(map(written, edited(with_usage(), (path, odd))))
    ask_all(s.stream(body, asked={"stream_options": {"include_usage": True}}))


@given(st.sampled_from(paths(ERROR)), ODD)
def test_odd_values_in_errors(path: str, odd: object) -> None:
    """Any value in any place of an error is judged."""
    ask_all(s.error(written(edited(ERROR, (path, odd)))))


@given(ODD, ODD)
def test_odd_tool_calls(calls: object, call: object) -> None:
    """Any value where tool calls are due is judged."""
    ask_all(s.stream([chunk({"role": "assistant", "tool_calls": calls}), chunk({"tool_calls": [call]})]))


@given(st.binary(max_size=80), st.booleans())
def test_any_bytes(body: bytes, streamed: bool) -> None:  # noqa: FBT001 -- drawn
    """Any bytes are judged."""
    ask_all(s.stream(body) if streamed else s.plain(body))


@given(st.integers(0, len(s.framed(chunks()))))
def test_any_prefix_of_a_stream(length: int) -> None:
    """A stream that was cut anywhere is judged, and breaks a claim unless it is complete."""
    whole = s.framed(chunks())
    capture = s.stream(whole[:length])
    ask_all(capture)
    held = not any(judge(capture).failed for judge in catalogue.STREAM)
    assert held == (length == len(whole))


def test_no_answer_at_all() -> None:
    """A refused connection is judged."""
    refused = Capture(url=s.BASE, request=s.plain().request, ended="refused", error="refused")
    ask_all(refused)
    assert not catalogue.JUDGES["C1.1"](refused).ok


def test_deep_nesting() -> None:
    """A very deeply nested body is judged."""
    ask_all(s.plain(b"[" * 100_000))


@pytest.mark.parametrize("number", [b"1" * 5_000, b"1" * 400, b"1e999"], ids=["longest", "long", "exponent"])
def test_numbers_beyond_a_double(number: bytes) -> None:
    """A number that Python does not convert, or that is outside the range of a double, is judged in each place."""
    ask_all(s.plain(s.encoded(ANSWER).replace(b"1761268140", number)))
    ask_all(s.plain(s.encoded(ANSWER).replace(b"18", number)))
    ask_all(s.stream(s.framed(with_usage()).replace(b"1761268140", number)))
    ask_all(s.stream(s.framed(with_usage()).replace(b"18", number)))


def test_a_broken_verdict_shows_the_way() -> None:
    """A failed verdict has expected, found, the path, the offset, the bytes and a command that repeats the request."""
    capture = s.plain(edited(ANSWER, ("usage.total_tokens", 17)))
    verdict = catalogue.JUDGES["C5.2"](capture)
    assert verdict.failure is not None
    place = f"$.usage.total_tokens, byte {capture.body.index(b'17}')}"
    assert (verdict.failure.expected, verdict.failure.found, verdict.failure.at) == (
        "total_tokens: 18 (2 + 16)",
        "total_tokens is 17",
        place,
    )
    assert '"total_tokens": 17' in verdict.failure.excerpt
    assert verdict.failure.curl.startswith("curl ")
    assert (
        str(verdict).splitlines()[0]
        == "C5.2 (S) broken: The counts of the usage are at least 0, and the total is the sum of the other two"
    )


def test_offsets_in_streams_count_bytes_of_the_body() -> None:
    """The offset of a finding in an event is that in the body."""
    capture = s.stream(edited(chunks(), ("2.choices.0.delta.role", "user")))
    verdict = catalogue.JUDGES["E2.3"](capture)
    assert verdict.failure is not None
    at = capture.body.index(b'"user"')
    assert verdict.failure.at.endswith(f"byte {at}")


def test_many_findings_are_summed_up() -> None:
    """Equal findings are shown once and counted."""
    each = [json.loads(json.dumps(chunk({"content": "a", "role": "user"}))) for _ in range(9)]
    verdict = catalogue.JUDGES["E2.3"](s.stream([chunk({"role": "assistant"}), *each]))
    assert verdict.failure is not None
    assert verdict.failure.found.endswith("and 8 more")


def test_secrets_stay_out_of_verdicts() -> None:
    """The command that repeats a request contains no key."""
    capture = s.plain(b"{}")
    keyed = replace(
        capture, request=capture.request.replace(b"\r\n\r\n", b"\r\nAuthorization: Bearer sk-hush-hush\r\n\r\n")
    )
    assert "sk-hush-hush" not in str(catalogue.JUDGES["C2.1"](keyed))
