"""Which process is ours and why it ended: asked of real processes after real trouble."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import psutil
import pytest

from lumen_conformance.processes.child_process import WINDOWS
from lumen_conformance.processes.squatters import SquatterKind, Squatters
from lumen_conformance.waiting import until
from tests.fixtures.repository import ROOT
from tests.operations.conftest import SOON_S, Desk
from tests.operations.observed import health, running_settings, state_file, status

KEYS_OF_THE_FIRST_RELEASE = (
    "instance", "pid", "start_time", "host", "hosts", "port", "generation", "url", "drain_s", "gateway_url",
    "cloud_ai_url", "sandbox",
)  # fmt: skip
STEP_S = 3600.0  # of the clock
CLEAN: dict[str, str | None] = {"LUMEN_GATEWAY_URL": None, "CLOUD_AI_URL": None}
TIME = r"\d\d:\d\d:\d\d"


def is_gone(pid: int) -> bool:
    """True if the process has ended."""
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("release", ["this", "first"])
@pytest.mark.parametrize("command", ["stop", "restart"])
def test_a_clock_step_changes_nothing(desk: Desk, command: str, release: str) -> None:
    """An hour between the recorded start and the clock of today: the proxy is known and stopped, by any release."""
    desk.run("start")
    recorded = json.loads(state_file(desk).read_text())
    kept = {name: recorded[name] for name in KEYS_OF_THE_FIRST_RELEASE} if release == "first" else recorded
    state_file(desk).write_text(json.dumps(kept | {"start_time": recorded["start_time"] + STEP_S}))
    seen = status(desk)
    assert (seen["condition"], seen["pid"]) == ("running", recorded["pid"])
    done = desk.run(command)
    assert (done.exit_status, done.stderr.count("cannot")) == (0, 0), done.stderr
    assert is_gone(recorded["pid"])


@pytest.mark.skipif(WINDOWS, reason="no SIGSTOP there")
def test_a_hung_worker_hinders_no_stop(desk: Desk) -> None:
    """It answers nothing, and its state file has the wrong time: status says so, stop ends it."""
    desk.run("start", "--drain-s", "0.1")
    worker, recorded = health(desk)["pid"], json.loads(state_file(desk).read_text())
    state_file(desk).write_text(json.dumps(recorded | {"start_time": recorded["start_time"] + STEP_S}))
    psutil.Process(worker).suspend()
    starting = desk.background("start")  # it waits for 10 s, as the worker may still boot; status is asked meanwhile
    after = status(desk)
    assert (after["state"], after["pid"]) == ("not answering", recorded["pid"])
    assert starting.wait_exit(SOON_S) == 75
    (line,) = starting.stderr.read_text().splitlines()
    words = (
        f"the lumen-proxy on this port (pid {recorded['pid']}) does not answer; lumen-proxy restart --port {desk.port}"
    )
    assert line.endswith(words)
    assert json.loads(desk.run("stop", "--json").stdout)["did"] == "stopped"
    assert is_gone(recorded["pid"])
    assert is_gone(worker)


@pytest.mark.skipif(WINDOWS, reason="an open file cannot be deleted there")
@pytest.mark.parametrize("way", ["direct", "link"])
def test_a_deleted_state_folder_hides_nothing(desk: Desk, way: str) -> None:
    """A cleaner deleted it, perhaps behind a link: status knows the proxy, start starts no second one, stop ends it."""
    if way == "link":
        (desk.folder / "link").symlink_to(desk.folder, target_is_directory=True)
        desk.env["LUMEN_STATE_DIR"] = str(desk.folder / "link" / "state")
    desk.run("start")
    before = health(desk)
    shutil.rmtree(state_file(desk).parent)
    after = status(desk)
    assert (after["condition"], after["pid"]) == ("running", before["supervisor_pid"])
    again = json.loads(desk.run("start", "--json").stdout)
    assert (again["did"], again["exit_status"], again["instance"]) == ("refused", 75, before["instance"])
    stopped = json.loads(desk.run("stop", "--json").stdout)
    assert (stopped["did"], stopped["pid"]) == ("stopped", before["supervisor_pid"])
    assert is_gone(before["supervisor_pid"])


@pytest.mark.skipif(WINDOWS, reason="an open file cannot be deleted there")
def test_a_deleted_state_folder_is_made_again(desk: Desk) -> None:
    """At the next event, here the death of a worker: lock and state file are back, with the same settings."""
    desk.run("start", "--unsupported", "ignore")
    before = health(desk)
    shutil.rmtree(state_file(desk).parent)
    psutil.Process(before["pid"]).kill()
    until_restarted(desk, 1)
    assert running_settings(desk)["LUMEN_UNSUPPORTED"] == ("ignore", "option")
    assert desk.run("start", "--unsupported", "ignore").exit_status == 0
    assert json.loads(desk.run("stop", "--json").stdout)["pid"] == before["supervisor_pid"]


@pytest.mark.parametrize("kind", ["banner", "lumen_stranger", "ipv6"])
def test_a_stop_names_whoever_else_holds_the_port(desk: Desk, squat: Squatters, kind: SquatterKind) -> None:
    """75 and one line with its PID, on either loopback; it lives."""
    stranger = squat(kind, port=desk.port)
    done = desk.run("stop")
    assert done.exit_status == 75
    (line,) = done.stderr.splitlines()
    assert f"(pid {stranger.pid})" in line
    assert stranger.is_running()


def until_restarted(desk: Desk, restarts: int) -> dict[str, Any]:
    """Wait until a worker answers after so many restarts; its /health."""

    def looked() -> dict[str, Any] | None:
        found = health(desk)
        return found if found.get("restarts") == restarts else None

    return until(f"a worker answers after {restarts} restarts", looked, within_s=SOON_S)


def crash_until_given_up(desk: Desk) -> int:
    """Start a proxy that gives up at the second death, and kill its workers; return the last one's supervisor."""
    desk.run("start", "--max-restarts", "2", "--restart-backoff-s", "0")
    pid = int(json.loads(state_file(desk).read_text())["pid"])
    for restarts in (0, 1):
        psutil.Process(until_restarted(desk, restarts)["pid"]).kill()
    until("the supervisor has given up", lambda: is_gone(pid), within_s=SOON_S)
    return pid


