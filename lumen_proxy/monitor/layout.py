"""The lines of the dashboard: all of them where they are printed, the most important ones where a screen is small."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lumen_proxy import __version__
from lumen_proxy.console import formatting, streams
from lumen_proxy.health.alerts import webhooks
from lumen_proxy.health.verdicts import SLOW_MS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lumen_proxy.health.diagnosis import Diagnosis
    from lumen_proxy.health.verdicts import Probe

    Past = Mapping[str, Sequence[float | None]]
    """Channel → its last response times in ms, None for no answer."""

CURVE_COLUMNS = 30
CHANNEL_COLUMNS = 38  # a channel's line up to its curve
PACE_COLUMNS = 11  # behind the curve: two spaces and `very slow`
INDENT = " " * 10
LABEL_COLUMNS = 11  # of Proxy, Alerts and Note
FACTS = (("pid", "pid"), ("worker", "worker_pid"), ("restarts", "restarts"), ("breaker", "breaker"))
MENUS = (
    "[s] start  [x] stop  [d] diagnose  [h] help  [q] quit",
    "s start x stop d diagnose h help q quit",
    "keys: s x d h q",
)
CHANNEL, NEXT_STEP, CAUSE, DETAIL, BLANK = range(5)  # ranks: the higher ones give way first
ATTEMPTS = (  # the highest rank that is shown, and how many lines one row may take; the first that fits is taken
    (BLANK, 9),
    (DETAIL, 9),
    (CAUSE, 9),
    (NEXT_STEP, 9),
    (NEXT_STEP, 3),
    (NEXT_STEP, 2),
    (NEXT_STEP, 1),
    (CHANNEL, 1),
)


class Row(NamedTuple):
    """One line before it is wrapped. Only the text of a CHANNEL has colours; that of others may come from a server."""

    rank: int
    text: str
    hang: int | None = None  # the indent of further lines, if it is another one


def head(diagnosis: Diagnosis | None, seen_at: str, period_s: float | None, width: int) -> str:
    """The first line: the verdict, and behind it as many of the facts about the look as there is room for."""
    verdict = "looking..." if diagnosis is None else diagnosis.verdict
    colour = "dim" if diagnosis is None else "down" if diagnosis.red else "up"
    line, used = f"Verdict: {formatting.paint(verdict, colour)}", formatting.columns(f"Verdict: {verdict}")
    for fact in (f"last check {seen_at}", f"every {period_s:g} s" if period_s else "", f"lumen-proxy {__version__}"):
        used += len(f"   {fact}")
        if fact and used <= width:
            line += f"   {fact}"
    return line


def menu(width: int) -> str:
    """The keys, as long as there is room for."""
    return longest(MENUS, width)


def page_menu(number: int, pages: int, width: int) -> str:
    """The keys while a page is read."""
    if number == pages:
        return "any key: back"
    usual = f"page {number} of {pages}; space: next page, any other key: back"
    return longest((usual, f"{number}/{pages} space: next"), width)


def longest(lines: Sequence[str], width: int) -> str:
    """The first that fits, else the last."""
    return next((line for line in lines if len(line) <= width), lines[-1])


def rule(width: int) -> str:
    """A horizontal line."""
    return streams.glyph("─", "-") * width


def fitted(diagnosis: Diagnosis, past: Past, width: int, height: int) -> list[str]:
    """The rows that fit in so many columns and lines: whole ones first, then fewer of them, then shortened ones."""
    rows = list(_rows(diagnosis, past, width))
    lines: list[str] = []
    for rank, most in ATTEMPTS:
        lines = [line for row in rows if row.rank <= rank for line in _lines(row, width, most)]
        if len(lines) <= height:
            break
    return lines[:height]


def _lines(row: Row, width: int, most: int) -> list[str]:
    """One row on a screen. The dashboard cuts a channel's line if need be: it is short, and has colours."""
    return [row.text] if row.rank == CHANNEL else folded(row.text, width, most, row.hang)


def whole(diagnosis: Diagnosis, past: Past) -> list[str]:
    """What is printed: nothing is cut or wrapped, so that a command can be copied."""
    lines = [row.text if row.rank == CHANNEL else formatting.harmless(row.text) for row in _rows(diagnosis, past, None)]
    return [f"Verdict: {formatting.paint(diagnosis.verdict, 'down' if diagnosis.red else 'up')}", "", *lines]


def folded(text: str, width: int, most: int, hang: int | None = None) -> list[str]:
    """The text in at most so many lines; the last one says by its end that it was cut."""
    lines = formatting.wrap(text, width, hang)
    if len(lines) <= most:
        return lines
    return [*lines[: most - 1], formatting.clip(f"{lines[most - 1]} {lines[most].strip()}{' ' * width}", width)]


def _rows(diagnosis: Diagnosis, past: Past, width: int | None) -> Iterator[Row]:
    for probe in diagnosis.probes:
        yield Row(CHANNEL, _channel(probe, past.get(probe.channel, ()), width))
        yield Row(CAUSE if probe.state == "down" else DETAIL, f"{INDENT}{_cause(probe)}")
        if probe.state == "down":
            yield Row(NEXT_STEP, f"{INDENT}next: {probe.advice}")
        yield Row(BLANK, "")
    known = [
        f"{name} {probe.facts[key]}" for probe in diagnosis.probes[:1] for name, key in FACTS if key in probe.facts
    ]
    alerts = " and ".join(webhooks(diagnosis.settings)) or "no alert destination configured"
    labelled = [("Proxy", ", ".join(known) or "not running"), ("Alerts", alerts)]
    for label, text in [*labelled, *(("Note", remark) for remark in diagnosis.remarks)]:
        yield Row(DETAIL, f"{label:{LABEL_COLUMNS}}{text}", LABEL_COLUMNS)


def _channel(probe: Probe, past: Sequence[float | None], width: int | None) -> str:
    light = formatting.pad(formatting.symbol(formatting.LIGHTS, probe.state), 2)
    state = formatting.paint(f"{light} {formatting.WORDS[probe.state]:5}", probe.state)
    ms = "-" if probe.ms is None or probe.state == "down" else f"{probe.ms:.0f} ms"
    room = CURVE_COLUMNS if width is None else min(max(width - CHANNEL_COLUMNS - PACE_COLUMNS, 0), CURVE_COLUMNS)
    curve = formatting.pad(formatting.curve(past, room, SLOW_MS[probe.channel][1]), room) if room else ""
    return f"{state}  {probe.name:14} {ms:>9}  {curve}  {formatting.paint(probe.pace, probe.pace)}".rstrip()


def _cause(probe: Probe) -> str:
    """What was found, and at which address."""
    if not probe.calls:
        return probe.said
    call = probe.calls[0]
    return f"{probe.said} ({call.method} {call.url} -> {call.status or call.trouble})"
