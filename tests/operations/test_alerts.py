"""Alerts are received: by a Slack webhook and by a plain one, once, and without their addresses anywhere."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lumen_conformance.gateway.replies import gated, respond_with
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.processes.child_process import ChildProcess
from lumen_conformance.targets.launch import LaunchedTarget
from lumen_conformance.waiting import until
from tests.operations.conftest import Desk

SECRET = "T000-B000-canary"  # noqa: S105 -- a path as Slack gives them, to be looked for everywhere
SOON_S = 30.0
OK = respond_with(b"ok", media_type="text/plain")


@pytest.fixture
def slack() -> Iterator[ScriptedGateway]:
    """A receiver that answers as Slack does."""
    with ScriptedGateway(OK) as opened:
        yield opened


@pytest.fixture
def webhooks(slack: ScriptedGateway) -> dict[str, str | None]:
    """Both kinds of webhook."""
    return {
        "SLACK_WEBHOOK_URL": f"{slack.url}/services/{SECRET}",
        "LUMEN_WEBHOOK_URL": f"{slack.url}/plain/{SECRET}",
    }


def received(receiver: ScriptedGateway, kind: str) -> list[dict[str, Any]]:
    """What came in on one of the two."""
    return [json.loads(call.body) for call in receiver.calls if call.path == f"/{kind}/{SECRET}"]


def watching(desk: Desk, env: dict[str, str | None], *words: str) -> ChildProcess:
    """A watch in the background, looking every second."""
    child = desk.background(*words, env=env)
    until(
        "it watches", lambda: "watching" in child.stdout.read_text("utf-8"), within_s=SOON_S, give_up=child.end_reason
    )
    return child


def told(receiver: ScriptedGateway, event: str, channel: str = "gateway") -> dict[str, Any]:
    """Wait for an event on the plain webhook."""

    def found() -> list[dict[str, Any]]:
        return [one for one in received(receiver, "plain") if (one["event"], one["channel"]) == (event, channel)]

    return until(f"{event} is received", found, within_s=SOON_S)[0]


def everything_written(folder: Path) -> bytes:
    """All files of a test, its children's output included."""
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("command", [("watch", "1"), ("dashboard", "--watch", "1")], ids=["watch", "dashboard"])
def test_down_and_back_are_told(
    desk: Desk, slack: ScriptedGateway, webhooks: dict[str, str | None], command: tuple[str, ...], tmp_path: Path
) -> None:
    """One "down" and one "back" to each webhook; the address is in no file and on no console."""
    desk.run("start")
    watch = watching(desk, webhooks, *command)
    until("a look was taken", lambda: desk.gateway.calls, within_s=SOON_S, give_up=watch.end_reason)
    desk.gateway.down()
    down = told(slack, "down")
    desk.gateway.up()
    told(slack, "back")
    until("Slack was told", lambda: len(received(slack, "services")) == 2, within_s=SOON_S)
    watch.stop()
    assert watch.wait_exit(SOON_S) == 0
    assert (down["name"], down["port"]) == ("Lumen Gateway", desk.port)
    assert "refused" in down["said"]
    texts = [one["text"] for one in received(slack, "services")]
    assert [text.split()[1] for text in texts] == ["DOWN", "BACK"]
    assert [one["event"] for one in received(slack, "plain")] == ["down", "back"]
    written = everything_written(tmp_path)
    assert b'"event": "alert", "about": "back"' in written
    assert SECRET.encode() not in written


def test_a_refused_alert_is_told_and_not_repeated(
    desk: Desk, slack: ScriptedGateway, webhooks: dict[str, str | None]
) -> None:
    """404 is final: one attempt, one line of what went wrong, without the address; the watch goes on."""
    slack.standing = respond_with(b"no_service", 404, media_type="text/plain")
    watch = watching(desk, webhooks | {"LUMEN_WEBHOOK_URL": None}, "watch", "1")
    line = until("it is told", lambda: watch.stderr.read_text("utf-8"), within_s=SOON_S, give_up=watch.end_reason)
    assert line == "lumen-proxy: alert not delivered to Slack: 404, after 1 attempts\n"
    assert len(slack.calls) == 1, "only the proxy is down"
    assert watch.end_reason() is None


def kill_workers(desk: Desk, deaths: int, env: dict[str, str | None]) -> LaunchedTarget:
    """A proxy whose worker is killed again and again."""
    proxy = desk.launch(env={**desk.env, "LUMEN_RESTART_BACKOFF_S": "0", **env}, port=desk.port, gateway=desk.gateway)
    for number in range(1, deaths + 1):
        proxy.journal.until("ready", within_s=SOON_S)
        until(
            f"generation {number} serves",
            lambda number=number: proxy.health().generation >= number,  # type: ignore[misc]
            within_s=SOON_S,
        )
        proxy.worker().kill()
    return proxy


def test_a_give_up_is_told_by_a_child(desk: Desk, slack: ScriptedGateway, webhooks: dict[str, str | None]) -> None:
    """The supervisor has ended, with 70, and the message arrives all the same."""
    gate = threading.Event()
    slack.standing = gated(gate, OK)
    proxy = kill_workers(desk, 2, {**webhooks, "LUMEN_MAX_RESTARTS": "2", "LUMEN_STANDBY": "0"})
    assert proxy.wait_exit(SOON_S) == 70, "although Slack has not answered yet"
    gate.set()
    assert told(slack, "gave_up", "proxy")["port"] == desk.port
    until("its child has ended", lambda: not proxy.processes(), within_s=SOON_S)


def test_a_crash_loop_is_told_once(desk: Desk, slack: ScriptedGateway, webhooks: dict[str, str | None]) -> None:
    """Three deaths within the window are a crash loop, the fourth is no news; the proxy goes on."""
    proxy = kill_workers(desk, 4, {**webhooks, "LUMEN_MAX_RESTARTS": "0", "LUMEN_STANDBY": "0"})
    told(slack, "crash_loop", "proxy")
    assert proxy.health(within_s=SOON_S).status == 200
    assert [one["event"] for one in received(slack, "plain")] == ["crash_loop"]
