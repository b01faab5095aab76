"""start, stop, restart and status with real processes in sandbox mode."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

from lumen_conformance.http.client import call
from lumen_conformance.processes.child_process import WINDOWS
from lumen_conformance.processes.process_tree import ProcessRef
from lumen_conformance.processes.squatters import SquatterKind, Squatters
from lumen_conformance.targets.launch import CommandResult, Launcher
from lumen_conformance.waiting import until
from lumen_proxy import config
from lumen_proxy.control import start
from lumen_proxy.supervisor import instance_lock
from tests.fixtures.daemons import end_daemons

SOON_S = 10.0


class Port:
    """One port, one state directory, and commands about them. An instance is stopped after the test."""

    def __init__(self, launch: Launcher, folder: Path) -> None:
        self._launch = launch
        self.number = launch.reserve_port()
        self.state = folder / f"proxy-{self.number}.json"
        self.lock = folder / f"proxy-{self.number}.lock"
        self._env = {"LUMEN_STATE_DIR": str(folder), "LUMEN_LOG_DIR": str(folder), "PROXY_PORT": str(self.number)}

    def run(self, *command: str) -> CommandResult:
        """Run one command about this port."""
        return self._launch.run(*command, env=self._env)

    def status(self) -> dict[str, Any]:
        """The result of `status --json`."""
        found: dict[str, Any] = json.loads(self.run("status", "--json").stdout)
        return found


@pytest.fixture
def port(launch: Launcher, tmp_path: Path) -> Iterator[Port]:
    """A port on which no proxy runs yet."""
    one = Port(launch, tmp_path)
    yield one
    end_daemons(tmp_path)


def test_start_status_stop(port: Port) -> None:
    """A started proxy outlives the command and answers in Korean; a stopped one leaves no process and no file."""
    started = port.run("start", "--sandbox")
    assert started.exit_status == 0
    assert started.stdout.startswith(f"lumen-proxy: ready on http://127.0.0.1:{port.number} (pid ")
    assert started.stderr == "lumen-proxy: allowed hosts: loopback; web pages: loopback\n"
    done = port.run("status", "--json")
    shown = json.loads(done.stdout)
    assert (done.exit_status, shown["condition"], shown["generation"], shown["restarts"]) == (0, "running", 1, 0)
    question = {"model": "lumen-lua", "messages": [{"role": "user", "content": "누구세요?"}]}
    answer = call(f"http://127.0.0.1:{port.number}", "POST", "/v1/chat/completions", json=question)
    content = answer.json()["choices"][0]["message"]["content"]
    assert ("누구세요?" in content, "루아" in content) == (True, True)
    family = [ProcessRef.of(shown["pid"]), ProcessRef.of(shown["worker_pid"])]
    assert port.run("stop").exit_status == 0
    assert [ref.state() for ref in family if ref.state() == "running"] == []
    assert not port.state.exists()
    assert not port.lock.exists()
    done = port.run("status", "--json")
    assert (done.exit_status, json.loads(done.stdout)["condition"]) == (69, "stopped")


def test_start_and_stop_are_idempotent(port: Port) -> None:
    """A second start and a second stop exit with 0."""
    first = port.run("start", "--sandbox")
    again = port.run("start", "--sandbox")
    assert again.exit_status == 0
    assert "already running on http://127.0.0.1:" in again.stdout
    assert first.stdout.strip().partition(" (pid ")[2] in again.stdout
    assert [port.run("stop").exit_status for _ in range(2)] == [0, 0]


def test_restart_is_another_instance_on_the_same_port(port: Port) -> None:
    """A restart starts a new instance, whether one runs or not."""
    found = []
    for _ in range(2):
        assert port.run("restart", "--sandbox").exit_status == 0
        found.append(port.status())
    assert [row["condition"] for row in found] == ["running", "running"]
    assert found[0]["instance"] != found[1]["instance"]


@pytest.mark.parametrize("kind", ["silent", "lumen_stranger"])
def test_a_stranger_on_the_port_is_not_ended(port: Port, squat: Squatters, kind: SquatterKind) -> None:
    """Start and stop name another program on the port (75) and do not end it."""
    stranger = squat(kind, port=port.number)
    before = stranger.answer() if kind != "silent" else None
    started = port.run("start", "--sandbox")
    assert started.exit_status == 75
    assert f"in use by {psutil.Process(stranger.pid).name()} (pid {stranger.pid})" in started.stderr
    assert "Traceback" not in started.stderr
    assert "running" not in started.stdout
    stopped = port.run("stop")
    assert stopped.exit_status == 75
    assert f"{psutil.Process(stranger.pid).name()} (pid {stranger.pid})" in stopped.stderr
    assert stranger.is_running()
    assert kind == "silent" or stranger.answer() == before


@pytest.mark.skipif(WINDOWS, reason="no signal 0 and no sleep command there")
@pytest.mark.parametrize("too_early_s", [60.0, 0.0], ids=["recycled-pid", "no-lock"])
def test_a_process_without_the_lock_is_not_signalled(port: Port, too_early_s: float) -> None:
    """A process that the state file names but that does not hold the lock is not signalled."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as bystander:
        fields = {
            "instance": "abc", "pid": bystander.pid,
            "start_time": psutil.Process(bystander.pid).create_time() - too_early_s,
            "host": "localhost", "hosts": ["127.0.0.1"], "port": port.number, "generation": 1,
            "url": f"http://127.0.0.1:{port.number}", "drain_s": 1.0,
            "gateway_url": "http://127.0.0.1:1", "cloud_ai_url": "none", "sandbox": False,
        }  # fmt: skip
        port.state.write_text(json.dumps(fields))
        assert port.run("stop").exit_status == 0
        assert bystander.poll() is None
        bystander.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux names the owner of a lock")
