"""Alerts: which changes are told, how a message fares, and that its address stays a secret."""

from __future__ import annotations

import json
import subprocess
import sys
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
from lumen_proxy.health.alerts import ATTEMPTS, Delivery, Event, Messenger, Tracker, event, text_of
from lumen_proxy.health.verdicts import Probe
from lumen_proxy.supervisor import alarm

SECRET = "T000-canary"  # noqa: S105 -- to be looked for
SOON_S = 30.0
OK = respond_with(b"ok", media_type="text/plain")


@pytest.fixture
def slack() -> Iterator[ScriptedGateway]:
    """A receiver that answers as Slack does."""
    with ScriptedGateway(OK) as opened:
        yield opened


def settings_for(receiver: ScriptedGateway, **variables: str) -> Settings:
    """Settings whose Slack webhook is the receiver."""
    hook = {"SLACK_WEBHOOK_URL": f"{receiver.url}/services/{SECRET}"}
    return config.load({"LUMEN_STATE_DIR": "x", "LUMEN_LOG_DIR": "x", **hook, **variables})


def deliver(it: Event, settings: Settings, wait: Callable[[float], object] = lambda _: None) -> list[Delivery]:
    """Send an event to every webhook that is set, one after another."""
    return [alerts.deliver(name, url, it, wait) for name, url in alerts.webhooks(settings).items()]


COMMANDS = "import sys, lumen_proxy.monitor.dashboard, lumen_proxy.health.diagnosis, lumen_proxy.monitor.watch"


def test_who_sends_no_alert_does_not_import_requests() -> None:
    """It takes 0.1 s, a third of a look at all channels."""
    code = f"{COMMANDS}; sys.exit('requests' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_who_sends_alerts_imports_requests_at_the_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A package that cannot be imported is an error of the command, not of the first alert hours later."""
    monkeypatch.setitem(sys.modules, "lumen_proxy.net.transport", None)
    paths = {"LUMEN_STATE_DIR": str(tmp_path), "LUMEN_LOG_DIR": str(tmp_path)}
    Messenger(config.load(paths), "watch").close()
    with pytest.raises(ImportError):
        Messenger(config.load({**paths, "LUMEN_WEBHOOK_URL": "http://127.0.0.1:1/"}), "watch")


HISTORIES = [
    ("up", ""),
    ("d", ""),
    ("dd", "down@1"),
    ("ddddd", "down@1"),
    ("du", ""),
    ("ddu", "down@1 back@2"),
    ("dduu", "down@1 back@2"),
    ("dduddu", "down@1 back@2"),  # it flaps: not again within the cool-down
    ("ddu" + "u" * 10 + "dd", "down@1 back@2 down@14"),
    ("dd" + "n" * 2 + "u", "down@1"),  # switched off: neither down nor back
]


@pytest.mark.parametrize(("history", "told"), HISTORIES)
def test_changes_are_told_once(history: str, told: str) -> None:
    """Letters: d = down, u = up, n = switched off, one look a second; a cool-down of ten seconds."""
    tracker, states = Tracker(cool_down_s=10), {"d": "down", "u": "up", "n": "unset", "p": "up"}
    found = [
        f"{change}@{second}"
        for second, letter in enumerate(history)
        for change, _ in tracker.observe([Probe("gateway", states[letter], "x")], second)  # type: ignore[arg-type]
    ]
    assert " ".join(found) == told


def test_channels_are_told_apart() -> None:
    """One that is down says nothing about another."""
    tracker = Tracker(confirm=1)
    both = [Probe("gateway", "down", "x"), Probe("cloud_ai", "up", "x")]
    assert [probe.channel for _, probe in tracker.observe(both, 0)] == ["gateway"]


def wait_header(seconds: str) -> Reply:
    """Too many messages; come again later."""
    return respond_with(b"rate_limited", 429, media_type="text/plain", headers=(("Retry-After", seconds),))


