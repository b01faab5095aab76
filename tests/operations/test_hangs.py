"""A worker that hangs is replaced, and only such a worker: real processes, real signals, and what commands show."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from lumen_conformance.gateway.replies import silent
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.inject import lumen_guard
from lumen_conformance.processes.child_process import WINDOWS
from lumen_conformance.processes.process_tree import ProcessRef
from lumen_conformance.targets.launch import LaunchedTarget, Launcher
from lumen_conformance.waiting import until
from tests.operations.conftest import SOON_S, Desk
from tests.operations.observed import health, state_file, status

pytestmark = pytest.mark.skipif(WINDOWS, reason="no signals between processes there")

LIMIT_S = 1.0  # a worker that works is silent for far less than three quarters of it, on a busy machine too
LIMIT = {"LUMEN_WATCHDOG_S": f"{LIMIT_S:g}"}
NEVER = "86400"  # seconds: the longest time that the setting accepts
CANARY = "canary-of-a-user"
FAULTS = """
import signal, threading, time

def spin(*_):
    while True:
        pass

def hold(*_):
    import ctypes
    ctypes.PyDLL(None).sleep(600)  # a call in C that keeps the interpreter from all other threads

def compute(*_):
    threading.Thread(target=start, daemon=True).start()

def start():
    for _ in range(4):
        threading.Thread(target=spin, daemon=True).start()

def step(*_):
    real = time.time
    time.time = lambda: real() - 86400

signal.signal(signal.SIGUSR2, {name})
"""


def with_fault(folder: Path, name: str, **env: str) -> dict[str, str]:
    """The environment of a proxy whose main threads call this function of FAULTS at SIGUSR2."""
    (folder / "sitecustomize.py").write_text(FAULTS.replace("{name}", name))
    return {"PYTHONPATH": os.pathsep.join([lumen_guard.HERE, str(folder)]), **env}


def pass_time(seconds: float) -> None:
    """Let this time pass: what must not happen within it is the subject of the test."""
    end = time.monotonic() + seconds
    until(f"{seconds:g} s have passed", lambda: time.monotonic() >= end, within_s=seconds + SOON_S)


def expect_same_worker(proxy: LaunchedTarget, before: int) -> None:
    """The worker answers, and no worker has ended."""
    assert proxy.health().pid == before
    names = [event.name for event in proxy.journal.events()]
    assert not {"worker_hung", "worker_died"} & set(names), names


def test_a_stopped_worker_is_replaced(desk: Desk) -> None:
    """The journal has its state in the place of a stack, it is never continued, and the last failure names it."""
    desk.run("start", env=LIMIT)
    worker = ProcessRef.of(health(desk)["pid"])
    worker.suspend()
    until("another worker answers", lambda: health(desk).get("restarts") == 1, within_s=SOON_S)
    assert worker.state() != "running"
    journal = _journal(desk)
    hung = next(event for event in journal if event["event"] == "worker_hung")
    died = next(event for event in journal if event["event"] == "worker_died")
    assert {"pid": worker.pid, "generation": 1, "process_state": "stopped", "stack": None}.items() <= hung.items()
    assert {"pid": worker.pid, "generation": 1, "signal": 9, "was_serving": True}.items() <= died.items()
    assert hung["mono"] <= died["mono"]
    shown = status(desk)
    text = rf"hung worker {worker.pid} was replaced: silent for \d+\.\d s, process state stopped at \d\d:\d\d:\d\d"
    assert re.fullmatch(text, shown["last_failure"])
    assert (shown["condition"], shown["hang"]) == ("running", None)


def _journal(desk: Desk) -> list[dict[str, Any]]:
    path = Path(str(desk.env["LUMEN_LOG_DIR"])) / f"journal-{desk.port}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("fault", ["spin", "hold"])
def test_a_spinning_worker_writes_its_stack(
    launch: Launcher, gateway: ScriptedGateway, tmp_path: Path, fault: str
) -> None:
    """Also if C code never releases the interpreter; the journal has module, line and function, and no user's word."""
    gateway.standing = silent
    proxy = launch(gateway=gateway, env=with_fault(tmp_path, fault, **LIMIT))
    worker = proxy.worker()
    pool = ThreadPoolExecutor(1)
    cut = pool.submit(proxy.chat, CANARY, timeout_s=SOON_S)
    gateway.until_called()
    os.kill(worker.pid, signal.SIGUSR2)
    hung = proxy.journal.until("worker_hung", within_s=SOON_S)
    proxy.journal.until("worker_died", within_s=SOON_S)
    assert hung["pid"] == worker.pid
    assert hung["process_state"] in {"running", "sleeping"}  # the C code sleeps
    stack = hung["stack"]
    assert re.match(rf"sitecustomize\.py:\d+ {fault} < .*lumen_proxy/worker/http/server\.py:\d+ _turn < ", stack[0])
    assert any("lumen_proxy/worker/upstream/pool.py" in line for line in stack), "the thread of the chat"
    log = b"".join(path.read_bytes() for path in proxy.journal.folder.iterdir())
    assert CANARY.encode() not in log + proxy.stderr.read_bytes()
    assert str(tmp_path) not in json.dumps(stack)
    assert cut.result(SOON_S).ended != "complete"
    pool.shutdown()
    assert proxy.health().generation == 2


