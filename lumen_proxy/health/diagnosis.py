"""What is wrong and what to do next: all channels at once, the addresses that were called, one verdict."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from lumen_proxy import __version__
from lumen_proxy.console import formatting, streams
from lumen_proxy.control import instances, start_stop, turns
from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.health import probe_targets, probes
from lumen_proxy.health.alerts import webhooks
from lumen_proxy.known_issues import CASES, KNOWN

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lumen_proxy.config import Settings
    from lumen_proxy.health.http_probe import Call
    from lumen_proxy.health.verdicts import Probe

WITHIN_S = 15.0  # a cold start of a channel takes several seconds
GREEN = "ALL GREEN"
INDENT = " " * 9
NO_ALERTS = "no alert destination configured (SLACK_WEBHOOK_URL, LUMEN_WEBHOOK_URL)"


@dataclass(frozen=True)
class Diagnosis:
    """The result of all probes. `started` is the outcome of a start, if one was needed."""

    settings: Settings
    probes: tuple[Probe, ...]
    notes: tuple[str, ...]
    started: start_stop.Outcome | None = None

    @property
    def red(self) -> tuple[Probe, ...]:
        """The channels that are down and that the proxy uses."""
        return tuple(probe for probe in self.probes if probe.state == "down" and self._is_used(probe))

    @property
    def unused(self) -> tuple[Probe, ...]:
        """The channels that are down and that the proxy does not use."""
        return tuple(probe for probe in self.probes if probe.state == "down" and not self._is_used(probe))

    def _is_used(self, probe: Probe) -> bool:
        return probe.channel != "cloud_ai" or self.settings.fallback == probe.channel

    @property
    def verdict(self) -> str:
        """`ALL GREEN`, or which channels are down. What the proxy does not use is named, but does not count."""
        if self.red:
            return f"DOWN: {_names(self.red)}"
        return f"GREEN; down but not used: {_names(self.unused)}" if self.unused else GREEN

    @property
    def remarks(self) -> tuple[str, ...]:
        """The notes, and why a channel that is down does not count."""
        why = f"{_names(self.unused)} is down, but the proxy does not use it (LUMEN_FALLBACK=off)"
        return (*self.notes, why) if self.unused else self.notes

    @property
    def exit_status(self) -> Exit:
        """0 or 69."""
        return Exit.UNAVAILABLE if self.red else Exit.OK

    def as_json(self) -> dict[str, Any]:
        """Everything, as plain values."""
        return {
            "ts": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "version": __version__,
            "verdict": self.verdict,
            "ok": not self.red,
            "channels": [probe.as_json() for probe in self.probes],
            "notes": list(self.remarks),
            "alerts": list(webhooks(self.settings)),
            "started": dataclasses.asdict(self.started) if self.started else None,
        }


def examine(
    settings: Settings,
    *,
    within_s: float = WITHIN_S,
    deep: bool = False,
    start: bool = False,
    venv: Path | None = None,
) -> Diagnosis:
    """Probe everything within one deadline. With `start` a proxy that is not running is started first."""
    is_wanted = start and instances.is_stopped(settings)
    before = _end_of_the_last(settings) if is_wanted else ()
    started = _started(settings) if is_wanted else None
    asked, notes, environ = probe_targets.in_use(settings)
    environment = venv or probes.own_environment()
    found = probes.probe(asked, within_s=within_s, deep=deep, venv=environment, environ=environ)
    if started and started.problems:
        found = (_not_started(found[0], started, settings), *found[1:])
    return Diagnosis(asked, found, (*before, *notes, *_notes(found)), started)


def glance(settings: Settings, *, thorough: bool = True) -> Diagnosis:
    """Look at the three channels once, for free; nothing is started."""
    asked, notes, environ = probe_targets.in_use(settings)
    found = probes.probe(asked, within_s=WITHIN_S, thorough=thorough, environ=environ)
    return Diagnosis(asked, found, (*notes, *_notes(found)))


def _notes(probes: tuple[Probe, ...]) -> tuple[str, ...]:
    return tuple(note for probe in probes for note in probe.notes)


def _names(probes: tuple[Probe, ...]) -> str:
    return ", ".join(probe.name for probe in probes)


def _end_of_the_last(settings: Settings) -> tuple[str, ...]:
    """A start forgets why the last proxy ended, so this is a note."""
    seen = instances.look(settings)
    return (f"the proxy that ran before {seen.last_failure}; see {seen.log}",) if seen.last_failure else ()


def _started(settings: Settings) -> start_stop.Outcome:
    """The outcome of a start; one that is refused is one, too."""
    try:
        return turns.start(settings)
    except Fatal as verdict:
        return start_stop.Outcome("failed", verdict.exit_status, settings.port, problems=(str(verdict),))


def _not_started(proxy: Probe, started: start_stop.Outcome, settings: Settings) -> Probe:
    """The start has said more than the probe can see: what is wrong; and behind a semicolon, what to do."""
    problem, _, next_step = started.problems[-1].partition("; ")
    case = {Exit.PORT_IN_USE: "port-conflict"}.get(started.exit_status, proxy.case)
    if started.exit_status is Exit.UNAVAILABLE and "flask" in problem:
        case = "flask-missing"
    advice = CASES["port-conflict"].do if case == "port-conflict" else next_step or "see the message above"
    see = CASES[case].see if case else None
    said = f"does not start: {problem}"
    return replace(proxy, state="down", said=said, case=case, advice=advice, see=see).on_port(settings)


def show(diagnosis: Diagnosis) -> None:
    """Print it for people."""
    for line in lines(diagnosis):
        streams.show(line)


def lines(diagnosis: Diagnosis) -> Iterator[str]:
    """The whole report."""
    yield f"Lumen diagnosis, lumen-proxy {__version__}"
    if diagnosis.started and diagnosis.started.said:
        yield f"the proxy was not running; {diagnosis.started.said.removeprefix(streams.PREFIX)}"
    for probe in diagnosis.probes:
        yield ""
        yield from _section(probe)
    yield ""
    yield from (f"note: {formatting.harmless(remark)}" for remark in diagnosis.remarks)
    yield "Summary"
    for probe in diagnosis.probes:
        yield f"  {_head(probe)}"
    targets = " and ".join(webhooks(diagnosis.settings)) or NO_ALERTS
    yield f"  {formatting.symbol(formatting.TICKS, 'unset')} {'':5} {'Alerts':14} {targets}"
    yield "Verdict: " + formatting.paint(diagnosis.verdict, "down" if diagnosis.red else "up")


def _head(probe: Probe) -> str:
    state = formatting.paint(
        f"{formatting.symbol(formatting.TICKS, probe.state)} {formatting.WORDS[probe.state]:5}", probe.state
    )
    ms = "" if probe.ms is None else f"  {probe.ms:.0f} ms"
    pace = formatting.paint(f" ({probe.pace})", probe.pace) if probe.pace else ""
    return f"{state} {probe.name:14} {formatting.harmless(probe.said)}{ms}{pace}"


def _section(probe: Probe) -> Iterator[str]:
    yield _head(probe)
    for call in probe.calls:
        yield f"{INDENT}{_called(call)}"
    facts = [f"{name} {value}" for name, value in probe.facts.items() if value not in (None, [])]
    if facts:
        yield f"{INDENT}{formatting.harmless(', '.join(facts))}"
    case = KNOWN.get(probe.case or "")
    if case:
        yield f"{INDENT}case: {case.title} [{case.id}]"
    if probe.state == "down":
        yield f"{INDENT}next: {formatting.harmless(probe.advice or '')}"
    if probe.see:
        yield f"{INDENT}then: {formatting.harmless(probe.see)}"


def _called(call: Call) -> str:
    answer = f"{call.status}" if call.status is not None else f"no answer ({call.trouble})"
    return f"{call.method} {call.url} -> {answer}" + ("" if call.ms is None else f", {call.ms:.0f} ms")


def report(diagnosis: Diagnosis, *, as_json: bool) -> Exit:
    """Print it and return its exit status."""
    if as_json:
        streams.show(json.dumps(diagnosis.as_json()))
    else:
        show(diagnosis)
    return diagnosis.exit_status
