"""Concurrent and interrupted restarts keep the recorded settings."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import psutil
import pytest

from lumen_conformance.processes.child_process import WINDOWS
from lumen_conformance.waiting import until
from tests.operations.conftest import SOON_S, Desk
from tests.operations.observed import health, running_settings, state_file, status
from tests.operations.test_instances import CLEAN, has_ended

DOCUMENTED = {0, 64, 69, 70, 71, 73, 74, 75, 77, 78}
LINUX = sys.platform == "linux"


def has_pending_stop(pid: int) -> bool:
    """True if SIGTERM is pending for a suspended process, see proc_pid_status(5)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (pending,) = (line.split()[1] for line in lines if line.startswith("ShdPnd:"))
    return bool(int(pending, 16) & 1 << (signal.SIGTERM - 1))


def interrupt_a_restart(desk: Desk, by: signal.Signals) -> None:
    """End a restart while it waits for the old proxy; then let the old proxy end normally."""
    pid = health(desk)["supervisor_pid"]
    psutil.Process(pid).suspend()
    restart = desk.background("restart", env=CLEAN)
    until("SIGTERM is pending", lambda: has_pending_stop(pid), within_s=SOON_S, give_up=restart.end_reason)
    restart.send(by)
    restart.wait_exit(SOON_S)
    psutil.Process(pid).resume()
    until("it has ended", lambda: has_ended(pid), within_s=SOON_S)


@pytest.mark.skipif(not LINUX, reason="only Linux shows the signals that wait")
@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_restart_is_continued(desk: Desk, by: signal.Signals) -> None:
    """`status` shows an interrupted restart, and the next restart uses the settings of the stopped proxy."""
    desk.run("start", "--sandbox", "--timeout-s", "5")
    interrupt_a_restart(desk, by)
    done = desk.run("status")
    assert (done.exit_status, "the restart was interrupted" in done.stdout) == (69, True)
    assert desk.run("restart", env=CLEAN).exit_status == 0
    assert status(desk)["sandbox"] is True
    assert running_settings(desk)["LUMEN_TIMEOUT_S"] == ("5", "option")
    assert not list(state_file(desk).parent.glob("restart*"))


@pytest.mark.skipif(not LINUX, reason="only Linux shows the signals that wait")
@pytest.mark.parametrize("command", ["start", "stop"])
def test_an_interrupted_restart_is_cancelled(desk: Desk, command: str) -> None:
    """`start` and `stop` report an interrupted restart and remove its record; `start` uses its own settings."""
    desk.run("start", "--sandbox")
    interrupt_a_restart(desk, signal.SIGKILL)
    done = desk.run(command)
    assert (done.exit_status, "the restart was interrupted" in done.stderr + done.stdout) == (0, True)
    assert status(desk)["sandbox"] is (False if command == "start" else None)
    assert not list(state_file(desk).parent.glob("restart*"))


def test_restarts_at_once_keep_the_settings(desk: Desk) -> None:
    """Concurrent restarts run one after another, end with documented statuses and keep the settings."""
    desk.run("start", "--sandbox", "--timeout-s", "5")
    restarts = [desk.background("restart", env=CLEAN) for _ in range(4)]
    assert {restart.wait_exit(2 * SOON_S) for restart in restarts} <= DOCUMENTED
    shown = status(desk)
    assert (shown["condition"], shown["sandbox"]) == ("running", True)
    assert running_settings(desk)["LUMEN_TIMEOUT_S"] == ("5", "option")


@pytest.mark.skipif(not LINUX, reason="only Linux shows the signals that wait")
def test_a_stop_ends_a_restart_in_progress(desk: Desk) -> None:
    """`stop` cancels a restart in progress, which ends with 70 and the reason."""
    desk.run("start", "--sandbox")
    pid = health(desk)["supervisor_pid"]
    psutil.Process(pid).suspend()
    restart = desk.background("restart")
    until("SIGTERM is pending", lambda: has_pending_stop(pid), within_s=SOON_S, give_up=restart.end_reason)
    stop = desk.background("stop", "--json")
    until(
        "the restart is cancelled",
        lambda: not (state_file(desk).parent / f"restarting-{desk.port}.json").exists(),
        within_s=SOON_S,
    )
    psutil.Process(pid).resume()
    assert (restart.wait_exit(SOON_S), stop.wait_exit(SOON_S)) == (70, 0)
    assert "another command has stopped the proxy" in restart.stderr.read_text()
    assert status(desk)["state"] == "stopped"


@pytest.mark.skipif(not LINUX, reason="only Linux shows the signals that wait")
def test_a_start_waits_for_a_restart_in_progress(desk: Desk) -> None:
    """`start` waits for a restart in progress and then finds its proxy."""
    desk.run("start", "--sandbox")
    pid = health(desk)["supervisor_pid"]
    psutil.Process(pid).suspend()
    restart = desk.background("restart")
    until("SIGTERM is pending", lambda: has_pending_stop(pid), within_s=SOON_S, give_up=restart.end_reason)
    start = desk.background("start", "--json")
    until("it waits", lambda: "waiting for" in start.stderr.read_text(), within_s=SOON_S, give_up=start.end_reason)
    psutil.Process(pid).resume()
    assert (restart.wait_exit(SOON_S), start.wait_exit(SOON_S)) == (0, 0)
    assert json.loads(start.stdout.read_text())["did"] == "already_running"
    assert status(desk)["sandbox"] is True


def is_locked(path: Path) -> bool:
    """True if a process holds the lock of the file."""
    fcntl = pytest.importorskip("fcntl")
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def find_new_proxy(restart: int) -> psutil.Process | None:
    """The new instance that a restart has started."""
    children = psutil.Process(restart).children()
    return next((child for child in children if "serve" in child.cmdline()), None)


@pytest.mark.skipif(WINDOWS, reason="Windows hands no port over")
@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGINT])
def test_a_new_proxy_continues_a_killed_restart(desk: Desk, by: signal.Signals) -> None:
    """Another restart waits until the new proxy of a restart that was killed serves, and then replaces that one."""
    desk.run("start", "--sandbox")
    killed = desk.background("restart", env=CLEAN)
    until("a new proxy starts", lambda: find_new_proxy(killed.pid), within_s=SOON_S, give_up=killed.end_reason)
    new = find_new_proxy(killed.pid)
    assert new is not None
    new.suspend()
    killed.send(by)
    killed.wait_exit(SOON_S)
    assert is_locked(state_file(desk).parent / f"restart-{desk.port}.lock")
    again = desk.background("restart", env=CLEAN)
    new.resume()
    until("the new proxy serves", lambda: health(desk)["supervisor_pid"] == new.pid, within_s=SOON_S)
    assert again.wait_exit(SOON_S) == 0
    assert health(desk)["supervisor_pid"] != new.pid
    assert "closed for a moment" not in again.stderr.read_text()
    assert not list(state_file(desk).parent.glob("restart*"))