@pytest.mark.parametrize("first", ["supervisor", "worker"])
def test_suspended_together_is_no_hang(launch: Launcher, first: str) -> None:
    """Supervisor and worker are suspended for three times the limit: the same worker answers, whoever resumes first."""
    proxy = launch(env=LIMIT)
    worker = proxy.worker()
    both = [proxy.ref, worker]
    for process in both:
        process.suspend()
    pass_time(3 * LIMIT_S)
    for process in both if first == "supervisor" else both[::-1]:
        process.resume()
    pass_time(2 * LIMIT_S)
    expect_same_worker(proxy, worker.pid)


@pytest.mark.parametrize("fault", ["compute", "step"])
def test_a_busy_worker_is_no_hang(launch: Launcher, gateway: ScriptedGateway, tmp_path: Path, fault: str) -> None:
    """Threads compute, or the clocks of both step back a day; calls of a gateway that never answers hold threads."""
    gateway.standing = silent
    env = with_fault(tmp_path, fault, LUMEN_MAX_CONCURRENCY="2", LUMEN_MAX_QUEUE="2", **LIMIT)
    proxy = launch(gateway=gateway, env=env)
    worker = proxy.worker()
    pool = ThreadPoolExecutor(4)
    calls = [pool.submit(proxy.chat, "?", timeout_s=SOON_S) for _ in range(4)]
    gateway.until_called()
    for process in (worker, proxy.ref) if fault == "step" else (worker,):
        os.kill(process.pid, signal.SIGUSR2)
    pass_time(3 * LIMIT_S)
    expect_same_worker(proxy, worker.pid)
    worker.kill()
    assert all(call.result(SOON_S).status != 200 for call in calls)
    pool.shutdown()


def test_a_journal_that_cannot_be_written_changes_nothing(launch: Launcher, tmp_path: Path) -> None:
    """Without a journal a worker that answers is not replaced, and a stopped one is."""
    logs = tmp_path / "logs"
    proxy = launch(env={"LUMEN_LOG_DIR": str(logs), **LIMIT})
    worker = proxy.worker()
    logs.rename(tmp_path / "before")
    logs.touch()  # a file: the folder cannot be made again, not even by root
    pass_time(2 * LIMIT_S)
    assert proxy.health().pid == worker.pid
    worker.suspend()
    assert until("another worker answers", lambda: proxy.health().pid != worker.pid, within_s=SOON_S)


def test_a_hang_is_shown_while_it_lasts(desk: Desk) -> None:
    """status, ps, diagnose and dashboard say since when the worker is silent, and when it is replaced."""
    desk.run("start", "--watchdog-s", NEVER, "--drain-s", "0.1")
    worker = psutil.Process(health(desk)["pid"])
    worker.suspend()
    recorded = json.loads(state_file(desk).read_text())
    hang = {"worker_pid": worker.pid, "since_mono": time.monotonic() - 3.0, "watchdog_s": 60.0}
    state_file(desk).write_text(json.dumps(recorded | {"phase": "hung", "hang": hang}))
    shown = status(desk)
    assert (shown["condition"], shown["state"], shown["worker_pid"]) == ("silent", "hung", worker.pid)
    assert shown["hang"]["worker_pid"] == worker.pid
    assert 3.0 <= shown["hang"]["silent_s"] <= 60.0
    assert math.isclose(shown["hang"]["silent_s"] + shown["hang"]["replaced_within_s"], 60.0, abs_tol=0.01)
    text = rf"the worker \(pid {worker.pid}\) has not answered for \d+ s; the watchdog replaces it within \d+ s"
    done = desk.run("status")
    assert done.exit_status == 69
    assert re.search(rf"^hang +{text}$", done.stdout, re.MULTILINE)
    assert re.search(r" hung ", desk.run("ps").stdout)
    proxy = desk.diagnose("--no-start")["proxy"]
    assert re.fullmatch(text, proxy["said"])
    assert (proxy["state"], proxy["facts"]["worker_pid"]) == ("down", worker.pid)
    for command in (("diagnose", "--no-start"), ("dashboard",)):
        assert re.search(text, " ".join(desk.run(*command, env={"COLUMNS": "200"}).stdout.split()))
