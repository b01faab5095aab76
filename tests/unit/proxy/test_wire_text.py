"""Text: strict JSON, pieces of a stream, token estimates."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from lumen_proxy.wire import openai, text
from lumen_proxy.wire.text import MAX_DEPTH, PIECE_CHARS, estimate_tokens, json_object, pieces, strict_json

KOREAN = "안녕하세요. 오늘은 날씨가 참 좋네요! 산책을 나가 볼까요? "
FAMILY = "👨‍👩‍👧‍👦"
TEXTS = st.one_of(
    st.text(max_size=200),
    st.text(
        alphabet=[*"가나 \n\r", "\u1100", "\u1161", "\u11a8", "\u0301", "\u200d", "👩", "🇰", "🇷", "\u2028"],
        max_size=200,
    ),
)


@pytest.mark.parametrize(
    "data",
    [b"", b"[", b"[" * 65_000, b'{"a": ' * 65_000, b'{"a": ' + b"[" * 900 + b"]" * 900 + b"}", b"\xff", b"1" * 5_000],
)
def test_anything_but_an_object_is_an_empty_object(data: bytes) -> None:
    """Even nesting that the parser cannot handle raises no error."""
    assert json_object(data) == {}


@given(TEXTS, st.integers(1, 40))
def test_pieces_join_to_the_text(text: str, size: int) -> None:
    """Nothing is lost, added or empty."""
    cut = list(pieces(text, size))
    assert "".join(cut) == text
    assert all(cut)


@given(TEXTS, st.integers(1, 40))
def test_pieces_never_cut_a_grapheme(text: str, size: int) -> None:
    """Each cut is between graphemes of the whole text, and only a single grapheme makes a longer piece."""
    boundaries = {match.end() for match in regex.finditer(r"\X", text)}
    end = 0
    for piece in pieces(text, size):
        end += len(piece)
        assert end in boundaries
        assert len(piece) <= size or regex.fullmatch(r"\X", piece)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_pieces_of_prose_end_at_spaces(form: str) -> None:
    """Prose is cut after white space, composed or decomposed."""
    text = unicodedata.normalize(form, KOREAN * 20)  # type: ignore[arg-type]
    cut = list(pieces(text))
    assert all(piece.endswith(" ") for piece in cut)
    assert max(map(len, cut)) <= PIECE_CHARS


class Counting:
    """A pattern that counts the characters that it searches."""

    def __init__(self, pattern: regex.Pattern[str]) -> None:
        self.pattern = pattern
        self.chars = 0

    def finditer(self, text: str) -> Iterator[regex.Match[str]]:
        """Like the method of the pattern."""
        self.chars += len(text)
        return self.pattern.finditer(text)


@pytest.mark.parametrize(
    "unit",
    ["🇰🇷", "🇰", FAMILY, "가", "a ", "e" + "\u0301" * 500],
    ids=["flags", "halves", "families", "prose", "words", "marks"],
)
@pytest.mark.parametrize("chars", [4_000, 400_000])
def test_cutting_searches_each_character_a_few_times(unit: str, chars: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The work grows with the text, not with its square, even for flags."""
    counting = Counting(regex.compile(r"\X"))
    monkeypatch.setattr(text, "_grapheme", lambda: counting)
    whole = unit * (chars // len(unit))
    assert "".join(pieces(whole)) == whole
    assert (
        counting.chars <= 4 * chars
    )  # each character in its piece, in the next one, and while the size of a long one is searched


@given(st.text())
def test_tokens_are_a_quarter_of_the_bytes_rounded_up(text: str) -> None:
    """Empty text has none, any other at least one."""
    size = len(text.encode())
    assert size / 4 <= estimate_tokens(text) < size / 4 + 1


SHORT = st.text(max_size=20)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | SHORT,
        lambda x: st.lists(x, max_size=4) | st.dictionaries(SHORT, x, max_size=4),
        max_leaves=12,
    )
)
def test_strict_json_reads_what_json_writes(value: object) -> None:
    """Any JSON value is parsed, escaped or not."""
    for ascii_only in (True, False):
        assert strict_json(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


REFUSED = {
    "empty": b"",
    "two-values": b"{} {}",
    "nan": b'{"a": NaN}',
    "infinity": b"[-Infinity]",
    "twice": b'{"a": 1, "a": 2}',
    "one-key-twice-after-replacing": b'{"\\ud800": 1, "\\ud801": 2}',
    "latin-1": b'{"a": "\xe9"}',
    "half-a-surrogate": b'"\xed\xa0"',
    "deep-lists": b"[" * 100_000,
    "deep-objects": b'{"a":' * 50_000,
    "too-deep": b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
    "too-deep-in-an-object": b'{"a":[0,' + b'{"b":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH + b"]}",
    "huge-integer": b"1" * 10_000,
    "huge-number": b"[1e999]",
    "control-character": b'"\x01"',
}


@pytest.mark.parametrize("name", REFUSED)
def test_strict_json_refuses(name: str) -> None:
    """Anything that parsers read differently is a ValueError."""
    with pytest.raises(ValueError):
        strict_json(REFUSED[name])


def test_depth_is_not_breadth() -> None:
    """The deepest allowed value is parsed, wide at each level, with brackets in texts."""
    value: object = "[" * 1_000
    for _ in range(MAX_DEPTH):
        value = {"a": value, "b": 1} if isinstance(value, list) else [value, 1]
    assert strict_json(json.dumps(value).encode()) == value


@given(st.binary(max_size=50))
def test_strict_json_raises_nothing_else(data: bytes) -> None:
    """Any bytes are a value or a ValueError."""
    try:
        strict_json(data)
    except ValueError:
        return


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ('{"a": "\\ud800"}', {"a": "\ufffd"}),
        ('{"\\uDC00": [1.5, "\\ud83c\\udf19\\udf19"]}', {"\ufffd": [1.5, "🌙\ufffd"]}),
        ('["\\ud800", "\\udc00", "\\\\ud800"]', ["\ufffd", "\ufffd", "\\ud800"]),
        ('"\\ud83c\\ud83c\\udf19"', "\ufffd🌙"),
    ],
)
def test_lone_surrogates_are_replaced(written: str, value: object) -> None:
    """Each becomes U+FFFD, in keys, too; pairs, numbers and escaped backslashes stay."""
    assert strict_json(written.encode()) == value
    assert strict_json(json.dumps(json.loads(written), ensure_ascii=False).encode("utf-8", "surrogatepass")) == value


@given(st.dictionaries(st.text(), st.text()))
def test_an_event_is_one_ascii_line(value: dict[str, str]) -> None:
    """For any text, no reader can cut it elsewhere."""
    event = openai.event(value)
    assert event.isascii()
    assert event.startswith(b"data: ")
    assert event.endswith(b"\n\n")
    assert len(event.splitlines()) == 2
    assert json.loads(event[6:]) == value
