"""Alerts when a channel goes down and when it is back: their content and their delivery.

Slack takes `{"text"}` and answers 200 `ok`; 400, 403, 404 and 410 are final; 429 says how long to wait, and about one
message a second is allowed. A wait of up to five minutes is obeyed; a message that must wait longer is dropped. The
webhooks' addresses are secrets: they appear in no message, log or error.

Run as a module with an event's JSON as its argument, this delivers one event: the supervisor's way.
"""

from __future__ import annotations

import json
import platform
import queue
import sys
import threading
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from lumen_proxy import config
from lumen_proxy.errors import Exit
from lumen_proxy.logs.rotation import RotatedFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lumen_proxy.config import Settings
    from lumen_proxy.health.verdicts import Probe

CONFIRM_LOOKS = 2  # a channel that misses one look is not down yet
COOL_DOWN_S = 300.0  # between two "down" of one channel: a channel that flaps is told every five minutes
ATTEMPTS = 4
POST_S = 10.0
BACK_OFF_S = 1.0  # doubled at each attempt
LONGEST_WAIT_S = COOL_DOWN_S  # a message that must wait longer is dropped: by then there may be news
SPACING_S = 1.0  # Slack: about one message a second
CLOSE_S = 5.0  # the end of a watch waits this long for what is under way
SLACK = "Slack"
TOO_MANY, SERVER_ERROR, REDIRECT, OK = 429, 500, 300, 200

Event = dict[str, Any]
"""`event` (down, back, gave_up, crash_loop), `ts`, `host`, `port`, `channel`, `name`, `said`."""
Events = queue.SimpleQueue[Event | None]


class Tracker:
    """Which changes are worth a message. Pure: time comes in (seconds of one clock)."""

    def __init__(self, *, confirm: int = CONFIRM_LOOKS, cool_down_s: float = COOL_DOWN_S) -> None:
        self._confirm = confirm
        self._cool_down_s = cool_down_s
        self._red: dict[str, int] = {}  # looks in a row
        self._told: dict[str, bool] = {}
        self._last: dict[str, float] = {}

    def observe(self, probes: Iterable[Probe], now: float) -> list[tuple[str, Probe]]:
        """`("down" | "back", probe)` for each channel that has something new to tell."""
        return [(change, probe) for probe in probes if (change := self._change(probe, now))]

    def _change(self, probe: Probe, now: float) -> str | None:
        channel = probe.channel
        if probe.state != "down":
            self._red[channel] = 0
            was_told = self._told.pop(channel, False)
            return "back" if was_told and probe.state == "up" else None  # switched off is not back
        self._red[channel] = self._red.get(channel, 0) + 1
        cool = channel not in self._last or now - self._last[channel] >= self._cool_down_s
        if self._red[channel] < self._confirm or self._told.get(channel) or not cool:
            return None
        self._told[channel], self._last[channel] = True, now
        return "down"


def event_of(change: str, probe: Probe, settings: Settings) -> Event:
    """What is sent about a channel."""
    return event(change, settings, channel=probe.channel, name=probe.name, said=probe.said)


