"""How commands identify an instance and report its end, with real processes and real failures."""

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


def has_ended(pid: int) -> bool:
    """True if the process has ended."""
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("release", ["this", "first"])
@pytest.mark.parametrize("command", ["stop", "restart"])
def test_a_clock_step_changes_nothing(desk: Desk, command: str, release: str) -> None:
    """The proxy is found and stopped although its recorded start differs by an hour from the clock."""
    desk.run("start")
    recorded = json.loads(state_file(desk).read_text())
    kept = {name: recorded[name] for name in KEYS_OF_THE_FIRST_RELEASE} if release == "first" else recorded
    state_file(desk).write_text(json.dumps(kept | {"start_time": recorded["start_time"] + STEP_S}))
    shown = status(desk)
    assert (shown["condition"], shown["pid"]) == ("running", recorded["pid"])
    done = desk.run(command)
    assert (done.exit_status, done.stderr.count("cannot")) == (0, 0), done.stderr
    assert has_ended(recorded["pid"])


@pytest.mark.skipif(WINDOWS, reason="no SIGSTOP there")
def test_a_hung_worker_does_not_prevent_a_stop(desk: Desk) -> None:
    """Before the watchdog notices it, `status` shows a hung worker as not answering, and `stop` ends the proxy."""
    desk.run("start", "--drain-s", "0.1", "--watchdog-s", "86400")
    worker, recorded = health(desk)["pid"], json.loads(state_file(desk).read_text())
    state_file(desk).write_text(json.dumps(recorded | {"start_time": recorded["start_time"] + STEP_S}))
    psutil.Process(worker).suspend()
    starting = desk.background("start")  # it waits for 10 s, because the worker may still boot
    after = status(desk)
    assert (after["state"], after["pid"]) == ("not answering", recorded["pid"])
    assert starting.wait_exit(SOON_S) == 75
    (line,) = starting.stderr.read_text().splitlines()
    text = (
        f"the lumen-proxy on this port (pid {recorded['pid']}) does not answer; lumen-proxy restart --port {desk.port}"
    )
    assert line.endswith(text)
    assert json.loads(desk.run("stop", "--json").stdout)["did"] == "stopped"
    assert has_ended(recorded["pid"])
    assert has_ended(worker)


@pytest.mark.skipif(WINDOWS, reason="an open file cannot be deleted there")
@pytest.mark.parametrize("way", ["direct", "link"])
def test_a_deleted_state_folder_does_not_hide_the_proxy(desk: Desk, way: str) -> None:
    """Without its state folder the proxy is found by `status`, not started twice, and ended by `stop`."""
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
    assert has_ended(before["supervisor_pid"])


@pytest.mark.skipif(WINDOWS, reason="an open file cannot be deleted there")
def test_a_deleted_state_folder_is_created_again(desk: Desk) -> None:
    """At the next event lock and state file are written again, with the same settings."""
    desk.run("start", "--unsupported", "ignore")
    before = health(desk)
    shutil.rmtree(state_file(desk).parent)
    psutil.Process(before["pid"]).kill()
    until_restarted(desk, 1)
    assert running_settings(desk)["LUMEN_UNSUPPORTED"] == ("ignore", "option")
    assert desk.run("start", "--unsupported", "ignore").exit_status == 0
    assert json.loads(desk.run("stop", "--json").stdout)["pid"] == before["supervisor_pid"]


@pytest.mark.parametrize("kind", ["banner", "lumen_stranger", "ipv6"])
def test_a_stop_names_another_program_on_the_port(desk: Desk, squat: Squatters, kind: SquatterKind) -> None:
    """`stop` ends with 75 and one line with the PID of the program, which is not ended."""
    stranger = squat(kind, port=desk.port)
    done = desk.run("stop")
    assert done.exit_status == 75
    (line,) = done.stderr.splitlines()
    assert f"(pid {stranger.pid})" in line
    assert stranger.is_running()


def until_restarted(desk: Desk, restarts: int) -> dict[str, Any]:
    """Wait until a worker answers after this number of restarts; return its /health."""

    def restarted() -> dict[str, Any] | None:
        found = health(desk)
        return found if found.get("restarts") == restarts else None

    return until(f"a worker answers after {restarts} restarts", restarted, within_s=SOON_S)


def crash_until_given_up(desk: Desk) -> int:
    """Start a proxy that gives up at the second exit, and kill its workers; return the PID of the supervisor."""
    desk.run("start", "--max-restarts", "2", "--restart-backoff-s", "0")
    pid = int(json.loads(state_file(desk).read_text())["pid"])
    for restarts in (0, 1):
        psutil.Process(until_restarted(desk, restarts)["pid"]).kill()
    until("the supervisor has given up", lambda: has_ended(pid), within_s=SOON_S)
    return pid


