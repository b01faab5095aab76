"""Probe periodically, keep the last results, and send an alert on a change. Used by `watch` and by the dashboard."""

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
from lumen_proxy.health import diagnosis as diagnose
from lumen_proxy.health.alerts import Delivery, Messenger, Tracker, event_of, webhooks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lumen_proxy.config import Settings
    from lumen_proxy.health.diagnosis import Diagnosis
    from lumen_proxy.health.verdicts import Probe

    Changes = list[tuple[str, Probe]]

PERIOD_S = 5.0  # system.md
KEPT_LOOKS = 60  # five minutes of them


@dataclass
class Watch:
    """All looks of one watch. `past` maps a channel to its last times in ms, None for no answer."""

    settings: Settings
    role: str
    period_s: float = PERIOD_S
    past: dict[str, deque[float | None]] = field(default_factory=dict)
    tracker: Tracker = field(default_factory=Tracker)
    ended: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.messenger = Messenger(self.settings, self.role, told)

    def looks(self) -> Iterator[tuple[Diagnosis, Changes]]:
        """One look a period, with its changes, until `ended` is set. Alerts are on their way when it is returned."""
        while not self.ended.is_set():
            began = time.monotonic()
            yield self.look()
            self.ended.wait(max(self.period_s - (time.monotonic() - began), 0))

    def look(self) -> tuple[Diagnosis, Changes]:
        """Look once, with one free question for each cloud channel."""
        diagnosis = diagnose.glance(self.settings, thorough=False)
        record(self.past, diagnosis.probes)
        changes = self.tracker.observe(diagnosis.probes, time.monotonic())
        for change, probe in changes:
            self.messenger.tell(event_of(change, probe, self.settings))
        return diagnosis, changes

    def close(self) -> None:
        """End the looks; finish the message under way."""
        self.ended.set()
        self.messenger.close()


def record(past: dict[str, deque[float | None]], probes: Iterable[Probe]) -> None:
    """Keep the response times of one look. A channel that is switched off was not asked, so nothing is kept of it."""
    for probe in probes:
        if probe.state != "unset":
            kept = past.setdefault(probe.channel, deque(maxlen=KEPT_LOOKS))
            kept.append(probe.ms if probe.state == "up" else None)


def told(delivery: Delivery) -> None:
    """Report on standard error that an alert was not delivered."""
    if not delivery.ok:
        streams.tell(undelivered(delivery))


def undelivered(delivery: Delivery) -> str:
    """One line about an alert that was not delivered."""
    return f"alert not delivered to {delivery.to}: {delivery.why}, after {delivery.attempts} attempts"


def announcement(settings: Settings, period_s: float) -> str:
    """The fixed line that a background task waits for."""
    destinations = " and ".join(webhooks(settings))
    alerts = f"alerts go to {destinations}" if destinations else "no alert destination configured"
    return f"watching 3 channels every {period_s:g} s; {alerts}"


def run(settings: Settings, period_s: float, *, as_json: bool) -> None:
    """Watch until Ctrl-C; print changes, and the state at the beginning."""
    watch = Watch(settings, "watch", period_s)
    if not as_json:
        streams.announce(announcement(settings, period_s))
    with contextlib.suppress(KeyboardInterrupt), terminal.stopped_like_ctrl_c():
        for number, (diagnosis, changes) in enumerate(watch.looks()):
            for line in _as_json(diagnosis, changes) if as_json else in_words(diagnosis, changes, first=number == 0):
                streams.show(line)
            if streams.is_unheard():
                break
    watch.close()


def _as_json(diagnosis: Diagnosis, changes: Changes) -> Iterator[str]:
    told = [{"change": change, "channel": probe.channel} for change, probe in changes]
    yield json.dumps({**diagnosis.as_json(), "changes": told})


def in_words(diagnosis: Diagnosis, changes: Changes, *, first: bool) -> Iterator[str]:
    """One look as lines for people: the changes, and before them the state at the beginning."""
    if first:
        yield summary(diagnosis)
    for change, probe in changes:
        symbol, said = formatting.symbol(formatting.TICKS, probe.state), formatting.harmless(probe.said)
        yield f"{_clock()} {symbol} {change.upper()} {probe.name}: {said}"


def summary(diagnosis: Diagnosis) -> str:
    """One look in one line."""
    parts = [f"{_clock()} {diagnosis.verdict}"]
    for probe in diagnosis.probes:
        ms = "" if probe.ms is None else f" {probe.ms:.0f} ms"
        parts.append(
            f"{formatting.symbol(formatting.TICKS, probe.state)} {formatting.WORDS[probe.state]} {probe.name}{ms}"
        )
    return " | ".join(parts)


def _clock() -> str:
    return datetime.now().astimezone().strftime("%H:%M:%S")
