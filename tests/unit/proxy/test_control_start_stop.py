"""start, stop, restart and status with real processes in sandbox mode."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from lumen_conformance.gateway.replies import says
from lumen_conformance.gateway.server import Gateway
from lumen_conformance.http.client import call
from lumen_conformance.processes.children import WINDOWS
from lumen_conformance.processes.process_tree import ProcessRef
from lumen_conformance.processes.squatters import Kind, Squatters
from lumen_conformance.targets.launch import Finished, Launches
from lumen_conformance.waiting import until
from lumen_proxy import config
from lumen_proxy.control import instances, start
from lumen_proxy.control.stop import stop_now
from lumen_proxy.errors import Fatal
from lumen_proxy.supervisor import instance_lock, process_identity, state
from tests.fixtures.blackholes import NEEDS_LINUX, black_hole
from tests.fixtures.daemons import end_daemons

SOON_S = 10.0
DIAGNOSE = "diagnose --within 6"  # as in test_strangers.py; the default is 15 s
OWN = "http://127.0.0.1:1"


class Port:
    """One port, one state directory, and commands about them. An instance is stopped after the test."""

    def __init__(self, launch: Launches, folder: Path) -> None:
        self._launch = launch
        self.number = launch.reserve_port()
        self.state = folder / f"proxy-{self.number}.json"
        self.lock = folder / f"proxy-{self.number}.lock"
        self._env = {"LUMEN_STATE_DIR": str(folder), "LUMEN_LOG_DIR": str(folder), "PROXY_PORT": str(self.number)}

    def run(self, *command: str) -> Finished:
        """Run one command about this port."""
        return self._launch.run(*command, env=self._env)

    def status(self) -> dict[str, Any]:
        """The result of `status --json`."""
        found: dict[str, Any] = json.loads(self.run("status", "--json").stdout)
        return found


@pytest.fixture
def port(launch: Launches, tmp_path: Path) -> Iterator[Port]:
    """A port on which no proxy runs yet."""
    one = Port(launch, tmp_path)
    yield one
    end_daemons(tmp_path)


def test_start_status_stop(port: Port) -> None:
    """A started proxy outlives the command; a stopped one leaves no process and no file."""
    started = port.run("start", "--sandbox")
    assert started.exit_status == 0
    assert started.stdout.startswith(f"lumen-proxy: ready on http://127.0.0.1:{port.number} (pid ")
    assert started.stderr == "lumen-proxy: allowed hosts: loopback; web pages: loopback\n"
    shown = port.status()
    assert (shown["condition"], shown["generation"], shown["restarts"]) == ("running", 1, 0)
    family = [ProcessRef.of(shown["pid"]), ProcessRef.of(shown["worker_pid"])]
    assert port.run("stop").exit_status == 0
    assert [ref.state() for ref in family if ref.state() == "running"] == []
    assert not port.state.exists()
    assert not port.lock.exists()
    assert port.status()["condition"] == "stopped"


def test_the_sandbox_answers(port: Port) -> None:
    """In sandbox mode the answer is Korean and repeats the question."""
    port.run("start", "--sandbox")
    question = {"model": "lumen-lua", "messages": [{"role": "user", "content": "누구세요?"}]}
    answer = call(f"http://127.0.0.1:{port.number}", "POST", "/v1/chat/completions", json=question)
    assert answer.status == 200
    content = answer.json()["choices"][0]["message"]["content"]
    assert "누구세요?" in content
    assert "루아" in content


def test_start_and_stop_are_idempotent(port: Port) -> None:
    """A second start and a second stop exit with 0."""
    assert port.run("stop").exit_status == 0
    port.run("start", "--sandbox")
    before = port.status()
    again = port.run("start", "--sandbox")
    assert again.exit_status == 0
    assert f"already running on http://127.0.0.1:{port.number} (pid {before['pid']}" in again.stdout
    assert port.status()["instance"] == before["instance"]
    assert [port.run("stop").exit_status for _ in range(2)] == [0, 0]


def test_restart_is_another_instance_on_the_same_port(port: Port) -> None:
    """A restart starts a new instance, whether one runs or not."""
    found = []
    for _ in range(2):
        assert port.run("restart", "--sandbox").exit_status == 0
        found.append(port.status())
    assert [row["condition"] for row in found] == ["running", "running"]
    assert found[0]["instance"] != found[1]["instance"]


def test_the_exit_status_of_status(port: Port) -> None:
    """`status` exits with 0 if the proxy runs, 69 if not, 75 for another program."""
    assert port.run("status").exit_status == 69
    port.run("start", "--sandbox")
    assert port.run("status").exit_status == 0
    port.run("stop")
    with socket.create_server(("127.0.0.1", port.number), reuse_port=False):
        done = port.run("status")
    assert done.exit_status == 75
    assert f"(pid {os.getpid()})" in done.stdout


@pytest.mark.parametrize("kind", ["banner", "silent", "lumen_stranger"])
def test_a_stranger_on_the_port_is_not_ended(port: Port, squat: Squatters, kind: Kind) -> None:
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
    assert stranger.alive()
    assert kind == "silent" or stranger.answer() == before


def venv_of(command: str, folder: Path) -> tuple[str, ...]:
    """A missing environment for `diagnose`: the check of a real one takes 0.3 s of CPU time; both end with 69."""
    return ("--venv", str(folder / "missing")) if command.startswith("diagnose") else ()


@contextmanager
def bound_only() -> Iterator[int]:
    """A socket of this process that is bound and does not listen."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


