"""Symbols, colours and little curves that degrade with the console; a word always stands beside them."""

from __future__ import annotations

import os
import sys
import unicodedata
from typing import TYPE_CHECKING

from lumen_proxy.ops import console

if TYPE_CHECKING:
    from collections.abc import Sequence

WORDS = {"up": "UP", "down": "DOWN", "unset": "OFF"}
TICKS = {"up": ("✓", "●", "+"), "down": ("✗", "■", "x"), "unset": ("·", "○", "-")}
"""For a list: anywhere, on a console of code page 949, in ASCII."""
LIGHTS = {"up": ("🟢", "●", "+"), "down": ("🔴", "■", "x"), "unset": ("⚪", "○", "-")}
"""For the dashboard, in the same order."""
BARS = ("▁▂▃▄▅▆▇█", "_.-=+*%#")
COLOURS = {"up": 32, "down": 31, "unset": 90, "slow": 33, "very slow": 31, "dim": 2, "bold": 1}  # ECMA-48, SGR


def symbol(kinds: dict[str, tuple[str, str, str]], state: str) -> str:
    """The best symbol that standard output can encode."""
    best, plain, ascii_ = kinds[state]
    return console.glyph(best, console.glyph(plain, ascii_))


def has_colour() -> bool:
    """A terminal, and nobody asked for none (https://no-color.org)."""
    return is_terminal() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def is_terminal() -> bool:
    """Whether a person is looking at standard output."""
    try:
        return sys.stdout is not None and sys.stdout.isatty()
    except ValueError:  # closed
        return False


def paint(text: str, colour: str) -> str:
    """Coloured, where there is colour."""
    return f"\x1b[{COLOURS[colour]}m{text}\x1b[0m" if colour in COLOURS and has_colour() else text


def curve(values_ms: Sequence[float | None], width: int, full_ms: float) -> str:
    """The last values as bars, `full_ms` and more as the highest; None (no answer) is a gap marked x."""
    bars = console.glyph(BARS[0], BARS[1])
    highest = len(bars) - 1

    def bar(ms: float | None) -> str:
        return "x" if ms is None else bars[min(int(ms / full_ms * highest + 0.5), highest)]

    return "".join(map(bar, values_ms[-width:]))


def columns(text: str) -> int:
    """How many columns a terminal gives it: Korean letters and emoji take two."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def clip(text: str, width: int) -> str:
    """The text, or as much of it as fits, with control characters made harmless."""
    text = "".join(c if c.isprintable() else "?" for c in text)
    if columns(text) <= width:
        return text
    while text and columns(text) > width - 1:
        text = text[:-1]
    return text + "~"


def pad(text: str, width: int) -> str:
    """Exactly `width` columns."""
    text = clip(text, width)
    return text + " " * (width - columns(text))
