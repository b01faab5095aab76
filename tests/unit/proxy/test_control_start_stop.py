"""start, stop, restart and status, as a person uses them: real processes, the sandbox as gateway."""

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

from lumen_conformance.gateway.replies import respond_with
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http.client import call
from lumen_conformance.processes.child_process import WINDOWS
from lumen_conformance.processes.process_tree import ProcessRef
from lumen_conformance.processes.squatters import SquatterKind, Squatters
from lumen_conformance.targets.launch import CommandResult, Launcher
from lumen_conformance.waiting import until
from lumen_proxy import config
from lumen_proxy.control import instances, start_stop
from lumen_proxy.errors import Fatal
from lumen_proxy.supervisor import process_identity, state
from tests.fixtures.blackholes import NEEDS_LINUX, open_black_hole
from tests.fixtures.daemons import end_daemons

SOON_S = 10.0
DIAGNOSE = "diagnose --within 6"  # as in test_strangers.py; the default is 15 s
OWN = "http://127.0.0.1:1"


class Port:
    """One port, one state directory, and commands about them. Whatever runs there is ended afterwards."""

    def __init__(self, launch: Launcher, folder: Path) -> None:
        self._launch = launch
        self.number = launch.reserve_port()
        self.state = folder / f"proxy-{self.number}.json"
        self.lock = folder / f"proxy-{self.number}.lock"
        self._env = {"LUMEN_STATE_DIR": str(folder), "LUMEN_LOG_DIR": str(folder), "PROXY_PORT": str(self.number)}

    def run(self, *words: str) -> CommandResult:
        """Run one command about this port."""
        return self._launch.run(*words, env=self._env)

    def status(self) -> dict[str, Any]:
        """What `status --json` says."""
        found: dict[str, Any] = json.loads(self.run("status", "--json").stdout)
        return found


@pytest.fixture
def port(launch: Launcher, tmp_path: Path) -> Iterator[Port]:
    """A port where nothing runs yet."""
    one = Port(launch, tmp_path)
    yield one
    end_daemons(tmp_path)


def test_start_status_stop(port: Port) -> None:
    """Started, it outlives the command that started it; stopped, it is gone with its port and files."""
    started = port.run("start", "--sandbox")
    assert started.exit_status == 0
    assert started.stdout.startswith(f"lumen-proxy: ready on http://127.0.0.1:{port.number} (pid ")
    assert started.stderr == "lumen-proxy: allowed hosts: loopback; web pages: loopback\n"
    seen = port.status()
    assert (seen["condition"], seen["generation"], seen["restarts"]) == ("running", 1, 0)
    family = [ProcessRef.of(seen["pid"]), ProcessRef.of(seen["worker_pid"])]
    assert port.run("stop").exit_status == 0
    assert [ref.state() for ref in family if ref.state() == "running"] == []
    assert not port.state.exists()
    assert not port.lock.exists()
    assert port.status()["condition"] == "stopped"


def test_the_sandbox_answers(port: Port) -> None:
    """In Korean, repeating the question, without a network."""
    port.run("start", "--sandbox")
    question = {"model": "lumen-lua", "messages": [{"role": "user", "content": "누구세요?"}]}
    answer = call(f"http://127.0.0.1:{port.number}", "POST", "/v1/chat/completions", json=question)
    assert answer.status == 200
    content = answer.json()["choices"][0]["message"]["content"]
    assert "누구세요?" in content
    assert "루아" in content


def test_both_are_idempotent(port: Port) -> None:
    """A second start finds the first, a second stop nothing; 0 each time."""
    assert port.run("stop").exit_status == 0
    port.run("start", "--sandbox")
    before = port.status()
    again = port.run("start", "--sandbox")
    assert again.exit_status == 0
    assert f"already running on http://127.0.0.1:{port.number} (pid {before['pid']}" in again.stdout
    assert port.status()["instance"] == before["instance"]
    assert [port.run("stop").exit_status for _ in range(2)] == [0, 0]


def test_restart_is_another_instance_on_the_same_port(port: Port) -> None:
    """From running or from nothing."""
    found = []
    for _ in range(2):
        assert port.run("restart", "--sandbox").exit_status == 0
        found.append(port.status())
    assert [seen["condition"] for seen in found] == ["running", "running"]
    assert found[0]["instance"] != found[1]["instance"]


