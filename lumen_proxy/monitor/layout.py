"""The lines of the dashboard: all of them for printed output, the most important ones for a small screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lumen_proxy import __version__
from lumen_proxy.console import formatting, streams
from lumen_proxy.health.alerts import webhooks
from lumen_proxy.health.verdicts import SLOW_MS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lumen_proxy.health.diagnosis import Diagnosis
    from lumen_proxy.health.verdicts import ChannelStatus

    Past = Mapping[str, Sequence[float | None]]
    """Channel → its last response times in ms, None for no response."""

CURVE_COLUMNS = 30
CHANNEL_COLUMNS = 38  # a channel's line up to its curve
PACE_COLUMNS = 11  # behind the curve: two spaces and `very slow`
INDENT = " " * 10
LABEL_COLUMNS = 11  # of Proxy, Alerts and Note
FIELDS = (("pid", "pid"), ("worker", "worker_pid"), ("restarts", "restarts"), ("breaker", "breaker"))
MENUS = (
    "[s] start  [x] stop  [d] diagnose  [h] help  [q] quit",
    "s start x stop d diagnose h help q quit",
    "keys: s x d h q",
)
CHANNEL, NEXT_STEP, CAUSE, DETAIL, BLANK = range(5)  # ranks: rows with a higher rank are removed first
ATTEMPTS = (  # the highest rank that is shown, and the most lines of one row; the first that fits is used
    (BLANK, 9),
    (DETAIL, 9),
    (CAUSE, 9),
    (NEXT_STEP, 9),
    (NEXT_STEP, 3),
    (NEXT_STEP, 2),
    (NEXT_STEP, 1),
    (CHANNEL, 1),
)


class ScreenRow(NamedTuple):
    """One line before it is wrapped. Only a CHANNEL row has colours; the text of other rows may come from a server."""

    rank: int
    text: str
    hang: int | None = None  # the indent of further lines, if it differs


def format_heading(diagnosis: Diagnosis | None, probed_at: str, period_s: float | None, width: int) -> str:
    """The first line: the verdict, then time, period and version as far as they fit."""
    verdict = "probing..." if diagnosis is None else diagnosis.verdict
    colour = "dim" if diagnosis is None else "down" if diagnosis.used_down else "up"
    line, used = f"Verdict: {formatting.paint(verdict, colour)}", formatting.measure_width(f"Verdict: {verdict}")
    for part in (f"last check {probed_at}", f"every {period_s:g} s" if period_s else "", f"lumen-proxy {__version__}"):
        used += len(f"   {part}")
        if part and used <= width:
            line += f"   {part}"
    return line


def format_menu(width: int) -> str:
    """The keys, in the longest form that fits."""
    return _first_fitting(MENUS, width)


def format_page_menu(number: int, pages: int, width: int) -> str:
    """The keys while a page is shown."""
    if number == pages:
        return "any key: back"
    usual = f"page {number} of {pages}; space: next page, any other key: back"
    return _first_fitting((usual, f"{number}/{pages} space: next"), width)


def _first_fitting(lines: Sequence[str], width: int) -> str:
    """The first that fits, else the last."""
    return next((line for line in lines if len(line) <= width), lines[-1])


def draw_rule(width: int) -> str:
    """A horizontal line."""
    return streams.choose_glyph("─", "-") * width


def fit_lines(diagnosis: Diagnosis, past: Past, width: int, height: int) -> list[str]:
    """The lines for a screen of this size: all rows; if they do not fit, fewer rows; then shortened rows."""
    rows = list(_rows(diagnosis, past, width))
    lines: list[str] = []
    for rank, most in ATTEMPTS:
        lines = [line for row in rows if row.rank <= rank for line in _lines(row, width, most)]
        if len(lines) <= height:
            break
    return lines[:height]


def _lines(row: ScreenRow, width: int, most: int) -> list[str]:
    """The lines of one row. The dashboard clips the line of a channel, which is short and has colours."""
    return [row.text] if row.rank == CHANNEL else wrap_lines(row.text, width, most, row.hang)


def all_lines(diagnosis: Diagnosis, past: Past) -> list[str]:
    """The lines for printed output. They are neither clipped nor wrapped, so that a command can be copied."""
    lines = [
        row.text if row.rank == CHANNEL else formatting.make_printable(row.text) for row in _rows(diagnosis, past, None)
    ]
    return [f"Verdict: {formatting.paint(diagnosis.verdict, 'down' if diagnosis.used_down else 'up')}", "", *lines]


def wrap_lines(text: str, width: int, most: int, hang: int | None = None) -> list[str]:
    """The text in at most `most` lines; the last one shows that it was clipped."""
    lines = formatting.wrap(text, width, hang)
    if len(lines) <= most:
        return lines
    return [*lines[: most - 1], formatting.clip(f"{lines[most - 1]} {lines[most].strip()}{' ' * width}", width)]


def _rows(diagnosis: Diagnosis, past: Past, width: int | None) -> Iterator[ScreenRow]:
    for status in diagnosis.channels:
        yield ScreenRow(CHANNEL, _channel_line(status, past.get(status.channel, ()), width))
        yield ScreenRow(CAUSE if status.state == "down" else DETAIL, f"{INDENT}{_cause(status)}")
        if status.state == "down":
            yield ScreenRow(NEXT_STEP, f"{INDENT}next: {status.advice}")
        yield ScreenRow(BLANK, "")
    known = [
        f"{name} {status.facts[key]}"
        for status in diagnosis.channels[:1]
        for name, key in FIELDS
        if key in status.facts
    ]
    alerts = " and ".join(webhooks(diagnosis.settings)) or "no alert destination configured"
    labelled = [("Proxy", ", ".join(known) or "not running"), ("Alerts", alerts)]
    for label, text in [*labelled, *(("Note", remark) for remark in diagnosis.remarks)]:
        yield ScreenRow(DETAIL, f"{label:{LABEL_COLUMNS}}{text}", LABEL_COLUMNS)


def _channel_line(status: ChannelStatus, past: Sequence[float | None], width: int | None) -> str:
    light = formatting.pad(formatting.choose_symbol(formatting.LIGHTS, status.state), 2)
    state = formatting.paint(f"{light} {formatting.STATE_WORDS[status.state]:5}", status.state)
    ms = "-" if status.ms is None or status.state == "down" else f"{status.ms:.0f} ms"
    room = CURVE_COLUMNS if width is None else min(max(width - CHANNEL_COLUMNS - PACE_COLUMNS, 0), CURVE_COLUMNS)
    curve = formatting.pad(formatting.draw_curve(past, room, SLOW_MS[status.channel][1]), room) if room else ""
    return f"{state}  {status.name:14} {ms:>9}  {curve}  {formatting.paint(status.pace, status.pace)}".rstrip()


def _cause(status: ChannelStatus) -> str:
    """The cause of the state, and the request that showed it."""
    if not status.calls:
        return status.said
    result = status.calls[0]
    return f"{status.said} ({result.method} {result.url} -> {result.status or result.trouble})"