def event(kind: str, settings: Settings, **facts: object) -> Event:
    """What is sent: where, when, what."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {"event": kind, "ts": now, "host": platform.node(), "port": settings.port, **facts}


def text_of(it: Event) -> str:
    """The event as Slack shows it; `&`, `<` and `>` are escaped as Slack demands."""
    signs = {"back": ":large_green_circle: BACK", "down": ":red_circle: DOWN"}
    sign = signs.get(it["event"], f":rotating_light: {str(it['event']).upper().replace('_', ' ')}")
    said = str(it.get("said", "")).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"{sign} {it.get('name', 'Local proxy')} ({it.get('host')}, port {it.get('port')}): {said}"


@dataclass(frozen=True)
class Delivery:
    """The result of one message. `why` never contains the address."""

    to: str
    ok: bool
    attempts: int
    why: str


def webhooks(settings: Settings) -> dict[str, str]:
    """Name and address of each that is set."""
    both = {SLACK: settings.slack_webhook_url, "webhook": settings.webhook_url}
    return {name: url for name, url in both.items() if url}


def deliver(name: str, url: str, it: Event, pause: Callable[[float], object]) -> Delivery:
    """Send an event to one webhook. `pause` waits between attempts; true ends them."""
    import requests  # noqa: PLC0415 - 0.1 s, for nothing in a command that sends no alert

    from lumen_proxy.net.transport import session  # noqa: PLC0415 - the same

    body = {"text": text_of(it)} if name == SLACK else it
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with (
                session() as opened,
                opened.post(url, json=body, timeout=POST_S, allow_redirects=False) as response,
            ):
                status, retry_after = response.status_code, response.headers.get("Retry-After", "")
        except (requests.RequestException, ValueError, OSError) as error:  # it may have arrived: never twice
            why = getattr(error, "kind", type(error).__name__)
            return Delivery(name, ok=False, attempts=attempt, why=why)
        if OK <= status < REDIRECT:
            return Delivery(name, ok=True, attempts=attempt, why=str(status))
        if status != TOO_MANY and status < SERVER_ERROR:
            return Delivery(name, ok=False, attempts=attempt, why=str(status))
        wait_s = float(retry_after) if retry_after.isdecimal() else BACK_OFF_S * 2.0 ** (attempt - 1)
        if wait_s > LONGEST_WAIT_S:
            why = f"{status}: retry after {wait_s:g} s, longer than the limit of {LONGEST_WAIT_S:g} s"
            return Delivery(name, ok=False, attempts=attempt, why=why)
        if attempt < ATTEMPTS and pause(wait_s):
            break
    return Delivery(name, ok=False, attempts=attempt, why=str(status))


class Messenger:
    """Delivers events and logs the results: one after another, in one thread per webhook, because one may be slow."""

    def __init__(self, settings: Settings, role: str, told: Callable[[Delivery], None] = lambda _: None) -> None:
        self._log = log_of(settings, role)
        self.told = told
        self._ended = threading.Event()
        self._lines: list[tuple[Events, threading.Thread]] = []
        if webhooks(settings):
            import lumen_proxy.net.transport  # noqa: F401, PLC0415 - one that is broken is known before the first alert
        for webhook in webhooks(settings).items():
            events: Events = queue.SimpleQueue()
            thread = threading.Thread(target=self._run, args=(*webhook, events), daemon=True)
            thread.start()
            self._lines.append((events, thread))

    def tell(self, it: Event) -> None:
        """Deliver soon; never waits."""
        for events, _ in self._lines:
            events.put(it)

    def close(self, within_s: float | None = CLOSE_S) -> None:
        """Finish what is under way, but not for long; None: however long it takes."""
        until = None if within_s is None else time.monotonic() + within_s
        for events, _ in self._lines:
            events.put(None)
        for _, thread in self._lines:
            thread.join(None if until is None else max(until - time.monotonic(), 0))
        self._ended.set()

    def _run(self, name: str, url: str, events: Events) -> None:
        while (it := events.get()) is not None:
            delivery = deliver(name, url, it, self._ended.wait)
            note(self._log, it, delivery)
            self.told(delivery)
            if not events.empty():
                self._ended.wait(SPACING_S)


def log_of(settings: Settings, role: str) -> RotatedFile:
    """The log of one process that sends alerts."""
    path = settings.log_dir / f"alerts-{role}-{settings.port}.jsonl"
    return RotatedFile(path, max_bytes=settings.log_max_bytes, keep=settings.log_keep, days=settings.log_days)


def note(log: RotatedFile, it: Event, delivery: Delivery) -> None:
    """One line about a delivery."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    about = {"ts": now, "level": "info" if delivery.ok else "error", "event": "alert", "about": it["event"]}
    fared = {"channel": it.get("channel"), **asdict(delivery)}
    log.append(json.dumps(about | fared).encode("ascii") + b"\n")


def main(argv: list[str]) -> int:
    """Deliver one event, given as JSON; settings come from the environment."""
    settings = config.load()
    facts: dict[str, object] = json.loads(argv[0])
    it = event(str(facts.pop("event")), settings, **facts)
    fates: list[bool] = []
    messenger = Messenger(settings, "supervisor", lambda delivery: fates.append(delivery.ok))
    messenger.tell(it)
    messenger.close(None)
    return Exit.OK if all(fates) else Exit.UNAVAILABLE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
