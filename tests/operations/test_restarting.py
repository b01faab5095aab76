"""Restarts that meet each other, or that are interrupted: the recorded settings are kept."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import psutil
import pytest

from lumen_conformance.waiting import until
from tests.operations.conftest import SOON_S, Desk
from tests.operations.observed import health, running_settings, state_file, status
from tests.operations.test_instances import CLEAN, is_gone

DOCUMENTED = {0, 64, 69, 70, 71, 73, 74, 75, 77, 78}
LINUX = sys.platform == "linux"


def is_asked_to_stop(pid: int) -> bool:
    """True if SIGTERM waits for a suspended process, see proc_pid_status(5)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (pending,) = (line.split()[1] for line in lines if line.startswith("ShdPnd:"))
    return bool(int(pending, 16) & 1 << (signal.SIGTERM - 1))


def interrupt_a_restart(desk: Desk, by: signal.Signals) -> None:
    """A restart ends while it waits for the old proxy, which then ends in order."""
    pid = health(desk)["supervisor_pid"]
    psutil.Process(pid).suspend()
    restart = desk.background("restart", env=CLEAN)
    until("the proxy is asked to stop", lambda: is_asked_to_stop(pid), within_s=SOON_S, give_up=restart.end_reason)
    restart.send(by)
    restart.wait_exit(SOON_S)
    psutil.Process(pid).resume()
    until("it is gone", lambda: is_gone(pid), within_s=SOON_S)


@pytest.mark.skipif(not LINUX, reason="only Linux shows the signals that wait")
@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_restart_is_continued(desk: Desk, by: signal.Signals) -> None:
    """Status tells of it, and the next restart has the settings of the proxy that it stopped."""
    desk.run("start", "--sandbox", "--timeout-s", "5")
    interrupt_a_restart(desk, by)
    told = desk.run("status")
    assert (told.exit_status, "the restart was interrupted" in told.stdout) == (69, True)
    assert desk.run("restart", env=CLEAN).exit_status == 0
    assert status(desk)["sandbox"] is True
    assert running_settings(desk)["LUMEN_TIMEOUT_S"] == ("5", "option")
    assert not list(state_file(desk).parent.glob("restart*"))


@pytest.mark.skipif(not LINUX, reason="only Linux shows the signals that wait")
@pytest.mark.parametrize("command", ["start", "stop"])
def test_an_interrupted_restart_is_forgotten(desk: Desk, command: str) -> None:
    """A start says so and has its own settings, a stop just says so; nothing of it is left."""
    desk.run("start", "--sandbox")
    interrupt_a_restart(desk, signal.SIGKILL)
    done = desk.run(command)
    assert (done.exit_status, "the restart was interrupted" in done.stderr + done.stdout) == (0, True)
    assert status(desk)["sandbox"] is (False if command == "start" else None)
    assert not list(state_file(desk).parent.glob("restart*"))


def test_restarts_at_once_keep_the_settings(desk: Desk) -> None:
    """One after the other: each ends with a documented status, and the proxy runs as it was started."""
    desk.run("start", "--sandbox", "--timeout-s", "5")
    restarts = [desk.background("restart", env=CLEAN) for _ in range(4)]
    assert {restart.wait_exit(2 * SOON_S) for restart in restarts} <= DOCUMENTED
    seen = status(desk)
    assert (seen["condition"], seen["sandbox"]) == ("running", True)
    assert running_settings(desk)["LUMEN_TIMEOUT_S"] == ("5", "option")


@pytest.mark.skipif(not LINUX, reason="only Linux shows the signals that wait")
def test_a_stop_ends_a_restart_in_progress(desk: Desk) -> None:
    """Nothing runs afterwards, and the restart says why (70)."""
    desk.run("start", "--sandbox")
    pid = health(desk)["supervisor_pid"]
    psutil.Process(pid).suspend()
    restart = desk.background("restart")
    until("the proxy is asked to stop", lambda: is_asked_to_stop(pid), within_s=SOON_S, give_up=restart.end_reason)
    stop = desk.background("stop", "--json")
    until(
        "the stop is known",
        lambda: not (state_file(desk).parent / f"restarting-{desk.port}.json").exists(),
        within_s=SOON_S,
    )
    psutil.Process(pid).resume()
    assert (restart.wait_exit(SOON_S), stop.wait_exit(SOON_S)) == (70, 0)
    assert "was stopped meanwhile" in restart.stderr.read_text()
    assert status(desk)["state"] == "stopped"


@pytest.mark.skipif(not LINUX, reason="only Linux shows the signals that wait")
def test_a_start_waits_for_a_restart_in_progress(desk: Desk) -> None:
    """It finds the proxy with the settings of then, and asks for no others."""
    desk.run("start", "--sandbox")
    pid = health(desk)["supervisor_pid"]
    psutil.Process(pid).suspend()
    restart = desk.background("restart")
    until("the proxy is asked to stop", lambda: is_asked_to_stop(pid), within_s=SOON_S, give_up=restart.end_reason)
    start = desk.background("start", "--json")
    until("it waits", lambda: "waiting for" in start.stderr.read_text(), within_s=SOON_S, give_up=start.end_reason)
    psutil.Process(pid).resume()
    assert (restart.wait_exit(SOON_S), start.wait_exit(SOON_S)) == (0, 0)
    assert json.loads(start.stdout.read_text())["did"] == "already_running"
    assert status(desk)["sandbox"] is True
