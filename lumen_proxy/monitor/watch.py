"""Probes all channels periodically and sends an alert on each change. `watch` and the dashboard use this module."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from lumen_proxy.console import formatting, streams, terminal
from lumen_proxy.health import diagnosis
from lumen_proxy.health.alerts import AlertSender, ChangeTracker, Delivery, make_channel_alert, webhooks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lumen_proxy.config import Settings
    from lumen_proxy.health.diagnosis import Diagnosis
    from lumen_proxy.health.verdicts import ChannelStatus

    Changes = list[tuple[str, ChannelStatus]]

PERIOD_S = 5.0  # the default of `watch` and of `dashboard --watch`
KEPT_RESULTS = 60  # five minutes at the default period


@dataclass
class Monitor:
    """Periodic probes of all channels. `past` maps a channel to its last times in ms, None for no response."""

    settings: Settings
    role: str
    period_s: float = PERIOD_S
    past: dict[str, deque[float | None]] = field(default_factory=dict)
    tracker: ChangeTracker = field(default_factory=ChangeTracker)
    ended: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.sender = AlertSender(self.settings, self.role, report_failed_delivery)

    def run(self) -> Iterator[tuple[Diagnosis, Changes]]:
        """Probe once per period until `ended` is set; yield each diagnosis with its changes. Alerts are queued."""
        while not self.ended.is_set():
            began = time.monotonic()
            yield self.probe()
            self.ended.wait(max(self.period_s - (time.monotonic() - began), 0))

    def probe(self) -> tuple[Diagnosis, Changes]:
        """Probe once, with one free request for each cloud channel."""
        found = diagnosis.probe_once(self.settings, thorough=False)
        record_times(self.past, found.channels)
        changes = self.tracker.observe(found.channels, time.monotonic())
        for change, status in changes:
            self.sender.send(make_channel_alert(change, status, self.settings))
        return found, changes

    def close(self) -> None:
        """End the probes; finish the alerts in progress."""
        self.ended.set()
        self.sender.close()


def record_times(past: dict[str, deque[float | None]], channels: Iterable[ChannelStatus]) -> None:
    """Add the response times of one diagnosis. A channel that is switched off has none."""
    for status in channels:
        if status.state != "unset":
            times = past.setdefault(status.channel, deque(maxlen=KEPT_RESULTS))
            times.append(status.ms if status.state == "up" else None)


def report_failed_delivery(delivery: Delivery) -> None:
    """Print to standard error that an alert was not delivered."""
    if not delivery.ok:
        streams.notify(describe_failed_delivery(delivery))


def describe_failed_delivery(delivery: Delivery) -> str:
    """One line about an alert that was not delivered."""
    return f"alert not delivered to {delivery.to}: {delivery.why}, after {delivery.attempts} attempts"


def format_announcement(settings: Settings, period_s: float) -> str:
    """The line that a background task of an editor waits for."""
    destinations = " and ".join(webhooks(settings))
    alerts = f"alerts go to {destinations}" if destinations else "no alert destination configured"
    return f"watching 3 channels every {period_s:g} s; {alerts}"


def run(settings: Settings, period_s: float, *, as_json: bool) -> None:
    """Watch until Ctrl-C; print changes, and the state at the beginning."""
    monitor = Monitor(settings, "watch", period_s)
    if not as_json:
        streams.announce(format_announcement(settings, period_s))
    with contextlib.suppress(KeyboardInterrupt), terminal.stop_signals_as_interrupt():
        for number, (found, changes) in enumerate(monitor.run()):
            for line in _json_lines(found, changes) if as_json else format_lines(found, changes, first=number == 0):
                streams.show(line)
            if streams.is_output_lost():
                break
    monitor.close()


def _json_lines(found: Diagnosis, changes: Changes) -> Iterator[str]:
    rows = [{"change": change, "channel": status.channel} for change, status in changes]
    yield json.dumps({**found.as_json(), "changes": rows})


def format_lines(found: Diagnosis, changes: Changes, *, first: bool) -> Iterator[str]:
    """The changes as lines for people; at the beginning also the state of all channels."""
    if first:
        yield format_summary(found)
    for change, status in changes:
        symbol, said = formatting.choose_symbol(formatting.TICKS, status.state), formatting.make_printable(status.said)
        yield f"{_clock()} {symbol} {change.upper()} {status.name}: {said}"


def format_summary(found: Diagnosis) -> str:
    """One diagnosis in one line."""
    parts = [f"{_clock()} {found.verdict}"]
    for status in found.channels:
        ms = "" if status.ms is None else f" {status.ms:.0f} ms"
        symbol = formatting.choose_symbol(formatting.TICKS, status.state)
        parts.append(f"{symbol} {formatting.STATE_WORDS[status.state]} {status.name}{ms}")
    return " | ".join(parts)


def _clock() -> str:
    return datetime.now().astimezone().strftime("%H:%M:%S")
