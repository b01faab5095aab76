"""Figures as people read them."""

from __future__ import annotations

import math


def format_seconds(value_s: float) -> str:
    """Return a time that a person can read: 0.4 ms, 12 ms, 3.4 s, 2 min 05 s.

    The page has the same rule in ``templates/durations.js``.
    """
    if (tenths_ms := _rounded(value_s * 10_000)) < 100:
        return f"{tenths_ms / 10:g} ms"
    if (milliseconds := _rounded(value_s * 1000)) < 1000:
        return f"{milliseconds} ms"
    if (tenths := _rounded(value_s * 10)) < 600:
        return f"{tenths / 10} s"
    return "{} min {:02} s".format(*divmod(_rounded(value_s), 60))


def _rounded(value: float) -> int:
    """Return the nearest whole number, as JavaScript rounds: a half is rounded up."""
    return math.floor(value + 0.5)


def format_number(value: float) -> str:
    """Return a figure with three digits that count, whole numbers as they are."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def format_figure(value: float, unit: str) -> str:
    """Return a figure with its unit; times below a tenth of a second in milliseconds."""
    return f"{format_number(value * 1000)} ms" if unit == "s" and 0 < value < 0.1 else f"{format_number(value)} {unit}"