FATES: list[tuple[Sequence[Reply], bool, int, list[float]]] = [
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


@pytest.mark.parametrize(("replies", "ok", "attempts", "waits"), FATES)
def test_how_a_message_fares(
    slack: ScriptedGateway,
    replies: Sequence[Reply],
    ok: bool,  # noqa: FBT001 - a table
    attempts: int,
    waits: list[float],
) -> None:
    """Again only after 429, when told, and after 5xx; all else is final, too long a wait, and what may have arrived."""
    slack.script(*replies)
    waited: list[float] = []
    (found,) = deliver({"event": "down", "said": "x"}, settings_for(slack), waited.append)
    assert (found.ok, found.attempts, waited) == (ok, attempts, waits)
    assert len(slack.calls) == attempts
    assert SECRET not in repr(found)


def test_a_webhook_is_reached_as_the_gateway_is(slack: ScriptedGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the proxy of the environment, which may refuse: nothing is sent again, and the reason is told."""
    monkeypatch.setenv("http_proxy", slack.url)
    settings = settings_for(slack, SLACK_WEBHOOK_URL=f"http://hooks.invalid/services/{SECRET}")
    it = event("down", settings, said="x")
    assert deliver(it, settings) == [Delivery("Slack", ok=True, attempts=1, why="200")]
    assert slack.calls[0].path == f"http://hooks.invalid/services/{SECRET}"
    slack.script(respond_with(b"", 407))
    assert deliver(it, settings) == [Delivery("Slack", ok=False, attempts=1, why="proxy_auth")]
    monkeypatch.setenv("http_proxy", "socks5://127.0.0.1:1")
    assert deliver(it, settings) == [Delivery("Slack", ok=False, attempts=1, why="settings")]
    monkeypatch.delenv("http_proxy")
    assert deliver(it, settings) == [Delivery("Slack", ok=False, attempts=1, why="unknown_host")]
    assert len(slack.calls) == 2


def test_slack_reads_the_text(slack: ScriptedGateway) -> None:
    """Its three special characters are escaped; nothing else is sent than a text."""
    it = event("down", settings_for(slack), channel="gateway", name="Lumen Gateway", said="<!channel> & more")
    deliver(it, settings_for(slack))
    (call,) = slack.calls
    assert (call.method, call.path) == ("POST", f"/services/{SECRET}")
    body = json.loads(call.body)
    assert list(body) == ["text"]
    assert body["text"].endswith("&lt;!channel&gt; &amp; more")
    assert text_of(it) == body["text"]


def test_both_webhooks(slack: ScriptedGateway) -> None:
    """The plain one takes the event as it is; each fares on its own."""
    settings = settings_for(slack, LUMEN_WEBHOOK_URL=f"{slack.url}/plain")
    slack.script(respond_with(b"no", 404), OK)
    found = deliver({"event": "down", "said": "x"}, settings)
    assert [(one.to, one.ok) for one in found] == [("Slack", False), ("webhook", True)]
    assert json.loads(slack.calls[1].body) == {"event": "down", "said": "x"}


def test_too_long_a_wait_is_told(slack: ScriptedGateway) -> None:
    """Nobody asks earlier than told to: the message is dropped, and the words say why."""
    slack.script(wait_header("9999"))
    (found,) = deliver({"event": "down", "said": "x"}, settings_for(slack))
    assert found.why == "429: retry after 9999 s, longer than the limit of 300 s"


def slack_is_busy(exchange: Exchange) -> None:
    """The other webhook is not."""
    (OK if exchange.call.path == "/plain" else wait_header("300"))(exchange)


def test_webhooks_do_not_wait_for_each_other(slack: ScriptedGateway, tmp_path: Path) -> None:
    """Slack is busy; the plain webhook gets both messages meanwhile; the end waits for neither."""
    settings = settings_for(slack, LUMEN_WEBHOOK_URL=f"{slack.url}/plain", LUMEN_LOG_DIR=str(tmp_path))
    slack.standing = slack_is_busy
    told: list[Delivery] = []
    messenger = Messenger(settings, "watch", told.append)
    for said in ("first", "second"):
        messenger.tell({"event": "down", "said": said})
    until("both are there", lambda: [one.to for one in told] == ["webhook"] * 2, within_s=SOON_S)
    plain = [json.loads(call.body)["said"] for call in slack.calls if call.path == "/plain"]
    assert plain == ["first", "second"]
    messenger.close(0.0)
    until(
        "Slack's fate is told",
        lambda: told[2:3] == [Delivery("Slack", ok=False, attempts=1, why="429")],
        within_s=SOON_S,
    )


def test_no_webhook_no_message() -> None:
    """Nothing is set, nothing is sent."""
    assert deliver({"event": "down"}, config.load({"LUMEN_STATE_DIR": "x", "LUMEN_LOG_DIR": "x"})) == []


DEATHS = [
    ({"event": "gave_up", "deaths": 5, "window_s": 60.0}, 1),
    ({"event": "restart_scheduled", "deaths_in_window": 2}, 0),
    ({"event": "restart_scheduled", "deaths_in_window": 3}, 1),
    ({"event": "worker_died"}, 0),
]


@pytest.mark.parametrize(("record", "children"), DEATHS)
def test_the_supervisor_calls_for_help(
    slack: ScriptedGateway, monkeypatch: pytest.MonkeyPatch, record: dict[str, object], children: int
) -> None:
    """At a give-up and in a crash loop, once within the cool-down; its child is given no address."""
    started: list[list[str]] = []

    class Popen:
        def __init__(self, command: list[str], **_: object) -> None:
            started.append(command)

        def wait(self) -> int:
            return 0

    monkeypatch.setattr("subprocess.Popen", Popen)
    it = alarm.Alarm(settings_for(slack), clock=lambda: 100.0)
    it.hear(record)
    if record["event"] == "restart_scheduled":
        it.hear(record)
    assert len(started) == children
    assert SECRET not in str(started)


def test_without_a_webhook_nobody_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """No child is started."""
    monkeypatch.setattr("subprocess.Popen", None)
    it = alarm.Alarm(config.load({"LUMEN_STATE_DIR": "x", "LUMEN_LOG_DIR": "x"}))
    it.hear({"event": "gave_up", "deaths": 5, "window_s": 60.0})