def test_the_reason_of_giving_up_is_kept(desk: Desk) -> None:
    """status, ps, diagnose and dashboard tell when and why, and which log to read; the next start clears it."""
    crash_until_given_up(desk)
    reason = rf"gave up at {TIME}: 2 deaths in 60 s \(last: signal 9\)"
    done = desk.run("status")
    assert done.exit_status == 69
    assert re.search(rf"^last failure +{reason}$", done.stdout, re.MULTILINE)
    assert f"journal-{desk.port}.jsonl" in done.stdout
    assert re.search(reason, desk.run("ps").stdout)
    for words in (("diagnose", "--no-start"), ("dashboard",)):
        told = " ".join(desk.run(*words, env={"COLUMNS": "200"}).stdout.split())
        assert re.search(reason, told), told
    assert f"journal-{desk.port}.jsonl" in desk.diagnose("--no-start")["proxy"]["advice"]
    (note,) = desk.diagnose()["notes"]
    assert re.match(f"the proxy that ran before {reason}", note), "diagnose has started it, and tells what was before"
    seen = status(desk)
    assert (seen["state"], seen["last_failure"]) == ("running", None)


def test_a_restart_after_giving_up_keeps_the_settings(desk: Desk) -> None:
    """The end of the proxy is no reason to ask another gateway, nor is a stop after it; the command says so."""
    crash_until_given_up(desk)
    assert "gave up" in desk.run("stop").stdout
    done = desk.run("restart", env=CLEAN)
    assert done.exit_status == 0
    assert "was not running; started with the settings of the last proxy on this port" in done.stdout
    assert status(desk)["gateway"] == desk.gateway.url


