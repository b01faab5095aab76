"""Alerts: a channel went down, a channel is back, the workers crash repeatedly.

Slack accepts `{"text"}` and answers 200 `ok`. 400, 403, 404 and 410 are final, 429 has the time to wait, and about one
message a second is allowed. A wait of up to five minutes is respected; an alert that must wait longer is dropped. The
addresses of webhooks are secrets and appear in no message, log or error.

As a module with the JSON of an event as its argument, this delivers one event; `crash_alarm` uses that.
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
    from lumen_proxy.health.verdicts import ChannelStatus

CONFIRM_PROBES = 2  # one failed probe is not yet an outage
COOL_DOWN_S = 300.0  # between two "down" alerts about one channel: a flapping channel gets one every five minutes
ATTEMPTS = 4
POST_S = 10.0
BACK_OFF_S = 1.0  # doubled at each attempt
LONGEST_WAIT_S = COOL_DOWN_S  # an alert that must wait longer is dropped: it would be out of date
SPACING_S = 1.0  # Slack: about one message a second
CLOSE_S = 5.0  # the end of `watch` waits this long for alerts in progress
SLACK = "Slack"
TOO_MANY, SERVER_ERROR, REDIRECT, OK = 429, 500, 300, 200

Alert = dict[str, Any]
"""`event` (down, back, gave_up, crash_loop), `ts`, `host`, `port`, `channel`, `name`, `said`."""
AlertQueue = queue.SimpleQueue[Alert | None]


class ChangeTracker:
    """Decides which changes need an alert. The caller passes the time, in seconds of one clock."""

    def __init__(self, *, confirm: int = CONFIRM_PROBES, cool_down_s: float = COOL_DOWN_S) -> None:
        self._confirm = confirm
        self._cool_down_s = cool_down_s
        self._failures: dict[str, int] = {}  # probes in a row
        self._is_reported: dict[str, bool] = {}
        self._reported_at: dict[str, float] = {}

    def observe(self, channels: Iterable[ChannelStatus], now: float) -> list[tuple[str, ChannelStatus]]:
        """`("down" | "back", channel)` for each channel that needs an alert."""
        return [(change, status) for status in channels if (change := self._change(status, now))]

    def _change(self, status: ChannelStatus, now: float) -> str | None:
        channel = status.channel
        if status.state != "down":
            self._failures[channel] = 0
            was_reported = self._is_reported.pop(channel, False)
            return "back" if was_reported and status.state == "up" else None  # `unset` is not back
        self._failures[channel] = self._failures.get(channel, 0) + 1
        is_due = channel not in self._reported_at or now - self._reported_at[channel] >= self._cool_down_s
        if self._failures[channel] < self._confirm or self._is_reported.get(channel) or not is_due:
            return None
        self._is_reported[channel], self._reported_at[channel] = True, now
        return "down"


def make_channel_alert(change: str, status: ChannelStatus, settings: Settings) -> Alert:
    """The alert about a channel."""
    return make_alert(change, settings, channel=status.channel, name=status.name, said=status.said)


def make_alert(kind: str, settings: Settings, **fields: object) -> Alert:
    """An alert with the fields that all alerts have."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {"event": kind, "ts": now, "host": platform.node(), "port": settings.port, **fields}


def format_for_slack(alert: Alert) -> str:
    """The alert as text for Slack, with `&`, `<` and `>` escaped as Slack requires."""
    signs = {"back": ":large_green_circle: BACK", "down": ":red_circle: DOWN"}
    sign = signs.get(alert["event"], f":rotating_light: {str(alert['event']).upper().replace('_', ' ')}")
    text = str(alert.get("said", "")).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"{sign} {alert.get('name', 'Local proxy')} ({alert.get('host')}, port {alert.get('port')}): {text}"


@dataclass(frozen=True)
class Delivery:
    """The result of one alert. `why` never contains the address."""

    to: str
    ok: bool
    attempts: int
    why: str


