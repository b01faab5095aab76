"""A diagnosis of all channels: what is wrong, what to do next, the addresses that were called, one verdict."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from lumen_proxy import __version__
from lumen_proxy.console import formatting, streams
from lumen_proxy.control import instances
from lumen_proxy.control.result import ControlResult
from lumen_proxy.control.start import start as start_proxy
from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.health import probe_targets, probes
from lumen_proxy.health.alerts import webhooks
from lumen_proxy.health.known_issues import ALL_ISSUES, USER_ISSUES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lumen_proxy.config import Settings
    from lumen_proxy.health.http_probe import ProbeResult
    from lumen_proxy.health.verdicts import ChannelStatus

WITHIN_S = 15.0  # a cold start of a channel takes several seconds
ALL_GREEN = "ALL GREEN"
INDENT = " " * 9
NO_ALERTS = "no alert destination configured (SLACK_WEBHOOK_URL, LUMEN_WEBHOOK_URL)"


@dataclass(frozen=True)
class Diagnosis:
    """The status of all channels. `started` is the result of a start, if one was necessary."""

    settings: Settings
    channels: tuple[ChannelStatus, ...]
    notes: tuple[str, ...]
    started: ControlResult | None = None

    @property
    def used_down(self) -> tuple[ChannelStatus, ...]:
        """The channels that are down and that the proxy uses."""
        return tuple(one for one in self.channels if one.state == "down" and self._is_used(one))

    @property
    def unused_down(self) -> tuple[ChannelStatus, ...]:
        """The channels that are down and that the proxy does not use."""
        return tuple(one for one in self.channels if one.state == "down" and not self._is_used(one))

    def _is_used(self, status: ChannelStatus) -> bool:
        return status.channel != "cloud_ai" or self.settings.fallback == status.channel

    @property
    def verdict(self) -> str:
        """`ALL GREEN`, or the channels that are down. An unused channel does not change the exit status."""
        if self.used_down:
            return f"DOWN: {_names(self.used_down)}"
        return f"GREEN; down but not used: {_names(self.unused_down)}" if self.unused_down else ALL_GREEN

    @property
    def remarks(self) -> tuple[str, ...]:
        """The notes, and why a channel that is down does not change the exit status."""
        why = f"{_names(self.unused_down)} is down, but the proxy does not use it (LUMEN_FALLBACK=off)"
        return (*self.notes, why) if self.unused_down else self.notes

    @property
    def exit_status(self) -> Exit:
        """0 or 69."""
        return Exit.UNAVAILABLE if self.used_down else Exit.OK

    def as_json(self) -> dict[str, Any]:
        """All fields as plain values."""
        return {
            "ts": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "version": __version__,
            "verdict": self.verdict,
            "ok": not self.used_down,
            "channels": [status.as_json() for status in self.channels],
            "notes": list(self.remarks),
            "alerts": list(webhooks(self.settings)),
            "started": dataclasses.asdict(self.started) if self.started else None,
        }


def diagnose(
    settings: Settings,
    *,
    within_s: float = WITHIN_S,
    deep: bool = False,
    start: bool = False,
    venv: Path | None = None,
) -> Diagnosis:
    """Probe all channels with one deadline. With `start`, start the proxy first if it is not running."""
    is_start = start and instances.is_free(settings)
    last_end = _describe_last_end(settings) if is_start else ()
    started = _start(settings) if is_start else None
    targets, notes, environ = probe_targets.find_targets(settings)
    environment = venv or probes.own_environment()
    channels = probes.probe_all(targets, within_s=within_s, deep=deep, venv=environment, environ=environ)
    if started and started.problems:
        channels = (_judge_failed_start(channels[0], started, settings), *channels[1:])
    return Diagnosis(targets, channels, (*last_end, *notes, *_notes(channels)), started)


def probe_once(settings: Settings, *, thorough: bool = True) -> Diagnosis:
    """Probe the three channels once, for free; start nothing."""
    targets, notes, environ = probe_targets.find_targets(settings)
    channels = probes.probe_all(targets, within_s=WITHIN_S, thorough=thorough, environ=environ)
    return Diagnosis(targets, channels, (*notes, *_notes(channels)))


def _notes(channels: tuple[ChannelStatus, ...]) -> tuple[str, ...]:
    return tuple(note for status in channels for note in status.notes)


def _names(channels: tuple[ChannelStatus, ...]) -> str:
    return ", ".join(status.name for status in channels)


def _describe_last_end(settings: Settings) -> tuple[str, ...]:
    """A note on why the last proxy ended: the start removes that record."""
    status = instances.inspect(settings)
    return (f"the last proxy {status.last_failure}; see {status.log}",) if status.last_failure else ()


def _start(settings: Settings) -> ControlResult:
    """The result of a start, also of one that is refused."""
    try:
        return start_proxy(settings)
    except Fatal as error:
        return ControlResult("failed", error.exit_status, settings.port, problems=(str(error),))


def _judge_failed_start(proxy: ChannelStatus, started: ControlResult, settings: Settings) -> ChannelStatus:
    """The status of the proxy by the error of its start: what is wrong, a semicolon, what to do."""
    problem, _, next_step = started.problems[-1].partition("; ")
    case = {Exit.PORT_IN_USE: "port-conflict"}.get(started.exit_status, proxy.case)
    if started.exit_status is Exit.UNAVAILABLE and "flask" in problem:
        case = "flask-missing"
    advice = USER_ISSUES["port-conflict"].fix if case == "port-conflict" else next_step or "see the message above"
    see = USER_ISSUES[case].check if case else None
    said = f"does not start: {problem}"
    return replace(proxy, state="down", said=said, case=case, advice=advice, see=see).on_port(settings)


def format_lines(diagnosis: Diagnosis) -> Iterator[str]:
    """The report for people."""
    yield f"Lumen diagnosis, lumen-proxy {__version__}"
    if diagnosis.started and diagnosis.started.said:
        yield f"the proxy was not running; {diagnosis.started.said.removeprefix(streams.PREFIX)}"
    for status in diagnosis.channels:
        yield ""
        yield from _section(status)
    yield ""
    yield from (f"note: {formatting.make_printable(remark)}" for remark in diagnosis.remarks)
    yield "Summary"
    for status in diagnosis.channels:
        yield f"  {_heading(status)}"
    destinations = " and ".join(webhooks(diagnosis.settings)) or NO_ALERTS
    yield f"  {formatting.choose_symbol(formatting.TICKS, 'unset')} {'':5} {'Alerts':14} {destinations}"
    yield "Verdict: " + formatting.paint(diagnosis.verdict, "down" if diagnosis.used_down else "up")


def _heading(status: ChannelStatus) -> str:
    state = formatting.paint(
        f"{formatting.choose_symbol(formatting.TICKS, status.state)} {formatting.STATE_WORDS[status.state]:5}",
        status.state,
    )
    ms = "" if status.ms is None else f"  {status.ms:.0f} ms"
    pace = formatting.paint(f" ({status.pace})", status.pace) if status.pace else ""
    return f"{state} {status.name:14} {formatting.make_printable(status.said)}{ms}{pace}"


def _section(status: ChannelStatus) -> Iterator[str]:
    yield _heading(status)
    for result in status.calls:
        yield f"{INDENT}{_request_line(result)}"
    fields = [f"{name} {value}" for name, value in status.facts.items() if value not in (None, [])]
    if fields:
        yield f"{INDENT}{formatting.make_printable(', '.join(fields))}"
    issue = ALL_ISSUES.get(status.case or "")
    if issue:
        yield f"{INDENT}case: {issue.title} [{issue.id}]"
    if status.state == "down":
        yield f"{INDENT}next: {formatting.make_printable(status.advice or '')}"
    if status.see:
        yield f"{INDENT}then: {formatting.make_printable(status.see)}"


def _request_line(result: ProbeResult) -> str:
    answer = f"{result.status}" if result.status is not None else f"no answer ({result.trouble})"
    return f"{result.method} {result.url} -> {answer}" + ("" if result.ms is None else f", {result.ms:.0f} ms")


def report(diagnosis: Diagnosis, *, as_json: bool) -> Exit:
    """Print the report; return its exit status."""
    if as_json:
        streams.show(json.dumps(diagnosis.as_json()))
    else:
        for line in format_lines(diagnosis):
            streams.show(line)
    return diagnosis.exit_status