def test_status_tells_by_its_exit_status(port: Port) -> None:
    """0 running, 69 not, 75 a stranger."""
    assert port.run("status").exit_status == 69
    port.run("start", "--sandbox")
    assert port.run("status").exit_status == 0
    port.run("stop")
    with socket.create_server(("127.0.0.1", port.number), reuse_port=False):
        done = port.run("status")
    assert done.exit_status == 75
    assert f"(pid {os.getpid()})" in done.stdout


@pytest.mark.parametrize("kind", ["banner", "silent", "lumen_stranger"])
def test_a_stranger_on_the_port_is_left_alone(port: Port, squat: Squatters, kind: SquatterKind) -> None:
    """start: 75 and its name, even if it speaks like ours; stop: the same; it lives through both."""
    stranger = squat(kind, port=port.number)
    said = stranger.answer() if kind != "silent" else None
    started = port.run("start", "--sandbox")
    assert started.exit_status == 75
    assert f"in use by {psutil.Process(stranger.pid).name()} (pid {stranger.pid})" in started.stderr
    assert "Traceback" not in started.stderr
    assert "running" not in started.stdout
    stopped = port.run("stop")
    assert stopped.exit_status == 75
    assert f"{psutil.Process(stranger.pid).name()} (pid {stranger.pid})" in stopped.stderr
    assert stranger.is_running()
    assert kind == "silent" or stranger.answer() == said


def venv_of(command: str, folder: Path) -> tuple[str, ...]:
    """An environment that is missing, for `diagnose`: a look at a real one costs 0.3 s of CPU, and is 69 as well."""
    return ("--venv", str(folder / "missing")) if command.startswith("diagnose") else ()


@contextmanager
def bound_only() -> Iterator[int]:
    """A socket of this process that is bound and neither listens nor shares its port."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


@NEEDS_LINUX
@pytest.mark.parametrize("command", ["start", "status", "stop", DIAGNOSE, f"{DIAGNOSE} --no-start"])
@pytest.mark.parametrize(
    ("hold", "who"),
    [(partial(open_black_hole, "127.0.0.1"), f"(pid {os.getpid()})"), (bound_only, "a process that does not listen")],
    ids=["full-queue", "bound-only"],
)
def test_a_stranger_that_accepts_nothing(
    launch: Launcher,
    tmp_path: Path,
    hold: Callable[[], AbstractContextManager[int]],
    who: str,
    command: str,
) -> None:
    """Whoever holds the port without accepting connections is named by every command alike."""
    with hold() as number:
        paths = {"LUMEN_STATE_DIR": str(tmp_path), "LUMEN_LOG_DIR": str(tmp_path)}
        channels = {"LUMEN_GATEWAY_URL": "http://127.0.0.1:1", "CLOUD_AI_URL": "none"}
        words = [*command.split(), *venv_of(command, tmp_path)]
        done = launch.run(*words, env={"PROXY_PORT": str(number), **paths, **channels})
    said = done.stdout + done.stderr
    assert done.exit_status == (69 if "diagnose" in command else 75), said
    assert who in said
    assert "lumen-proxy start\n" not in said


@pytest.mark.parametrize("command", ["status", "stop", "diagnose"])
def test_a_stranger_with_deeply_nested_json(launch: Launcher, tmp_path: Path, command: str) -> None:
    """It is a stranger like any other; its answer is not an internal error."""
    with ScriptedGateway(respond_with(b"[" * 65_000)) as stranger:
        paths = {"LUMEN_STATE_DIR": str(tmp_path), "LUMEN_LOG_DIR": str(tmp_path)}
        channels = {"LUMEN_GATEWAY_URL": stranger.url, "CLOUD_AI_URL": "none"}
        words = [command, *venv_of(command, tmp_path)]
        done = launch.run(*words, env={"PROXY_PORT": str(stranger.port), **paths, **channels})
    assert done.exit_status == (69 if command == "diagnose" else 75), done.stderr
    assert f"(pid {os.getpid()})" in done.stdout + done.stderr


@pytest.mark.skipif(WINDOWS, reason="no signal 0 and no sleep command there")
@pytest.mark.parametrize("too_early_s", [60.0, 0.0], ids=["recycled-pid", "no-lock"])
def test_a_process_that_is_not_ours_is_not_signalled(port: Port, too_early_s: float) -> None:
    """The state file names a living process, but not the one that wrote it, or one that holds no lock: it survives."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as innocent:
        fields = {
            "instance": "abc", "pid": innocent.pid,
            "start_time": psutil.Process(innocent.pid).create_time() - too_early_s,
            "host": "localhost", "hosts": ["127.0.0.1"], "port": port.number, "generation": 1,
            "url": f"http://127.0.0.1:{port.number}", "drain_s": 1.0,
            "gateway_url": "http://127.0.0.1:1", "cloud_ai_url": "none", "sandbox": False,
        }  # fmt: skip
        port.state.write_text(json.dumps(fields))
        assert port.run("stop").exit_status == 0
        assert innocent.poll() is None
        innocent.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux names the owner of a lock")