def test_a_killed_proxy_is_told(desk: Desk) -> None:
    """Nobody could write a reason: its state file without a lock says enough, until the next start."""
    desk.run("start")
    found = health(desk)
    pid = found["supervisor_pid"]
    psutil.Process(pid).kill()
    until("both are gone", lambda: is_gone(pid) and is_gone(found["pid"]), within_s=SOON_S)
    seen = status(desk)
    assert seen["condition"] == "stopped"
    assert seen["state"] == "ended unexpectedly"
    assert re.match(rf"ended unexpectedly after {TIME}", seen["last_failure"])
    done = desk.run("stop")
    assert (done.exit_status, "ended unexpectedly" in done.stdout) == (0, True)
    assert status(desk)["state"] == "ended unexpectedly"
    desk.run("start")
    assert desk.run("stop").exit_status == 0
    seen = status(desk)
    assert (seen["state"], seen["last_failure"]) == ("stopped", None)


def test_a_death_of_a_worker_is_the_last_failure(desk: Desk) -> None:
    """The proxy runs on, and says what happened to it."""
    desk.run("start")
    worker = health(desk)["pid"]
    psutil.Process(worker).kill()
    until_restarted(desk, 1)
    seen = status(desk)
    assert re.fullmatch(rf"worker {worker} ended \(signal 9\) at {TIME}", seen["last_failure"])


def test_ps_lists_all_instances(desk: Desk) -> None:
    """One row for each port of the state folder or for --port, the same fields in words and as JSON; or one line."""
    assert desk.run("ps").stdout == f"no instances; start one with: lumen-proxy start --port {desk.port}\n"
    desk.run("start")
    other = desk.launch.reserve_port()
    desk.run("start", "--sandbox", "--port", str(other))
    head, *rows = desk.run("ps").stdout.splitlines()
    assert re.split(r"  +", head) == [
        "PORT", "URL", "STATE", "PID", "UPTIME", "RESTARTS", "GATEWAY", "SANDBOX", "LAST FAILURE",
    ]  # fmt: skip
    assert [row.split()[0] for row in rows] == sorted(map(str, (desk.port, other)), key=int)
    listed = {row["port"]: row for row in json.loads(desk.run("ps", "--json").stdout)}
    assert {port: (row["state"], row["sandbox"]) for port, row in listed.items()} == {
        desk.port: ("running", False),
        other: ("running", True),
    }
    assert listed[desk.port].keys() == status(desk).keys()
    (only,) = json.loads(desk.run("ps", "--json", "--port", str(other)).stdout)
    assert only["port"] == other
    desk.run("stop", "--port", str(other))


@pytest.fixture
def hanging(tmp_path: Path) -> dict[str, str | None]:
    """An environment in which a worker hangs before it is ready: by its interpreter, not by a switch of the product."""
    code = "import sys, threading\nif 'lumen_proxy.worker' in sys.orig_argv: threading.Event().wait()\n"
    (tmp_path / "hanging").mkdir()
    (tmp_path / "hanging" / "sitecustomize.py").write_text(code)
    return {"PYTHONPATH": os.pathsep.join([os.environ["PYTHONPATH"], str(tmp_path / "hanging"), str(ROOT)])}


def test_a_booting_proxy_is_ours(desk: Desk, hanging: dict[str, str | None]) -> None:
    """It is called booting (69), in words and for programs; a stop meanwhile ends it, and `start` says so (70)."""
    starting = desk.background("start", env=hanging)
    until("it boots", lambda: status(desk)["state"] == "booting", within_s=SOON_S, give_up=starting.end_reason)
    done = desk.run("status")
    assert (done.exit_status, re.search(r"^state +booting$", done.stdout, re.MULTILINE) is not None) == (69, True)
    assert status(desk)["condition"] == "booting"
    assert desk.run("stop").exit_status == 0
    assert starting.wait_exit(SOON_S) == 70
    (line,) = starting.stderr.read_text().splitlines()
    assert f"port {desk.port}: the new proxy " in line
    assert "was stopped before it was ready" in line
