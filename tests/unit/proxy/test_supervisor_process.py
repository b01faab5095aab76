"""The supervisor with real processes and signals, and with a fake worker that only implements the messages."""

from __future__ import annotations

import json
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from lumen_conformance.http.client import call
from lumen_conformance.processes.child_process import WINDOWS
from lumen_conformance.targets.launch import LaunchedTarget, Launcher
from lumen_conformance.targets.target import Target
from lumen_conformance.waiting import until

SUPERVISE = Path(__file__).with_name("supervise.py")
TARGET = Target(command=(sys.executable, str(SUPERVISE), "{port}"))
SOON_S = 10.0  # each step takes milliseconds; the rest is for a busy machine

pytestmark = pytest.mark.skipif(WINDOWS, reason="the pretended worker takes descriptors; Windows shares sockets")

Start = Callable[..., LaunchedTarget]


@pytest.fixture
def start(launch: Launcher) -> Start:
    """Launch a supervisor with a worker that has a fault."""

    def start_with(*fault: str, ready: bool = True, port: int = 0, **env: str) -> LaunchedTarget:
        return launch(target=TARGET, args=fault, ready=ready, port=port, env=env)

    return start_with


def event_names(proxy: LaunchedTarget) -> list[str]:
    """The names of the events in the journal."""
    return [event.name for event in proxy.journal.events()]


