"""Alerts: which changes are sent, how they are delivered, and that the address of a webhook stays secret."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from lumen_conformance.gateway.exchange import Exchange, Reply
from lumen_conformance.gateway.replies import reset_after_request, respond_with
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.waiting import until
from lumen_proxy import config
from lumen_proxy.config import Settings
from lumen_proxy.health import alerts
from lumen_proxy.health.alerts import (
    ATTEMPTS,
    Alert,
    AlertSender,
    ChangeTracker,
    Delivery,
    format_for_slack,
    make_alert,
)
from lumen_proxy.health.crash_alarm import CrashAlarm
from lumen_proxy.health.verdicts import ChannelStatus

SECRET = "T000-canary"  # noqa: S105 -- the tests search for it
SOON_S = 30.0
OK = respond_with(b"ok", media_type="text/plain")


@pytest.fixture
def slack() -> Iterator[ScriptedGateway]:
    """A server that answers as Slack does."""
    with ScriptedGateway(OK) as opened:
        yield opened


def settings_for(receiver: ScriptedGateway, **variables: str) -> Settings:
    """Settings whose Slack webhook is the receiver."""
    hook = {"SLACK_WEBHOOK_URL": f"{receiver.url}/services/{SECRET}"}
    return config.load({"LUMEN_STATE_DIR": "x", "LUMEN_LOG_DIR": "x", **hook, **variables})


def deliver(alert: Alert, settings: Settings, wait: Callable[[float], object] = lambda _: None) -> list[Delivery]:
    """Send an alert to each configured webhook."""
    return [alerts.deliver(name, url, alert, wait) for name, url in alerts.webhooks(settings).items()]


COMMANDS = "import sys, lumen_proxy.monitor.dashboard, lumen_proxy.health.diagnosis, lumen_proxy.monitor.watch"


def test_requests_is_imported_for_alerts_only() -> None:
    """The commands do not import `requests`, which takes 0.1 s, unless they send alerts."""
    code = f"{COMMANDS}; sys.exit('requests' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_failed_import_is_reported_at_the_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """If alerts are configured, a failed import is an error at the start of the command."""
    monkeypatch.setitem(sys.modules, "lumen_proxy.net.transport", None)
    paths = {"LUMEN_STATE_DIR": str(tmp_path), "LUMEN_LOG_DIR": str(tmp_path)}
    AlertSender(config.load(paths), "watch").close()
    with pytest.raises(ImportError):
        AlertSender(config.load({**paths, "LUMEN_WEBHOOK_URL": "http://127.0.0.1:1/"}), "watch")


HISTORIES = [
    ("up", ""),
    ("d", ""),
    ("dd", "down@1"),
    ("ddddd", "down@1"),
    ("du", ""),
    ("ddu", "down@1 back@2"),
    ("dduu", "down@1 back@2"),
    ("dduddu", "down@1 back@2"),  # flapping: no second alert within the cool-down
    ("ddu" + "u" * 10 + "dd", "down@1 back@2 down@14"),
    ("dd" + "n" * 2 + "u", "down@1"),  # switched off: neither down nor back
]


@pytest.mark.parametrize(("history", "expected"), HISTORIES)
def test_each_change_has_one_alert(history: str, expected: str) -> None:
    """Each change has one alert (d = down, u = up, n = switched off; one probe a second, cool-down 10 s)."""
    tracker, states = ChangeTracker(cool_down_s=10), {"d": "down", "u": "up", "n": "unset", "p": "up"}
    found = [
        f"{change}@{second}"
        for second, letter in enumerate(history)
        for change, _ in tracker.observe([ChannelStatus("gateway", states[letter], "x")], second)  # type: ignore[arg-type]
    ]
    assert " ".join(found) == expected


def test_channels_are_independent() -> None:
    """An alert about one channel does not depend on another channel."""
    tracker = ChangeTracker(confirm=1)
    both = [ChannelStatus("gateway", "down", "x"), ChannelStatus("cloud_ai", "up", "x")]
    assert [status.channel for _, status in tracker.observe(both, 0)] == ["gateway"]


def wait_header(seconds: str) -> Reply:
    """Answer 429 with this Retry-After."""
    return respond_with(b"rate_limited", 429, media_type="text/plain", headers=(("Retry-After", seconds),))


DELIVERIES: list[tuple[Sequence[Reply], bool, int, list[float]]] = [
    ([OK], True, 1, []),
    ([wait_header("7"), OK], True, 2, [7.0]),
    ([wait_header("300"), OK], True, 2, [300.0]),
    ([wait_header("301"), OK], False, 1, []),
    ([wait_header("soon"), OK], True, 2, [1.0]),
    ([respond_with(b"", 500), respond_with(b"", 503), OK], True, 3, [1.0, 2.0]),
    ([respond_with(b"", 500)] * ATTEMPTS, False, 4, [1.0, 2.0, 4.0]),
    *[([respond_with(b"no", status)], False, 1, []) for status in (400, 403, 404, 410, 302)],
    ([reset_after_request], False, 1, []),
]


@pytest.mark.parametrize(("replies", "ok", "attempts", "waits"), DELIVERIES)
def test_retries_of_a_delivery(
    slack: ScriptedGateway,
    replies: Sequence[Reply],
    ok: bool,  # noqa: FBT001 - a table
    attempts: int,
    waits: list[float],
) -> None:
    """An alert is sent again only after 429, with a wait of at most 300 s, and after 5xx."""
    slack.script(*replies)
    waited: list[float] = []
    (found,) = deliver({"event": "down", "said": "x"}, settings_for(slack), waited.append)
    assert (found.ok, found.attempts, waited) == (ok, attempts, waits)
    assert len(slack.calls) == attempts
    assert SECRET not in repr(found)


def test_a_webhook_is_reached_by_the_forward_proxy(slack: ScriptedGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """A webhook is reached by the forward proxy; its errors are the reason of the failed delivery."""
    monkeypatch.setenv("http_proxy", slack.url)
    settings = settings_for(slack, SLACK_WEBHOOK_URL=f"http://hooks.invalid/services/{SECRET}")
    alert = make_alert("down", settings, said="x")
    assert deliver(alert, settings) == [Delivery("Slack", ok=True, attempts=1, why="200")]
    assert slack.calls[0].path == f"http://hooks.invalid/services/{SECRET}"
    slack.script(respond_with(b"", 407))
    assert deliver(alert, settings) == [Delivery("Slack", ok=False, attempts=1, why="proxy_auth")]
    monkeypatch.setenv("http_proxy", "socks5://127.0.0.1:1")
    assert deliver(alert, settings) == [Delivery("Slack", ok=False, attempts=1, why="settings")]
    monkeypatch.delenv("http_proxy")
    assert deliver(alert, settings) == [Delivery("Slack", ok=False, attempts=1, why="unknown_host")]
    assert len(slack.calls) == 2


def test_slack_reads_the_text(slack: ScriptedGateway) -> None:
    """Slack receives a text with its three special characters escaped."""
    alert = make_alert("down", settings_for(slack), channel="gateway", name="Lumen Gateway", said="<!channel> & more")
    deliver(alert, settings_for(slack))
    (call,) = slack.calls
    assert (call.method, call.path) == ("POST", f"/services/{SECRET}")
    body = json.loads(call.body)
    assert list(body) == ["text"]
    assert body["text"].endswith("&lt;!channel&gt; &amp; more")
    assert format_for_slack(alert) == body["text"]


def test_both_webhooks_get_the_alert(slack: ScriptedGateway) -> None:
    """The plain webhook gets the alert as JSON; each webhook has its own result."""
    settings = settings_for(slack, LUMEN_WEBHOOK_URL=f"{slack.url}/plain")
    slack.script(respond_with(b"no", 404), OK)
    found = deliver({"event": "down", "said": "x"}, settings)
    assert [(one.to, one.ok) for one in found] == [("Slack", False), ("webhook", True)]
    assert json.loads(slack.calls[1].body) == {"event": "down", "said": "x"}


def test_a_wait_beyond_the_limit_is_reported(slack: ScriptedGateway) -> None:
    """An alert that must wait longer than the limit is dropped, with the reason."""
    slack.script(wait_header("9999"))
    (found,) = deliver({"event": "down", "said": "x"}, settings_for(slack))
    assert found.why == "429: retry after 9999 s, longer than the limit of 300 s"


def slack_is_busy(exchange: Exchange) -> None:
    """Answer 429 to Slack and 200 to the plain webhook."""
    (OK if exchange.call.path == "/plain" else wait_header("300"))(exchange)


def test_webhooks_do_not_wait_for_each_other(slack: ScriptedGateway, tmp_path: Path) -> None:
    """While Slack answers 429, the plain webhook gets both alerts, and the end waits for neither."""
    settings = settings_for(slack, LUMEN_WEBHOOK_URL=f"{slack.url}/plain", LUMEN_LOG_DIR=str(tmp_path))
    slack.standing = slack_is_busy
    deliveries: list[Delivery] = []
    sender = AlertSender(settings, "watch", deliveries.append)
    for said in ("first", "second"):
        sender.send({"event": "down", "said": said})
    until("both alerts are delivered", lambda: [one.to for one in deliveries] == ["webhook"] * 2, within_s=SOON_S)
    plain = [json.loads(call.body)["said"] for call in slack.calls if call.path == "/plain"]
    assert plain == ["first", "second"]
    sender.close(0.0)
    until(
        "the delivery to Slack has failed",
        lambda: deliveries[2:3] == [Delivery("Slack", ok=False, attempts=1, why="429")],
        within_s=SOON_S,
    )


def test_without_a_webhook_nothing_is_sent() -> None:
    """Without a webhook no alert is sent."""
    assert deliver({"event": "down"}, config.load({"LUMEN_STATE_DIR": "x", "LUMEN_LOG_DIR": "x"})) == []


DEATHS = [
    ({"event": "gave_up", "reason": "5 worker exits in 60 s"}, 1),
    ({"event": "restart_scheduled", "deaths_in_window": 2}, 0),
    ({"event": "restart_scheduled", "deaths_in_window": 3}, 1),
    ({"event": "worker_died"}, 0),
]


@pytest.mark.parametrize(("record", "children"), DEATHS)
def test_a_crash_loop_starts_a_child_that_sends_an_alert(
    slack: ScriptedGateway, monkeypatch: pytest.MonkeyPatch, record: dict[str, object], children: int
) -> None:
    """A give-up and a crash loop start one child within the cool-down; its argument has no address."""
    started: list[list[str]] = []

    class Popen:
        def __init__(self, command: list[str], **_: object) -> None:
            started.append(command)

        def wait(self) -> int:
            return 0

    monkeypatch.setattr("subprocess.Popen", Popen)
    alarm = CrashAlarm(settings_for(slack), clock=lambda: 100.0)
    alarm.receive(record)
    if record["event"] == "restart_scheduled":
        alarm.receive(record)
    assert len(started) == children
    assert SECRET not in str(started)


def test_an_alert_needs_no_thread(slack: ScriptedGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """At a limit of threads the alert is sent all the same: an exception would end the supervisor."""
    started: list[object] = []

    class Popen:
        def __init__(self, command: list[str], **_: object) -> None:
            started.append(command)

        def wait(self) -> int:
            return 0

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("subprocess.Popen", Popen)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    CrashAlarm(settings_for(slack)).receive({"event": "gave_up", "reason": "5 worker exits in 60 s"})
    assert len(started) == 1


def test_without_a_webhook_no_child_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a webhook a give-up starts no child."""
    monkeypatch.setattr("subprocess.Popen", None)
    alarm = CrashAlarm(config.load({"LUMEN_STATE_DIR": "x", "LUMEN_LOG_DIR": "x"}))
    alarm.receive({"event": "gave_up", "reason": "5 worker exits in 60 s"})
