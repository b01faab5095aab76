"""Figures as people read them."""

from __future__ import annotations


def format_seconds(value_s: float) -> str:
    """Return a time that a person can read: 12 ms, 3.4 s, 2 min 05 s."""
    if (milliseconds := round(value_s * 1000)) < 1000:
        return f"{milliseconds} ms"
    if (tenths := round(value_s * 10)) < 600:
        return f"{tenths / 10} s"
    return "{} min {:02} s".format(*divmod(round(value_s), 60))


def format_number(value: float) -> str:
    """Return a figure with three digits that count, whole numbers as they are."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def format_figure(value: float, unit: str) -> str:
    """Return a figure with its unit; times below a tenth of a second in milliseconds."""
    return f"{format_number(value * 1000)} ms" if unit == "s" and 0 < value < 0.1 else f"{format_number(value)} {unit}"