def has_ended(pid: int) -> bool:
    """True if the process has ended, reaped or not."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def is_free(port: int) -> bool:
    """True if no process accepts on either loopback."""
    for host in ("127.0.0.1", "::1"):
        try:
            socket.create_connection((host, port), timeout=1).close()
        except OSError:
            continue
        return False
    return True


def test_a_killed_worker_is_replaced_on_the_same_socket(start: Start) -> None:
    """After each of three kills the next request is answered and not refused."""
    proxy = start(LUMEN_MAX_RESTARTS="0", LUMEN_RESTART_BACKOFF_S="0")
    pids = []
    for generation in (1, 2, 3):
        health = proxy.health()
        assert (health.status, health.generation, health.restarts) == (200, generation, generation - 1)
        pids.append(health.pid)
        psutil.Process(health.pid).kill()
    assert proxy.health().generation == 4
    assert len(set(pids)) == 3


def test_both_loopbacks_reach_one_instance(start: Start) -> None:
    """Both loopbacks reach the same instance."""
    proxy = start()
    answers = [call(f"http://{host}:{proxy.port}", "GET", "/health").json() for host in ("127.0.0.1", "[::1]")]
    assert answers[0] == answers[1]


def test_the_state_file_names_the_supervisor(start: Start) -> None:
    """The state file has PID, start time, port and generation; a normal end removes all files."""
    proxy = start()
    state = json.loads((proxy.state_dir / f"proxy-{proxy.port}.json").read_text())
    expected = {"pid": proxy.pid, "port": proxy.port, "generation": 1, "hosts": ["127.0.0.1", "::1"]}
    assert expected.items() <= state.items()
    assert state["start_time"] == psutil.Process(proxy.pid).create_time()
    proxy.stop()
    assert proxy.wait_exit(SOON_S) == 0
    assert list(proxy.state_dir.iterdir()) == []


def test_the_ready_line_is_printed_once(start: Start) -> None:
    """The ready line is ASCII and is not printed again after a restart of the worker."""
    proxy = start()
    psutil.Process(proxy.health().pid).kill()
    assert proxy.health().generation == 2
    (line,) = proxy.stdout.read_text("ascii").splitlines()
    assert proxy.ready is not None
    who = f"(pid {proxy.pid}, instance {proxy.ready.instance})"
    assert line == f"lumen-proxy: ready on {proxy.url} {who}"


def test_the_start_prints_what_is_allowed(start: Start) -> None:
    """The start prints the allowed hosts and web pages to standard error."""
    proxy = start(LUMEN_ALLOWED_HOSTS="lumen.example", LUMEN_ALLOWED_ORIGINS="chrome-extension://*")
    line = "lumen-proxy: allowed hosts: loopback, lumen.example; web pages: loopback, chrome-extension://*\n"
    until("it is printed", lambda: line in proxy.stderr.read_text("ascii"), within_s=SOON_S)


def test_what_a_worker_prints_is_no_message(start: Start) -> None:
    """A line that a module prints at the start of a worker is ignored and reported, however long it is."""
    proxy = start("print-before", "70000")
    (report,) = [line for line in proxy.stderr.read_text().splitlines() if "invalid message" in line]
    assert report.startswith("lumen-proxy: invalid message ignored: a line has no end within 65536 bytes")
    assert report.endswith(f"(from worker {proxy.health().pid})")


def test_a_crash_loop_ends_with_the_port_free(start: Start) -> None:
    """After five exits the supervisor ends with 70; only the record of the end remains."""
    proxy = start("die-at-boot", "3", ready=False, LUMEN_RESTART_BACKOFF_S="0.01")
    assert proxy.wait_exit(SOON_S) == 70
    restarts = proxy.journal.events(name="restart_scheduled")
    assert [event["delay_cap_s"] for event in restarts] == [0, 0.01, 0.02, 0.04]
    assert all(0 <= event["delay_s"] <= event["delay_cap_s"] for event in restarts)
    assert event_names(proxy)[-3:] == ["worker_died", "gave_up", "stopped"]
    assert is_free(proxy.port)
    (left,) = proxy.state_dir.iterdir()
    ended = json.loads(left.read_text())["ended"]
    assert (left.name.partition("-")[0], ended["kind"]) == ("ended", "gave up")
    pid = proxy.journal.events(name="worker_died")[-1]["pid"]
    assert ended["what"] == f"5 worker exits in 60 s; last: worker {pid} ended with exit status 3"


def test_a_permanent_status_is_passed_on(start: Start) -> None:
    """After a permanent exit status there is no restart, and the supervisor ends with the same status."""
    proxy = start("die-at-boot", "69", ready=False)
    assert proxy.wait_exit(SOON_S) == 69
    assert event_names(proxy) == ["started", "worker_spawned", "worker_died", "stopped"]


@pytest.mark.parametrize(
    ("fault", "number", "what"),
    [("die-at-boot", "69", "the worker ended with exit status 69"), ("die-when-ready", "3", "5 worker exits in 60 s")],
)
def test_the_next_start_clears_the_reason(start: Start, tmp_path: Path, fault: str, number: str, what: str) -> None:
    """The record of an unexpected end is removed when the next instance on the port is ready."""
    env = {"LUMEN_STATE_DIR": str(tmp_path), "LUMEN_RESTART_BACKOFF_S": "0"}
    failed = start(fault, number, ready=False, **env)
    failed.wait_exit(SOON_S)
    (record,) = tmp_path.glob("ended-*.json")
    assert json.loads(record.read_text())["ended"]["what"].startswith(what)
    start(port=int(record.stem.rpartition("-")[2]), **env)
    assert not record.exists()


def test_a_stop_during_back_off_ends_at_once(start: Start) -> None:
    """A stop during the back-off ends the supervisor at once."""
    proxy = start("die-at-boot", "1", ready=False, LUMEN_RESTART_BACKOFF_S="1000", LUMEN_MAX_RESTARTS="0")
    until("a long wait", lambda: len(proxy.journal.events(name="restart_scheduled")) >= 2, within_s=SOON_S)
    proxy.stop()
    assert proxy.wait_exit(SOON_S) == 0


def test_ready_is_printed_for_the_first_worker_that_serves(start: Start) -> None:
    """If the first worker ends after its promotion, the ready line follows once for the second one."""
    proxy = start("die-at-promotion", "1")
    psutil.Process(proxy.health().pid).kill()
    assert proxy.health().generation == 3
    assert proxy.stdout.read_text().count(": ready on ") == 1


def test_a_stop_during_boot_leaves_nothing(start: Start) -> None:
    """A stop during the boot kills the worker and ends with 0."""
    proxy = start("never-imported", ready=False)
    worker = proxy.journal.until("worker_spawned", within_s=SOON_S)["pid"]
    proxy.stop()
    assert proxy.wait_exit(SOON_S) == 0
    assert has_ended(worker)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_whole_group_drains(start: Start, number: int) -> None:
    """A signal to the process group, as from Ctrl-C, drains and does not end the worker early."""
    proxy = start()
    proxy.send_group(number)
    assert proxy.wait_exit(SOON_S) == 0
    assert event_names(proxy) == ["started", "worker_spawned", "ready", "draining", "drained", "stopped"]


def test_a_signal_to_the_group_in_the_first_moment_drains(start: Start) -> None:
    """A signal to the group directly after the start of the worker does not end it."""
    proxy = start(ready=False)
    proxy.journal.until("worker_spawned", within_s=SOON_S)
    proxy.send_group(signal.SIGINT)
    assert proxy.wait_exit(SOON_S) == 0
    assert "worker_died" not in event_names(proxy)


def test_cut_requests_are_reported(start: Start) -> None:
    """Cut requests are in the journal, and the exit status is 70."""
    proxy = start("cut", "2")
    proxy.stop()
    assert proxy.wait_exit(SOON_S) == 70
    assert proxy.journal.until("drained", within_s=0)["cut"] == 2


def test_a_second_signal_ends_at_once(start: Start) -> None:
    """A second signal ends a drain at once: 70, and the worker has ended."""
    proxy = start("never-drained")
    worker = proxy.health().pid
    proxy.stop()
    proxy.journal.until("draining", within_s=SOON_S)

    def ends_on_one_more() -> int | None:
        proxy.stop()
        return proxy.exit_status()

    assert until("it ends", ends_on_one_more, within_s=SOON_S) == 70
    assert has_ended(worker)


def test_a_drain_has_a_deadline(start: Start) -> None:
    """A worker that does not drain in time is killed: 70."""
    proxy = start("never-drained", LUMEN_DRAIN_S="0")
    proxy.stop()
    assert proxy.wait_exit(SOON_S) == 70
    assert proxy.journal.events(name="drained") == ()


def test_a_worker_killed_while_it_drains(start: Start) -> None:
    """A worker that is killed during a drain is not restarted: 70."""
    proxy = start("never-drained")
    worker = proxy.health().pid
    proxy.stop()
    proxy.journal.until("draining", within_s=SOON_S)
    psutil.Process(worker).kill()
    assert proxy.wait_exit(SOON_S) == 70
    assert event_names(proxy)[-4:] == ["draining", "worker_died", "drained", "stopped"]


@pytest.mark.parametrize("fault", ["", "never-imported", "never-drained"], ids=["serving", "booting", "draining"])
def test_a_killed_supervisor_leaves_no_orphan(start: Start, fault: str) -> None:
    """A worker ends after its supervisor was killed, in each state, and the next start works."""
    proxy = start(fault, ready=fault != "never-imported")
    proxy.journal.until("worker_spawned", within_s=SOON_S)
    (worker,) = (child.pid for child in psutil.Process(proxy.pid).children())
    if fault == "never-drained":
        proxy.stop()
        proxy.journal.until("draining", within_s=SOON_S)
    psutil.Process(proxy.pid).kill()
    if (
        fault != "never-imported"
    ):  # a booting fake worker does not read its input; a real one gets the parent-death signal
        until("the worker has ended", lambda: has_ended(worker), within_s=SOON_S)
    else:
        psutil.Process(worker).kill()
    assert start(port=proxy.port).health().status == 200


STATES = {
    "empty": "",
    "corrupt": '{"pid": 12',
    "of another process": json.dumps(
        {
            "instance": "abc", "pid": 1, "start_time": 1.0, "host": "localhost", "hosts": ["127.0.0.1"],
            "port": 1, "generation": 1, "url": "http://127.0.0.1:1", "drain_s": 30.0,
            "gateway_url": "http://127.0.0.1:1", "cloud_ai_url": "none", "sandbox": False,
        }
    ),
}  # fmt: skip


@pytest.mark.parametrize("content", STATES.values(), ids=STATES)
def test_old_files_do_not_prevent_a_start(start: Start, launch: Launcher, tmp_path: Path, content: str) -> None:
    """Old lock and state files do not prevent a start and are removed at the end."""
    port = launch.reserve_port()
    (tmp_path / f"proxy-{port}.json").write_text(content)
    (tmp_path / f"proxy-{port}.lock").write_text(content)
    proxy = start(port=port, LUMEN_STATE_DIR=str(tmp_path))
    assert proxy.health().status == 200
    proxy.stop()
    assert proxy.wait_exit(SOON_S) == 0
    assert not list(tmp_path.glob("proxy-*"))


@pytest.mark.parametrize("shared", [True, False], ids=["one-state-dir", "two-state-dirs"])
def test_of_two_starts_at_once_one_serves(start: Start, launch: Launcher, tmp_path: Path, shared: bool) -> None:  # noqa: FBT001
    """Of two concurrent starts one serves and the other ends with 75 and names the first."""
    port = launch.reserve_port()
    env = {"LUMEN_STATE_DIR": str(tmp_path)} if shared else {}
    both = [start(port=port, ready=False, **env) for _ in range(2)]
    until("one has lost", lambda: any(proxy.exit_status() is not None for proxy in both), within_s=SOON_S)
    (loser,) = (proxy for proxy in both if proxy.exit_status() is not None)
    (winner,) = (proxy for proxy in both if proxy is not loser)
    assert loser.exit_status() == 75
    assert str(port) in loser.stderr.read_text()
    assert not shared or f"(pid {winner.pid})" in loser.stderr.read_text()
    assert winner.wait_ready().health().status == 200


@pytest.mark.parametrize("variable", ["LUMEN_STATE_DIR", "LUMEN_LOG_DIR"])
def test_a_folder_that_cannot_be_made_is_73(launch: Launcher, tmp_path: Path, variable: str) -> None:
    """A folder that cannot be created is 73, with one line that names the folder and its variable."""
    (tmp_path / "file").touch()
    done = launch.run("serve", "--port", "0", env={variable: str(tmp_path / "file" / "below")})
    (line,) = done.stderr.splitlines()
    assert done.exit_status == 73
    assert line.startswith(f"lumen-proxy: cannot write in {tmp_path / 'file' / 'below'}: ")
    assert variable in line


def test_closed_output_does_not_end_the_proxy(launch: Launcher) -> None:
    """A proxy with closed standard streams serves and restarts its worker."""
    command = ("/bin/sh", "-c", f'exec "{sys.executable}" "{SUPERVISE}" {{port}} <&- >&- 2>&-')
    proxy = launch(target=Target(command=command))
    psutil.Process(proxy.health().pid).kill()
    assert proxy.health().generation == 2


def test_idle_means_idle(start: Start) -> None:
    """An idle supervisor has no context switches."""
    proxy = start()
    proxy.health()
    process = psutil.Process(proxy.pid)
    before = process.num_ctx_switches().voluntary
    for _ in range(50):
        proxy.health()
    assert process.num_ctx_switches().voluntary == before