def test_a_damaged_state_file_of_a_running_instance(port: Port) -> None:
    """Without its state file an instance is found by its lock: start 75, restart 74, stop 0."""
    port.run("start", "--sandbox")
    pid = port.status()["pid"]
    port.state.write_text("{")
    again = port.run("start", "--sandbox")
    assert (again.exit_status, "its settings are not known" in again.stderr) == (75, True)
    shown = port.status()
    assert (shown["condition"], shown["pid"]) == ("running", pid)
    refused = port.run("restart")
    assert refused.exit_status == 74
    assert str(port.state) in refused.stderr
    assert port.run("stop").exit_status == 0
    assert ProcessRef.of(pid).state() != "running" if psutil.pid_exists(pid) else True


@pytest.mark.skipif(WINDOWS, reason="stops processes by signal")
def test_an_instance_that_does_not_answer_is_silent(port: Port) -> None:
    """An instance that holds the lock and does not respond is `silent` (69)."""
    port.run("start", "--sandbox")
    shown = port.status()
    with ExitStack() as stack:
        for pid in (shown["pid"], shown["worker_pid"]):
            process = psutil.Process(pid)
            process.suspend()
            stack.callback(process.resume)
        assert port.status()["condition"] == "silent"
    until("it answers again", lambda: port.status()["condition"] == "running", within_s=SOON_S)


def test_a_refused_start_keeps_the_console_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start beside a silent instance neither empties its console log nor reports its content."""
    monkeypatch.setattr(start, "BOOTING_S", 0.1)
    settings = config.load({"LUMEN_STATE_DIR": str(tmp_path), "LUMEN_LOG_DIR": str(tmp_path)}, {"port": "1"})
    log = tmp_path / "console-1.log"
    log.write_text("earlier output\n")
    lock = instance_lock.claim(tmp_path, 1)
    result = start.start_now(settings)
    lock.release()
    assert result.exit_status == 75
    assert log.read_text().startswith("earlier output\n")
    assert [problem.partition(":")[0] for problem in result.problems] == ["cannot start on port 1"]


def test_a_failed_start_has_its_reason(port: Port) -> None:
    """A failed start has the error and the exit status of the instance."""
    done = port.run("start", "--sandbox", "--host", "192.0.2.1")
    assert done.exit_status == 77
    assert done.stderr.count("\n") == 1
    assert "PROXY_API_KEY" in done.stderr


def test_the_demo(launch: Launcher) -> None:
    """The demo prints its steps, with a word beside each symbol."""
    done = launch.run("demo", env={"PYTHONIOENCODING": "cp949:replace"})
    assert done.exit_status == 0, done.stderr
    steps = [line.split()[1] for line in done.stdout.splitlines()]
    assert steps == ["started", "asked", "answered", "killed", "asked", "answered", "waited", "recovered"]