def webhooks(settings: Settings) -> dict[str, str]:
    """Name and address of each configured webhook."""
    both = {SLACK: settings.slack_webhook_url, "webhook": settings.webhook_url}
    return {name: url for name, url in both.items() if url}


def deliver(name: str, url: str, alert: Alert, pause: Callable[[float], object]) -> Delivery:
    """Send an alert to one webhook. `pause` waits between attempts; a true result ends them."""
    import requests  # noqa: PLC0415 - 0.1 s; most commands send no alert

    from lumen_proxy.net.transport import session  # noqa: PLC0415 - the same

    body = {"text": format_for_slack(alert)} if name == SLACK else alert
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with (
                session() as opened,
                opened.post(url, json=body, timeout=POST_S, allow_redirects=False) as response,
            ):
                status, retry_after = response.status_code, response.headers.get("Retry-After", "")
        except (
            requests.RequestException,
            ValueError,
            OSError,
        ) as error:  # it may have arrived, so it is not sent again
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


class AlertSender:
    """Delivers alerts and logs the results, in one thread per webhook, because a webhook may be slow."""

    def __init__(self, settings: Settings, role: str, on_delivery: Callable[[Delivery], None] = lambda _: None) -> None:
        self._log = open_log(settings, role)
        self.on_delivery = on_delivery
        self._ended = threading.Event()
        self._queues: list[tuple[AlertQueue, threading.Thread]] = []
        if webhooks(settings):
            import lumen_proxy.net.transport  # noqa: F401, PLC0415 - a failed import is reported before the first alert
        for webhook in webhooks(settings).items():
            alerts: AlertQueue = queue.SimpleQueue()
            thread = threading.Thread(target=self._run, args=(*webhook, alerts), daemon=True)
            thread.start()
            self._queues.append((alerts, thread))

    def send(self, alert: Alert) -> None:
        """Queue an alert for each webhook; return at once."""
        for alerts, _ in self._queues:
            alerts.put(alert)

    def close(self, within_s: float | None = CLOSE_S) -> None:
        """Finish the alerts in progress within this time; None: without a limit."""
        until = None if within_s is None else time.monotonic() + within_s
        for alerts, _ in self._queues:
            alerts.put(None)
        for _, thread in self._queues:
            thread.join(None if until is None else max(until - time.monotonic(), 0))
        self._ended.set()

    def _run(self, name: str, url: str, alerts: AlertQueue) -> None:
        while (alert := alerts.get()) is not None:
            delivery = deliver(name, url, alert, self._ended.wait)
            log_delivery(self._log, alert, delivery)
            self.on_delivery(delivery)
            if not alerts.empty():
                self._ended.wait(SPACING_S)


def open_log(settings: Settings, role: str) -> RotatedFile:
    """The log of a process that sends alerts."""
    path = settings.log_dir / f"alerts-{role}-{settings.port}.jsonl"
    return RotatedFile(path, max_bytes=settings.log_max_bytes, keep=settings.log_keep, days=settings.log_days)


def log_delivery(log: RotatedFile, alert: Alert, delivery: Delivery) -> None:
    """Append one line about a delivery."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    line = {"ts": now, "level": "info" if delivery.ok else "error", "event": "alert", "about": alert["event"]}
    result = {"channel": alert.get("channel"), **asdict(delivery)}
    log.append(json.dumps(line | result).encode("ascii") + b"\n")


def main(argv: list[str]) -> int:
    """Deliver one alert, given as JSON; settings come from the environment."""
    settings = config.load()
    fields: dict[str, object] = json.loads(argv[0])
    alert = make_alert(str(fields.pop("event")), settings, **fields)
    results: list[bool] = []
    sender = AlertSender(settings, "supervisor", lambda delivery: results.append(delivery.ok))
    sender.send(alert)
    sender.close(None)
    return Exit.OK if all(results) else Exit.UNAVAILABLE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
