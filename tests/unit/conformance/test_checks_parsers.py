"""The parsers of JSON and of server-sent events, which keep offsets."""

import json
from codecs import BOM_UTF8
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lumen_conformance.http import sse
from lumen_conformance.http.strict_json import format_path, parse, scan

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
VALUES: st.SearchStrategy[Any] = st.recursive(SCALARS, lambda values: st.lists(values) | st.dictionaries(TEXT, values))


@given(VALUES, st.booleans(), st.sampled_from([None, 2]))
def test_reads_what_python_writes(value: object, ascii_only: bool, indent: int | None) -> None:  # noqa: FBT001 -- drawn
    """Any value is parsed without a problem, and each offset is that of its value."""
    source = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()
    document = parse(source)
    assert (document.value, document.problems) == (value, ())
    for path in document.spans:
        found: Any = value
        for step in path:
            found = found[step]
        assert json.loads(document.lexeme(path) or "") == found


@pytest.mark.parametrize(
    ("source", "kind", "offset", "path"),
    [
        pytest.param(b'{"a": 1, "a": 2}', "duplicate", 9, "$.a", id="duplicate"),
        pytest.param(b'{"a": {"b": 1, "b": 2}}', "duplicate", 15, "$.a.b", id="duplicate-inside"),
        pytest.param(b'{"\\u0061": 1, "a": 2}', "duplicate", 14, "$.a", id="duplicate-escaped"),
        pytest.param(b"[1, NaN]", "constant", 4, "$[1]", id="nan"),
        pytest.param(b"[-Infinity]", "constant", 1, "$[0]", id="infinity"),
        pytest.param(rb'["\ud83d"]', "surrogate", 1, "$[0]", id="lone-high"),
        pytest.param(rb'["\ude00\ud83d"]', "surrogate", 1, "$[0]", id="pair-reversed"),
        pytest.param(b'["\xff"]', "utf8", 2, "$", id="latin-1"),
        pytest.param(b'["\xed\xa0\x80"]', "utf8", 2, "$", id="surrogate-as-utf8"),
        pytest.param(b'["\xc0\xaf"]', "utf8", 2, "$", id="overlong"),
        pytest.param(b"[" + b"9" * 4_301 + b"]", "digits", 1, "$[0]", id="integer-too-long"),
        pytest.param(b"[-" + b"9" * 4_301 + b"]", "digits", 1, "$[0]", id="negative-integer-too-long"),
        pytest.param(b"[-" + b"9" * 4_300 + b"]", "range", 1, "$[0]", id="longest-integer"),
        pytest.param(b"[1, 1e999]", "range", 4, "$[1]", id="too-large"),
        pytest.param(b"[-1.5e309]", "range", 1, "$[0]", id="too-far-below-zero"),
        pytest.param(b"[1" + b"0" * 309 + b"]", "range", 1, "$[0]", id="integer-too-large"),
        pytest.param(b"{} {}", "extra", 3, "$", id="two-values"),
        pytest.param(b"", "syntax", 0, "$", id="nothing"),
        pytest.param(b"\xef\xbb\xbf{}", "syntax", 0, "$", id="byte-order-mark"),
        pytest.param(b"[1,]", "syntax", 3, "$[1]", id="trailing-comma"),
        pytest.param(b"{'a': 1}", "syntax", 1, "$", id="single-quotes"),
        pytest.param(b"[01]", "syntax", 2, "$", id="leading-zero"),
        pytest.param(b"[.5]", "syntax", 1, "$[0]", id="no-leading-digit"),
        pytest.param(b"[+1]", "syntax", 1, "$[0]", id="plus"),
        pytest.param(b'["\t"]', "syntax", 1, "$[0]", id="raw-tab"),
        pytest.param(rb'["\x41"]', "syntax", 1, "$[0]", id="unknown-escape"),
        pytest.param(b"[1 2]", "syntax", 3, "$", id="no-comma"),
        pytest.param(b'{"a" 1}', "syntax", 5, "$.a", id="no-colon"),
        pytest.param(b"[1", "syntax", 2, "$", id="cut"),
        pytest.param(b"\xc2\xa0{}", "syntax", 0, "$", id="space-that-is-none"),
        pytest.param(b"// a\n{}", "syntax", 0, "$", id="comment"),
    ],
)
def test_problems_have_offsets(source: bytes, kind: str, offset: int, path: str) -> None:
    """Each deviation has its offset and its path."""
    problem = parse(source).problems[0]
    assert (problem.kind, problem.offset, format_path(problem.path)) == (kind, offset, path)