def test_the_reason_of_giving_up_is_kept(desk: Desk) -> None:
    """status, ps, diagnose and dashboard show when and why the proxy gave up, until the next start."""
    crash_until_given_up(desk)
    reason = rf"gave up at {TIME}: 2 worker exits in 60 s; last: worker \d+ ended with signal 9"
    done = desk.run("status")
    assert done.exit_status == 69
    assert re.search(rf"^last failure +{reason}$", done.stdout, re.MULTILINE)
    assert f"journal-{desk.port}.jsonl" in done.stdout
    assert re.search(reason, desk.run("ps").stdout)
    for command in (("diagnose", "--no-start"), ("dashboard",)):
        text = " ".join(desk.run(*command, env={"COLUMNS": "200"}).stdout.split())
        assert re.search(reason, text), text
    assert f"journal-{desk.port}.jsonl" in desk.diagnose("--no-start")["proxy"]["advice"]
    (note,) = desk.diagnose()["notes"]
    assert re.match(f"the last proxy {reason}", note), "diagnose has started a new one"
    shown = status(desk)
    assert (shown["state"], shown["last_failure"]) == ("running", None)


def test_a_restart_after_giving_up_keeps_the_settings(desk: Desk) -> None:
    """After a give-up, and a stop after it, a restart uses the settings of the last proxy and says so."""
    crash_until_given_up(desk)
    assert "gave up" in desk.run("stop").stdout
    done = desk.run("restart", env=CLEAN)
    assert done.exit_status == 0
    assert "was not running; started with the settings of the last proxy on this port" in done.stdout
    assert status(desk)["gateway"] == desk.gateway.url


def test_a_killed_proxy_is_reported(desk: Desk) -> None:
    """A state file without a lock shows an unexpected end until the next start."""
    desk.run("start")
    found = health(desk)
    pid = found["supervisor_pid"]
    supervisor = psutil.Process(pid)
    processes = [supervisor, *supervisor.children()]
    supervisor.kill()
    until("all have ended", lambda: all(has_ended(process.pid) for process in processes), within_s=SOON_S)
    shown = status(desk)
    assert shown["condition"] == "stopped"
    assert shown["state"] == "ended unexpectedly"
    assert re.match(rf"ended unexpectedly after {TIME}", shown["last_failure"])
    done = desk.run("stop")
    assert (done.exit_status, "ended unexpectedly" in done.stdout) == (0, True)
    assert status(desk)["state"] == "ended unexpectedly"
    desk.run("start")
    assert desk.run("stop").exit_status == 0
    shown = status(desk)
    assert (shown["state"], shown["last_failure"]) == ("stopped", None)


def test_the_exit_of_a_worker_is_the_last_failure(desk: Desk) -> None:
    """The proxy continues, and `status` shows the exit of the worker."""
    desk.run("start")
    worker = health(desk)["pid"]
    psutil.Process(worker).kill()
    until_restarted(desk, 1)
    shown = status(desk)
    assert re.fullmatch(rf"worker {worker} ended with signal 9 at {TIME}", shown["last_failure"])


def test_ps_lists_all_instances(desk: Desk) -> None:
    """`ps` lists each port of the state folder, or that of --port, with the fields of `status`."""
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
    """An environment in which a worker hangs before it is ready, by a module of its interpreter."""
    code = "import sys, threading\nif 'lumen_proxy.worker' in sys.orig_argv: threading.Event().wait()\n"
    (tmp_path / "hanging").mkdir()
    (tmp_path / "hanging" / "sitecustomize.py").write_text(code)
    return {"PYTHONPATH": os.pathsep.join([os.environ["PYTHONPATH"], str(tmp_path / "hanging"), str(ROOT)])}


def test_a_booting_proxy_is_recognized(desk: Desk, hanging: dict[str, str | None]) -> None:
    """`status` shows a booting proxy (69); a stop ends it, and `start` reports that (70)."""
    starting = desk.background("start", env=hanging)
    until("it boots", lambda: status(desk)["state"] == "booting", within_s=SOON_S, give_up=starting.end_reason)
    done = desk.run("status")
    assert (done.exit_status, re.search(r"^state +booting$", done.stdout, re.MULTILINE) is not None) == (69, True)
    assert status(desk)["condition"] == "booting"
    elsewhere = desk.run("status", "--json", env={"LUMEN_STATE_DIR": str(desk.folder / "elsewhere")})
    assert json.loads(elsewhere.stdout)["condition"] == "another", "with another state directory it is no stranger"
    assert desk.run("stop").exit_status == 0
    assert starting.wait_exit(SOON_S) == 70
    (line,) = starting.stderr.read_text().splitlines()
    assert f"port {desk.port}: the new proxy " in line
    assert "was stopped before it was ready" in line
