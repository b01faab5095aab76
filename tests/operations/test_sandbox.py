"""With --sandbox no command uses a network, whatever runs on the port."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.operations.conftest import Desk

COMMANDS = {
    "diagnose": ("diagnose", "--no-start", "--deep", "--json"),
    "dashboard": ("dashboard", "--json"),
    "dashboard-watch": ("dashboard", "--watch", "1", "--json"),
}


def run_first(desk: Desk, *command: str) -> dict[str, Any]:
    """The first line that a command prints; channels by their names."""
    child = desk.background(*command)
    desk.until_lines(child, 1)
    child.stop()
    child.wait_exit(30)
    found: dict[str, Any] = json.loads(child.stdout.read_text("utf-8").splitlines()[0])
    return found | {channel["channel"]: channel for channel in found["channels"]}


@pytest.mark.parametrize("running", ["nothing", "a-real-one"])
@pytest.mark.parametrize("command", COMMANDS)
def test_without_a_running_sandbox_nothing_is_probed(desk: Desk, command: str, running: str) -> None:
    """If no sandbox runs, --sandbox probes neither the configured addresses nor the real gateway."""
    if running == "a-real-one":
        desk.run("start")
    found = run_first(desk, *COMMANDS[command], "--sandbox")
    for channel in ("cloud_ai", "gateway"):
        assert (found[channel]["state"], found[channel]["said"]) == ("unset", "the sandbox is not running")
    assert desk.gateway.calls + desk.cloud_ai.calls == ()
    assert any(note.endswith("--sandbox") for note in found["notes"]) == (running == "a-real-one")


def test_a_restart_stays_in_its_sandbox(desk: Desk) -> None:
    """A restart keeps sandbox mode and says so."""
    desk.run("start", "--sandbox")
    done = desk.run("restart")
    assert done.exit_status == 0
    assert "sandbox" in done.stderr
    assert desk.diagnose("--no-start")["verdict"] == "ALL GREEN"
    assert desk.gateway.calls + desk.cloud_ai.calls == ()


def test_a_stop_leaves_the_sandbox(desk: Desk) -> None:
    """After a stop, a new start uses the configured gateway."""
    desk.run("start", "--sandbox")
    desk.run("stop")
    desk.diagnose()
    assert desk.gateway.calls
