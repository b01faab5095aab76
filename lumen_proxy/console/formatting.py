"""Symbols, colours, curves and text widths, as far as the console supports them. A word stands beside each symbol."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

import wcwidth

from lumen_proxy.console import keyboard, streams

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

STATE_WORDS = {"up": "UP", "down": "DOWN", "unset": "OFF"}
TICKS = {"up": ("✓", "●", "+"), "down": ("✗", "■", "x"), "unset": ("·", "○", "-")}
"""For a list: in Unicode, in code page 949, in ASCII."""
LIGHTS = {"up": ("🟢", "●", "+"), "down": ("🔴", "■", "x"), "unset": ("⚪", "○", "-")}
"""For the dashboard, in the same order."""
BARS = ("▁▂▃▄▅▆▇█", "_.-=+*%#")
COLOUR = re.compile(r"(\x1b\[\d*m)")
JOINER = "\N{ZERO WIDTH JOINER}"
WIDE = 2  # columns of the widest character
LONGEST_CHARS = 20_000  # of one text on a screen: 200 columns x 60 lines have 12,000
COLOURS = {"up": 32, "down": 31, "unset": 90, "slow": 33, "very slow": 31, "dim": 2, "bold": 1}  # ECMA-48, SGR


def choose_symbol(symbols: dict[str, tuple[str, str, str]], state: str) -> str:
    """The best symbol that standard output can encode."""
    best, plain, ascii_ = symbols[state]
    return streams.choose_glyph(best, streams.choose_glyph(plain, ascii_))


def has_colour() -> bool:
    """Whether the terminal has colours and NO_COLOR is not set (https://no-color.org)."""
    return is_terminal() and not os.environ.get("NO_COLOR") and has_escape_sequences()


def has_escape_sequences() -> bool:
    """Whether the terminal interprets escape sequences."""
    return os.environ.get("TERM") != "dumb" and keyboard.enable_escape_sequences()


def is_terminal() -> bool:
    """Whether standard output is a terminal."""
    try:
        return sys.stdout is not None and sys.stdout.isatty()
    except ValueError:  # closed
        return False


def paint(text: str, colour: str) -> str:
    """The text in a colour, if the terminal has colours."""
    return f"\x1b[{COLOURS[colour]}m{text}\x1b[0m" if colour in COLOURS and has_colour() else text


def draw_curve(values_ms: Sequence[float | None], width: int, full_ms: float) -> str:
    """The last values as bars, `full_ms` and more as the highest bar; None (no response) is an x."""
    bars = streams.choose_glyph(BARS[0], BARS[1])
    highest = len(bars) - 1

    def bar(ms: float | None) -> str:
        return "x" if ms is None else bars[min(int(ms / full_ms * highest + 0.5), highest)]

    return "".join(map(bar, list(values_ms)[-width:]))


def measure_width(text: str) -> int:
    """The width of the text in a terminal: Korean letters and emoji take two columns, combining characters none."""
    return wcwidth.wcswidth(make_printable(text))


def make_printable(text: str) -> str:
    """The text without characters that control a terminal. Zero width joiners between two emoji stay."""
    shown = "".join(c if c.isprintable() or c == JOINER else "?" for c in text)
    return _without_lone_joiners(shown) if JOINER in shown else shown


def _without_lone_joiners(text: str) -> str:
    """The text with joiners between emoji only; an emoji may have a variation selector or a skin colour."""
    import regex  # noqa: PLC0415 - 20 ms; few texts need it

    before, after = r"(?<!\p{ExtPict}[\ufe0f\U0001f3fb-\U0001f3ff]?)", r"(?!\p{ExtPict})"
    return regex.sub(f"{before}{JOINER}|{JOINER}{after}", "?", text)


def clip(text: str, width: int) -> str:
    """The text, or as much of it as fits, without control characters."""
    text = _bounded(text)
    if measure_width(text) <= width:
        return text
    return wcwidth.clip(text, 0, width - 1, fillchar="") + "~" if width > 0 else ""


def fit(line: str, width: int) -> str:
    """Like `clip`, for a line with colours of this module."""
    shown, room = "", width
    for number, piece in enumerate(COLOUR.split(line)):
        if number % 2:  # a colour
            shown += piece
        elif room:
            cut = clip(piece, room)
            shown += cut
            room = 0 if cut != piece else room - measure_width(cut)
    return shown


def wrap(line: str, width: int, hang: int | None = None) -> list[str]:
    """The line as lines of at most `width` columns, broken at spaces where possible.

    The lines after the first are indented by `hang` columns, or like the first one. Takes linear time. `width` must be
    at least two columns, the width of a wide character.
    """
    text = _bounded(line)
    rest = text.lstrip(" ")
    own = len(text) - len(rest)
    first, later = (" " * min(n, width // 2, max(width - WIDE, 0)) for n in (own, own if hang is None else hang))
    characters = list(_characters(rest))
    lines: list[str] = []
    begin = 0
    while not lines or begin < len(characters):
        indent = later if lines else first
        end = _end_of_line(characters, begin, max(width - len(indent), 1))
        lines.append(indent + "".join(characters[begin:end]).rstrip(" "))
        begin = end
        while begin < len(characters) and characters[begin] == " ":
            begin += 1
    return lines


def _characters(text: str) -> Iterator[str]:
    """The grapheme clusters of the text; one that is wider than two columns is split into its characters."""
    for cluster in wcwidth.iter_graphemes(text):
        if wcwidth.wcswidth(cluster) <= WIDE:
            yield cluster
        else:
            yield from cluster


def _end_of_line(characters: list[str], begin: int, room: int) -> int:
    """The end of a line that begins at `begin`: after the last character that fits, or before the last space."""
    used, end = 0, begin
    while end < len(characters):
        used += wcwidth.wcswidth(characters[end])
        if used > room and end > begin:
            break
        end += 1
    if end == len(characters):
        return end
    return next((at for at in range(end, begin, -1) if characters[at] == " "), end)


def _bounded(text: str) -> str:
    """Printable, and no longer than any screen shows."""
    return make_printable(text) if len(text) <= LONGEST_CHARS else make_printable(text[:LONGEST_CHARS]) + "~"


def pad(text: str, width: int) -> str:
    """The text clipped or filled to exactly `width` columns."""
    text = clip(text, width)
    return text + " " * (width - measure_width(text))
