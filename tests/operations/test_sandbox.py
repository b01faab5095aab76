"""`--sandbox` promises that no network is used: whoever asks under it, and whatever runs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.operations.conftest import Desk

LOOKS = {
    "diagnose": ("diagnose", "--no-start", "--deep", "--json"),
    "dashboard": ("dashboard", "--json"),
    "dashboard-watch": ("dashboard", "--watch", "1", "--json"),
}


def first_look(desk: Desk, *words: str) -> dict[str, Any]:
    """The first line that a command prints; channels by their names."""
    looking = desk.background(*words)
    desk.until_lines(looking, 1)
    looking.stop()
    looking.wait_exit(30)
    found: dict[str, Any] = json.loads(looking.stdout.read_text("utf-8").splitlines()[0])
    return found | {channel["channel"]: channel for channel in found["channels"]}


@pytest.mark.parametrize("running", ["nothing", "a-real-one"])
@pytest.mark.parametrize("look", LOOKS)
def test_without_a_sandbox_nobody_is_asked(desk: Desk, look: str, running: str) -> None:
    """Neither the configured addresses nor, through a proxy that is no sandbox, the real gateway."""
    if running == "a-real-one":
        desk.run("start")
    found = first_look(desk, *LOOKS[look], "--sandbox")
    for channel in ("cloud_ai", "gateway"):
        assert (found[channel]["state"], found[channel]["said"]) == ("unset", "the sandbox is not running")
    assert desk.gateway.calls + desk.cloud_ai.calls == ()
    assert any(note.endswith("--sandbox") for note in found["notes"]) == (running == "a-real-one")


def test_a_restart_stays_in_its_sandbox(desk: Desk) -> None:
    """What was started with --sandbox is restarted with it, as advised for one that is silent; and says so."""
    desk.run("start", "--sandbox")
    done = desk.run("restart")
    assert done.exit_status == 0
    assert "sandbox" in done.stderr
    assert desk.diagnose("--no-start")["verdict"] == "ALL GREEN"
    assert desk.gateway.calls + desk.cloud_ai.calls == ()


def test_a_stop_leaves_the_sandbox(desk: Desk) -> None:
    """Stopped and started anew, the proxy asks the configured gateway."""
    desk.run("start", "--sandbox")
    desk.run("stop")
    desk.diagnose()
    assert desk.gateway.calls