@pytest.mark.parametrize("lexeme", ["1" + "0" * 308, "-1" + "0" * 308, "1.7e308", "1e-999", "1" + "0" * 307])
def test_what_a_double_holds_is_no_problem(lexeme: str) -> None:
    """The largest and the smallest numbers of a double have no problem."""
    assert parse(lexeme.encode()).problems == ()


@pytest.mark.parametrize("lexeme", ["1.0", "1e3", "-0", "1E+2", "12345678901234567890", "true", '"1"'])
def test_lexemes_are_kept(lexeme: str) -> None:
    """The text of a value is kept as it was written."""
    assert parse(f'{{"a": {lexeme} }}'.encode()).lexeme(("a",)) == lexeme


def test_offset_of_what_is_absent() -> None:
    """The offset of an absent value is that of its parent."""
    document = parse(b'{"a": {"b": 1}}', ((0, 100),))
    assert document.offset(("a", "c", 3)) == 106


CHARACTERS = [*'{}[],:" ', "\n", "\t", "\ufeff", "\u2028"]
LEXEMES = ['"a"', '"b":', "1", "-0", "1.0", "1e400", "9" * 400, "9" * 5_000, "NaN", "null", "tru", "[" * 250]
ESCAPES = [r"\ud83d", r"\ude00", r"\\ud83d\ude00", r'"\ud83d\ude00"', r'"\\"']
TOKENS = st.lists(st.sampled_from([*CHARACTERS, *LEXEMES, *ESCAPES]), max_size=9).map("".join)


@given(TOKENS.map(str.encode) | st.binary(max_size=20) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_quick_reading_changes_nothing(source: bytes) -> None:
    """The quick parser and the scanner give the same result."""
    quick, slow = parse(source), scan(source)
    assert (repr(quick.value), quick.problems, quick.spans) == (repr(slow.value), slow.problems, slow.spans)


def test_offsets_of_several_lines() -> None:
    """The offset of a value of an event with several data lines is that in the body."""
    body = b'data: {"a":\ndata: "b",\ndata: "c": "d"}\n\n'
    event = sse.parse(body)[0]
    document = parse(event.data or b"", event.data_offsets)
    assert [document.offset((key,)) for key in "ac"] == [body.index(b'"b"'), body.index(b'"d"')]


LINES = st.lists(st.binary(max_size=12).map(lambda line: line.replace(b"\r", b"").replace(b"\n", b"")), max_size=8)


@example([BOM_UTF8], b"\n")
@example([BOM_UTF8 + b"data: a", BOM_UTF8], b"\r\n")
@given(LINES, st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_every_line_is_found(lines: list[bytes], end: bytes) -> None:
    """The text between two line ends is one line, and a byte order mark at the start is skipped."""
    body = b"".join(line + end for line in lines)
    found = [line for event in sse.parse(body) for line in event.lines]
    due = [line for line in body.removeprefix(BOM_UTF8).split(end) if line]
    assert [body[line.offset :].split(end)[0] for line in found] == due


@given(st.binary(max_size=60))
def test_offsets_of_values(body: bytes) -> None:
    """The offset of a value is that of its bytes."""
    for event in sse.parse(body):
        for line in event.lines:
            assert body[line.value_offset :].startswith(line.value)


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\u0085", "\x0b", "\x0c", "\x1c"])
def test_text_separators_do_not_end_lines(separator: str) -> None:
    """The separators of `str.splitlines` are text."""
    events = sse.parse(f"data: a{separator}b\n\n".encode())
    assert [event.data for event in events] == [f"a{separator}b".encode()]


def test_one_byte_order_mark_is_skipped() -> None:
    """A byte order mark before the first line is skipped, and offsets count it; a second one is part of its line."""
    mark = b"\xef\xbb\xbf"
    (event,) = sse.parse(mark + b"data: a\n\n")
    assert (event.data, event.offset, event.data_offset) == (b"a", 3, 9)
    assert [event.data for event in sse.parse(mark + mark + b"data: a\n\ndata: b\n\n")] == [None, b"b"]


def test_events() -> None:
    """Data lines are joined, one leading space is removed, comments are no data, and the last event may be open."""
    events = sse.parse(b": hello\n\ndata:  a\ndata:b\n\ndata\n\ndata: c")
    assert [event.data for event in events] == [None, b" a\nb", b"", b"c"]
    assert [event.closed for event in events] == [True, True, True, False]
