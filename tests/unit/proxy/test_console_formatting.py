"""Text for a terminal: its width, clipping, wrapping, and their run time."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumen_conformance.processes.child_process import WINDOWS
from lumen_proxy.console import formatting

FAMILY = "\N{WOMAN}\N{ZERO WIDTH JOINER}\N{WOMAN}\N{ZERO WIDTH JOINER}\N{GIRL}"  # one emoji of two columns
TEXTS = {
    "one word": lambda length: "x" * length,
    "words": lambda length: "word " * (length // 5),
    "Korean": lambda length: "한국어 " * (length // 4),
    "emoji": lambda length: FAMILY * (length // len(FAMILY)),
    "combining": lambda length: "e\u0301" * (length // 2),
    "one stack of accents": lambda length: "e" + "\u0301" * length,
}
# For one text of 20,000 characters a linear function takes as long as for ten texts of 2,000, a quadratic one ten times
# as long. Half of ten is left for caches and the garbage collector.
FLAT = 5.0
RUNS = 5
TICK_S = 0.016 if WINDOWS else 0.0  # the CPU time of Windows moves in steps of 15.6 ms


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("abc", 3),
        ("한글", 4),
        ("한", 2),  # the same syllable as three letters
        ("🟢", 2),
        ("e\u0301", 1),
        (FAMILY, 2),
        ("❤\ufe0f", 2),  # drawn as an emoji
        ("🇰🇷", 2),
        ("", 0),
    ],
)
def test_columns(text: str, columns: int) -> None:
    """Korean letters and emoji take two columns; joined emoji and combining characters count once."""
    assert formatting.measure_width(text) == columns


def test_a_hanging_indent() -> None:
    """Lines after the first begin below the text after the label."""
    assert formatting.wrap("Note  one two three", 14, 6) == ["Note  one two", "      three"]


@pytest.mark.parametrize(
    ("line", "width", "lines"),
    [
        ("  one two three", 9, ["  one two", "  three"]),
        ("한국어 한국어", 7, ["한국어", "한국어"]),
        ("abcdefgh", 3, ["abc", "def", "gh"]),
        ("one  two", 20, ["one  two"]),
        ("", 3, [""]),
        ("\x1b[2J", 9, ["?[2J"]),
        (FAMILY * 3, 4, [FAMILY * 2, FAMILY]),
        ("e\u0301e\u0301e\u0301", 2, ["e\u0301e\u0301", "e\u0301"]),
        ("a\u202eb", 9, ["a?b"]),  # would reverse what follows
    ],
)
def test_wrapping(line: str, width: int, lines: list[str]) -> None:
    """Lines break at spaces and keep the indent; a long word breaks between two characters."""
    assert formatting.wrap(line, width) == lines


PIECES = st.sampled_from(["한", "e\u0301", "\u200d", "\ufe0f", FAMILY, " ", "\x1b[31m", "word"])


@given(st.lists(st.one_of(st.characters(), PIECES), max_size=60).map("".join), st.integers(2, 40))
def test_any_text_fits(text: str, width: int) -> None:
    """No line of any text is wider than the limit, and only spaces are lost."""
    lines = formatting.wrap(text, width)
    assert max(map(formatting.measure_width, lines)) <= width
    assert "".join(lines).replace(" ", "") == formatting.make_printable(text).replace(" ", "")
    assert formatting.measure_width(formatting.clip(text, width)) <= width
    assert formatting.measure_width(formatting.pad(text, width)) == width


def test_clipping() -> None:
    """A wide letter is not split, and control characters are replaced."""
    assert formatting.clip("한국어", 5) == "한국~"
    assert formatting.clip("\x1b[2Jabc", 20) == "?[2Jabc"
    assert formatting.clip("abc", 0) == ""


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("shorten", [formatting.wrap, formatting.clip], ids=["wrap", "clip"])
def test_time_per_character_is_flat(shorten: Callable[[str, int], object], text: Callable[[int], str]) -> None:
    """A text of 20,000 characters takes about as long as ten texts of 2,000."""
    short, long = text(2_000), text(20_000)
    times_s = [(_seconds(shorten, [short] * 10), _seconds(shorten, [long])) for _ in range(RUNS)]
    assert min(once for _, once in times_s) < FLAT * min(ten for ten, _ in times_s) + TICK_S


def _seconds(shorten: Callable[[str, int], object], texts: list[str]) -> float:
    """The CPU time, which does not depend on other processes."""
    began = time.thread_time()
    for text in texts:
        shorten(text, 80)
    return time.thread_time() - began


def test_a_huge_message_is_clipped_first() -> None:
    """A message of 1 MB is clipped before it is wrapped."""
    assert len("".join(formatting.wrap("x" * 1_000_000, 80))) <= formatting.LONGEST_CHARS + 1