@NEEDS_LINUX
@pytest.mark.parametrize("command", ["start", "status", "stop", DIAGNOSE, f"{DIAGNOSE} --no-start"])
@pytest.mark.parametrize(
    ("hold", "who"),
    [(partial(black_hole, "127.0.0.1"), f"(pid {os.getpid()})"), (bound_only, "a process that does not listen")],
    ids=["full-queue", "bound-only"],
)
def test_a_stranger_that_accepts_nothing(
    launch: Launches,
    tmp_path: Path,
    hold: Callable[[], AbstractContextManager[int]],
    who: str,
    command: str,
) -> None:
    """Each command names a program that has the port but accepts no connections."""
    with hold() as number:
        paths = {"LUMEN_STATE_DIR": str(tmp_path), "LUMEN_LOG_DIR": str(tmp_path)}
        channels = {"LUMEN_GATEWAY_URL": "http://127.0.0.1:1", "CLOUD_AI_URL": "none"}
        arguments = [*command.split(), *venv_of(command, tmp_path)]
        done = launch.run(*arguments, env={"PROXY_PORT": str(number), **paths, **channels})
    output = done.stdout + done.stderr
    assert done.exit_status == (69 if "diagnose" in command else 75), output
    assert who in output
    assert "lumen-proxy start\n" not in output