@pytest.mark.parametrize("content", ["", "{"], ids=["empty", "torn"])
def test_a_lost_state_file_of_a_running_instance(port: Port, content: str) -> None:
    """It is found by its lock: start says so (75), restart guesses nothing (74), stop ends the lock's owner."""
    port.run("start", "--sandbox")
    pid = port.status()["pid"]
    port.state.write_text(content)
    again = port.run("start", "--sandbox")
    assert (again.exit_status, "its settings are not known" in again.stderr) == (75, True)
    seen = port.status()
    assert (seen["condition"], seen["pid"]) == ("running", pid)
    refused = port.run("restart")
    assert refused.exit_status == 74
    assert str(port.state) in refused.stderr
    assert port.run("stop").exit_status == 0
    assert ProcessRef.of(pid).state() != "running" if psutil.pid_exists(pid) else True


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux names the owner of a lock")
def test_the_owner_of_the_lock_is_stopped_not_who_is_named(tmp_path: Path) -> None:
    """The state file names a living process and its very start, but another one has the lock: the first survives."""
    settings = config.load({"LUMEN_STATE_DIR": str(tmp_path), "LUMEN_LOG_DIR": str(tmp_path)}, {"port": "1"})
    wait = [sys.executable, "-c", "input()"]
    take = (
        "import pathlib, sys; from lumen_proxy.supervisor.state import claim; "
        "lock = claim(pathlib.Path(sys.argv[1]), 1); print(1, flush=True); input()"
    )
    with (
        subprocess.Popen(wait, stdin=subprocess.PIPE) as innocent,
        subprocess.Popen(
            [sys.executable, "-c", take, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as owner,
    ):
        assert owner.stdout is not None
        owner.stdout.readline()
        stamp, began = process_identity.start_stamp(innocent.pid), process_identity.start_time(innocent.pid) or 0.0
        it = state.State(
            "abc", innocent.pid, began, "localhost", (), 1, 1, "http://127.0.0.1:1", 1.0, "", "", sandbox=False
        )
        state.write(tmp_path / "proxy-1.json", dataclasses.replace(it, start_stamp=stamp))
        assert start_stop.stop(settings).pid == owner.pid
        assert innocent.poll() is None
        innocent.kill()


def test_a_proxy_of_another_user_is_not_signalled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even by an administrator, who could: 75, with the PID and the user's name; status says the same."""
    settings = config.load({"LUMEN_STATE_DIR": str(tmp_path), "LUMEN_LOG_DIR": str(tmp_path)}, {"port": "1"})
    lock = state.claim(tmp_path, 1)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        users = {os.getpid(): "me", stranger.pid: "somebody"}
        monkeypatch.setattr(process_identity, "user_name", users.get)
        monkeypatch.setattr(process_identity, "lock_owner", lambda *_: stranger.pid)
        monkeypatch.setattr(process_identity, "stranger", lambda _: None)
        outcome, seen = start_stop.stop(settings), instances.look(settings)
        assert stranger.poll() is None
        stranger.kill()
    lock.release()
    assert (outcome.did, outcome.exit_status) == ("refused", 75)
    assert f"user somebody (pid {stranger.pid})" in outcome.problems[0]
    assert seen.owner == f"user somebody (pid {stranger.pid})"


@pytest.mark.parametrize(("user", "exit_status"), [("somebody", 77), (None, 74)], ids=["other-user", "unknown"])
def test_a_hidden_start_is_not_signalled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: str | None, exit_status: int
) -> None:
    """The system hides other users' processes: what is known is said, and nothing is signalled."""
    settings = config.load({"LUMEN_STATE_DIR": str(tmp_path), "LUMEN_LOG_DIR": str(tmp_path)}, {"port": "1"})
    it = state.State("abc", 4242, 1.0, "localhost", (), 1, 1, OWN, 1.0, "", "", sandbox=False)
    state.write(tmp_path / "proxy-1.json", it)
    lock = state.claim(tmp_path, 1)
    monkeypatch.setattr(process_identity, "lock_owner", lambda *_: None)
    monkeypatch.setattr(process_identity, "holds_lock", lambda *_: None)
    monkeypatch.setattr(process_identity, "start_stamp", lambda _: None)
    monkeypatch.setattr(process_identity, "start_time", lambda _: None)
    monkeypatch.setattr(process_identity, "user_name", lambda _: user)
    with pytest.raises(Fatal) as verdict:
        start_stop.stop(settings)
    assert verdict.value.exit_status == exit_status
    assert instances.look(settings, patience_s=0.1).pid == (4242 if user else None)
    assert str(lock.path) in str(verdict.value)
    lock.release()


@pytest.mark.skipif(WINDOWS, reason="stops processes by signal")
def test_an_instance_that_does_not_answer_is_silent(port: Port) -> None:
    """Its lock is held, so it is ours; it does not answer, so it does not run: 69."""
    port.run("start", "--sandbox")
    seen = port.status()
    with ExitStack() as stack:
        for pid in (seen["pid"], seen["worker_pid"]):
            process = psutil.Process(pid)
            process.suspend()
            stack.callback(process.resume)
        assert port.status()["condition"] == "silent"
    until("it answers again", lambda: port.status()["condition"] == "running", within_s=SOON_S)


def test_a_start_beside_a_silent_instance_keeps_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The console log of an instance that holds the lock is not emptied, nor told as the words of the new one."""
    monkeypatch.setattr(start_stop, "BOOTING_S", 0.1)
    settings = config.load({"LUMEN_STATE_DIR": str(tmp_path), "LUMEN_LOG_DIR": str(tmp_path)}, {"port": "1"})
    words = tmp_path / "console-1.log"
    words.write_text("what it has said\n")
    lock = state.claim(tmp_path, 1)
    outcome = start_stop.start(settings)
    lock.release()
    assert outcome.exit_status == 75
    assert words.read_text().startswith("what it has said\n")
    assert [problem.partition(":")[0] for problem in outcome.problems] == ["cannot start on port 1"]


def test_a_lock_that_we_may_not_look_at_proves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another user's: what answers on the port is not taken for ours, and a stop says whom to ask."""
    monkeypatch.setattr(state, "is_locked", lambda _: None)
    with ScriptedGateway(respond_with({"service": "lumen-proxy", "instance": "0123456789abcdef"})) as somebody:
        port = {"port": str(somebody.port)}
        settings = config.load({"LUMEN_STATE_DIR": str(tmp_path), "LUMEN_LOG_DIR": str(tmp_path)}, port)
        assert instances.look(settings).condition == "another"
        with pytest.raises(Fatal, match=r"not permitted to look at .*\.lock.*LUMEN_STATE_DIR") as verdict:
            start_stop.stop(settings)
    assert verdict.value.exit_status == 77
    assert instances.look(settings).condition == "stopped"


@pytest.mark.skipif(WINDOWS, reason="no sleep command there")
def test_who_may_not_look_at_the_lock_signals_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if the state file names a living process with its start time: the lock is the truth."""
    settings = config.load({"LUMEN_STATE_DIR": str(tmp_path), "LUMEN_LOG_DIR": str(tmp_path)}, {"port": "1"})
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as innocent:
        began = process_identity.start_time(innocent.pid) or 0.0
        it = state.State(
            "abc", innocent.pid, began, "localhost", (), 1, 1, "http://127.0.0.1:1", 1.0, "", "", sandbox=False
        )
        state.write(tmp_path / "proxy-1.json", it)
        monkeypatch.setattr(state, "is_locked", lambda _: None)
        with pytest.raises(Fatal, match="not permitted to look at"):
            start_stop.stop(settings)
        assert innocent.poll() is None
        innocent.kill()


def test_a_failed_start_tells_why(port: Port) -> None:
    """The words and the status of the instance that did not come up are those of the command."""
    done = port.run("start", "--sandbox", "--host", "192.0.2.1")
    assert done.exit_status == 77
    assert done.stderr.count("\n") == 1
    assert "PROXY_API_KEY" in done.stderr


def test_the_demo_goes_as_told(launch: Launcher) -> None:
    """A question, a kill, the next question; plain words beside every symbol, on any console."""
    done = launch.run("demo", env={"PYTHONIOENCODING": "cp949:replace"})
    assert done.exit_status == 0, done.stderr
    words = [line.split()[1] for line in done.stdout.splitlines()]
    assert words == ["started", "asked", "answered", "killed", "asked", "answered", "waited", "recovered"]
