"""The supervisor with real processes and signals, and with a fake worker that only implements the messages."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

import psutil
import pytest

from lumen_conformance.processes.child_process import WINDOWS
from lumen_conformance.targets.launch import Launcher
from lumen_conformance.targets.target import Target
from lumen_conformance.waiting import until
from tests.unit.proxy.supervised import SOON_S, SUPERVISE, Start, event_names

pytestmark = pytest.mark.skipif(WINDOWS, reason="the pretended worker takes descriptors; Windows shares sockets")


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
    """The ready line is ASCII and printed once, for the first worker that serves: here the second one."""
    proxy = start("die-at-promotion", "1")
    psutil.Process(proxy.health().pid).kill()
    assert proxy.health().generation == 3
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
    report = next(line for line in proxy.stderr.read_text().splitlines() if "invalid message" in line)
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


def test_boots_that_hang_end_with_the_reason(start: Start) -> None:
    """Boots that are never ready reach the limit however long they take; the record of the end has the reason."""
    limits = {"BOOT_S": "0.2", "LUMEN_MAX_RESTARTS": "3", "LUMEN_RESTART_WINDOW_S": "0.1"}
    proxy = start("never-imported", ready=False, **limits, LUMEN_RESTART_BACKOFF_S="0.01")
    assert proxy.wait_exit(SOON_S) == 70
    (gave_up,) = proxy.journal.events(name="gave_up")
    count = "3 boots in a row were not ready within 0.2 s"
    assert (gave_up["deaths"], gave_up["reason"]) == (3, count)
    assert len(proxy.journal.events(name="worker_died")) == 3
    assert is_free(proxy.port)
    (record,) = proxy.state_dir.glob("ended-*.json")
    pid = proxy.journal.events(name="worker_died")[-1]["pid"]
    what = json.loads(record.read_text())["ended"]["what"]
    assert what == f"{count}; last: worker {pid} was not ready within 0.2 s"


def test_the_next_start_clears_the_reason(start: Start, tmp_path: Path) -> None:
    """The record of an unexpected end is removed when the next instance on the port is ready."""
    env = {"LUMEN_STATE_DIR": str(tmp_path), "LUMEN_RESTART_BACKOFF_S": "0"}
    failed = start("die-at-boot", "69", ready=False, **env)
    assert failed.wait_exit(SOON_S) == 69
    assert event_names(failed) == ["started", "worker_spawned", "worker_died", "stopped"]
    (record,) = tmp_path.glob("ended-*.json")
    assert json.loads(record.read_text())["ended"]["what"].startswith("the worker ended with exit status 69")
    start(port=int(record.stem.rpartition("-")[2]), **env)
    assert not record.exists()


def test_old_files_do_not_prevent_a_start(start: Start, launch: Launcher, tmp_path: Path) -> None:
    """The files of an instance whose PID belongs to another process now are replaced, and removed at the end."""
    port = launch.reserve_port()
    url = f"http://127.0.0.1:{port}"
    left = {
        "instance": "abc", "pid": 1, "start_time": 1.0, "host": "localhost", "hosts": ["127.0.0.1"], "port": port,
        "generation": 1, "url": url, "drain_s": 30.0, "gateway_url": url, "cloud_ai_url": "none", "sandbox": False,
    }  # fmt: skip
    (tmp_path / f"proxy-{port}.json").write_text(json.dumps(left))
    (tmp_path / f"proxy-{port}.lock").write_text(json.dumps({"pid": 1, "start_stamp": 1.0}))
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


def test_a_standby_takes_over(start: Start) -> None:
    """The process that waited serves as the next generation, and another one waits after it."""
    proxy = start()
    standby = proxy.journal.until("standby_ready", within_s=SOON_S)["pid"]
    mark = proxy.journal.mark()
    psutil.Process(proxy.health().pid).kill()
    health = proxy.health()
    assert (health.pid, health.generation) == (standby, 2)
    assert proxy.journal.until("standby_ready", since=mark, within_s=SOON_S)["pid"] != standby


def test_a_standby_that_dies_is_replaced_and_the_worker_stays(start: Start) -> None:
    """The death of a standby is written to the journal; the worker is the same."""
    proxy = start()
    worker = proxy.health().pid
    standby = proxy.journal.until("standby_ready", within_s=SOON_S)["pid"]
    mark = proxy.journal.mark()
    psutil.Process(standby).kill()
    died = proxy.journal.until("standby_died", since=mark, within_s=SOON_S)
    assert (died["pid"], died["signal"]) == (standby, 9)
    proxy.journal.until("standby_ready", since=mark, within_s=SOON_S)
    assert (proxy.health().pid, proxy.journal.events(name="worker_died")) == (worker, ())


def test_idle_means_idle(start: Start) -> None:
    """Between two ticks of the watchdog an idle supervisor has no context switches."""
    proxy = start(LUMEN_WATCHDOG_S="86400")
    proxy.journal.until("standby_ready", within_s=SOON_S)
    proxy.health()
    process = psutil.Process(proxy.pid)
    before = process.num_ctx_switches().voluntary
    for _ in range(50):
        proxy.health()
    assert process.num_ctx_switches().voluntary == before