@pytest.mark.parametrize("command", ["status", "stop", "diagnose"])
def test_a_stranger_with_deeply_nested_json(launch: Launches, tmp_path: Path, command: str) -> None:
    """Deeply nested JSON from another program is not an internal error."""
    with Gateway(says(b"[" * 65_000)) as stranger:
        paths = {"LUMEN_STATE_DIR": str(tmp_path), "LUMEN_LOG_DIR": str(tmp_path)}
        channels = {"LUMEN_GATEWAY_URL": stranger.url, "CLOUD_AI_URL": "none"}
        arguments = [command, *venv_of(command, tmp_path)]
        done = launch.run(*arguments, env={"PROXY_PORT": str(stranger.port), **paths, **channels})
    assert done.exit_status == (69 if command == "diagnose" else 75), done.stderr
    assert f"(pid {os.getpid()})" in done.stdout + done.stderr


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
@pytest.mark.parametrize("content", ["", "{"], ids=["empty", "torn"])
def test_a_damaged_state_file_of_a_running_instance(port: Port, content: str) -> None:
    """Without its state file an instance is found by its lock: start 75, restart 74, stop 0."""
    port.run("start", "--sandbox")
    pid = port.status()["pid"]
    port.state.write_text(content)
    again = port.run("start", "--sandbox")
    assert (again.exit_status, "its settings are not known" in again.stderr) == (75, True)
    shown = port.status()
    assert (shown["condition"], shown["pid"]) == ("running", pid)
    refused = port.run("restart")
    assert refused.exit_status == 74
    assert str(port.state) in refused.stderr
    assert port.run("stop").exit_status == 0
    assert ProcessRef.of(pid).state() != "running" if psutil.pid_exists(pid) else True


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux names the owner of a lock")
def test_the_owner_of_the_lock_is_stopped(tmp_path: Path) -> None:
    """`stop` ends the owner of the lock, not the process that the state file names."""
    settings = config.load({"LUMEN_STATE_DIR": str(tmp_path), "LUMEN_LOG_DIR": str(tmp_path)}, {"port": "1"})
    wait = [sys.executable, "-c", "input()"]
    take = (
        "import pathlib, sys; from lumen_proxy.supervisor.instance_lock import claim; "
        "lock = claim(pathlib.Path(sys.argv[1]), 1); print(1, flush=True); input()"
    )
    with (
        subprocess.Popen(wait, stdin=subprocess.PIPE) as bystander,
        subprocess.Popen(
            [sys.executable, "-c", take, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as owner,
    ):
        assert owner.stdout is not None
        owner.stdout.readline()
        stamp, began = process_identity.start_stamp(bystander.pid), process_identity.start_time(bystander.pid) or 0.0
        known = state.InstanceState(
            "abc", bystander.pid, began, "localhost", (), 1, 1, "http://127.0.0.1:1", 1.0, "", "", sandbox=False
        )
        state.write(tmp_path / "proxy-1.json", dataclasses.replace(known, start_stamp=stamp))
        assert stop_now(settings).pid == owner.pid
        assert bystander.poll() is None
        bystander.kill()


def test_a_proxy_of_another_user_is_not_signalled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of another user is not signalled (75), and `status` shows its user."""
    settings = config.load({"LUMEN_STATE_DIR": str(tmp_path), "LUMEN_LOG_DIR": str(tmp_path)}, {"port": "1"})
    lock = instance_lock.claim(tmp_path, 1)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        users = {os.getpid(): "me", stranger.pid: "somebody"}
        monkeypatch.setattr(process_identity, "user_name", users.get)
        monkeypatch.setattr(process_identity, "lock_owner", lambda *_: stranger.pid)
        monkeypatch.setattr(process_identity, "describe_other_program", lambda _: None)
        result, status = stop_now(settings), instances.inspect(settings)
        assert stranger.poll() is None
        stranger.kill()
    lock.release()
    assert (result.did, result.exit_status) == ("refused", 75)
    assert f"user somebody (pid {stranger.pid})" in result.problems[0]
    assert status.owner == f"user somebody (pid {stranger.pid})"


@pytest.mark.parametrize(("user", "exit_status"), [("somebody", 77), (None, 74)], ids=["other-user", "unknown"])
def test_a_hidden_start_is_not_signalled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: str | None, exit_status: int
) -> None:
    """A process with a hidden start is not signalled, and the error has what is known."""
    settings = config.load({"LUMEN_STATE_DIR": str(tmp_path), "LUMEN_LOG_DIR": str(tmp_path)}, {"port": "1"})
    known = state.InstanceState("abc", 4242, 1.0, "localhost", (), 1, 1, OWN, 1.0, "", "", sandbox=False)
    state.write(tmp_path / "proxy-1.json", known)
    lock = instance_lock.claim(tmp_path, 1)
    monkeypatch.setattr(process_identity, "lock_owner", lambda *_: None)
    monkeypatch.setattr(process_identity, "holds_lock", lambda *_: None)
    monkeypatch.setattr(process_identity, "start_stamp", lambda _: None)
    monkeypatch.setattr(process_identity, "start_time", lambda _: None)
    monkeypatch.setattr(process_identity, "user_name", lambda _: user)
    with pytest.raises(Fatal) as verdict:
        stop_now(settings)
    assert verdict.value.exit_status == exit_status
    assert instances.inspect(settings, within_s=0.1).pid == (4242 if user else None)
    assert str(lock.path) in str(verdict.value)
    lock.release()


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


def test_an_inaccessible_lock_is_no_instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that cannot be checked is not taken for an instance of this user, and `stop` raises 77."""
    monkeypatch.setattr(instance_lock, "is_locked", lambda _: None)
    with Gateway(says({"service": "lumen-proxy", "instance": "0123456789abcdef"})) as somebody:
        port = {"port": str(somebody.port)}
        settings = config.load({"LUMEN_STATE_DIR": str(tmp_path), "LUMEN_LOG_DIR": str(tmp_path)}, port)
        assert instances.inspect(settings).condition == "another"
        with pytest.raises(Fatal, match=r"cannot check the lock .*\.lock.*LUMEN_STATE_DIR") as verdict:
            stop_now(settings)
    assert verdict.value.exit_status == 77
    assert instances.inspect(settings).condition == "stopped"


def test_a_failed_start_has_its_reason(port: Port) -> None:
    """A failed start has the error and the exit status of the instance."""
    done = port.run("start", "--sandbox", "--host", "192.0.2.1")
    assert done.exit_status == 77
    assert done.stderr.count("\n") == 1
    assert "PROXY_API_KEY" in done.stderr


def test_the_demo(launch: Launches) -> None:
    """The demo prints its steps, with a word beside each symbol."""
    done = launch.run("demo", env={"PYTHONIOENCODING": "cp949:replace"})
    assert done.exit_status == 0, done.stderr
    steps = [line.split()[1] for line in done.stdout.splitlines()]
    assert steps == ["started", "asked", "answered", "killed", "asked", "answered", "waited", "recovered"]
