"""Symbols, colours and little curves that degrade with the console; a word always stands beside them."""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from typing import TYPE_CHECKING

from lumen_proxy.ops import console
from lumen_proxy.supervisor import platform

if TYPE_CHECKING:
    from collections.abc import Sequence

WORDS = {"up": "UP", "down": "DOWN", "unset": "OFF"}
TICKS = {"up": ("✓", "●", "+"), "down": ("✗", "■", "x"), "unset": ("·", "○", "-")}
"""For a list: anywhere, on a console of code page 949, in ASCII."""
LIGHTS = {"up": ("🟢", "●", "+"), "down": ("🔴", "■", "x"), "unset": ("⚪", "○", "-")}
"""For the dashboard, in the same order."""
BARS = ("▁▂▃▄▅▆▇█", "_.-=+*%#")
COLOUR = re.compile(r"(\x1b\[\d*m)")
COLOURS = {"up": 32, "down": 31, "unset": 90, "slow": 33, "very slow": 31, "dim": 2, "bold": 1}  # ECMA-48, SGR


def symbol(kinds: dict[str, tuple[str, str, str]], state: str) -> str:
    """The best symbol that standard output can encode."""
    best, plain, ascii_ = kinds[state]
    return console.glyph(best, console.glyph(plain, ascii_))


def has_colour() -> bool:
    """A terminal that can, and nobody asked for none (https://no-color.org)."""
    return is_terminal() and not os.environ.get("NO_COLOR") and is_obedient()


def is_obedient() -> bool:
    """Whether the terminal understands escape sequences: those of a colour, and those of a whole screen."""
    return os.environ.get("TERM") != "dumb" and platform.speaks_escape_sequences()


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
    text = _harmless(text)
    if columns(text) <= width:
        return text
    while text and columns(text) > width - 1:
        text = text[:-1]
    return text + "~"


def fit(line: str, width: int) -> str:
    """Like `clip`, for a line with colours of ours in it."""
    shown, room = "", width
    for number, piece in enumerate(COLOUR.split(line)):
        if number % 2:  # a colour
            shown += piece
        elif room:
            cut = clip(piece, room)
            shown += cut
            room = 0 if cut != piece else room - columns(cut)
    return shown


def wrap(line: str, width: int) -> list[str]:
    """The line in as many as it takes, broken at spaces where it can be; all are indented like the first."""
    rest = _harmless(line)
    indent = " " * min(len(rest) - len(rest.lstrip()), width // 2)
    lines = []
    while columns(rest) > width:
        fits = max(sum(columns(rest[: n + 1]) <= width for n in range(len(rest))), len(indent) + 1)
        space = rest.rfind(" ", len(indent) + 1, fits + 1)
        at = space if space > 0 else fits
        lines.append(rest[:at].rstrip())
        rest = indent + rest[at:].lstrip()
    return [*lines, rest]


def _harmless(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)


def pad(text: str, width: int) -> str:
    """Exactly `width` columns."""
    text = clip(text, width)
    return text + " " * (width - columns(text))
