"""Launched processes end when the pytest process that launched them ends, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import psutil
import pytest

from lumen_conformance.processes.process_tree import ProcessRef, kill_all, list_running, list_tree
from lumen_conformance.waiting import until
from tests.unit.conformance.plugin_run import PluginRun

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no signals of this kind")

WORKERS = 2
START_S = 60.0  # two starts of pytest and of the proxy take 2 s; the rest is for a busy machine
END_S = 30.0  # execnet kills its workers after 1 to 15 s; then a scan of all processes takes less than one second

INTERRUPT_NOTE = """
    import os
    from pathlib import Path

    def pytest_keyboard_interrupt():
        Path(os.environ["TALLY"]).with_name("interrupted").touch()
"""
LAUNCH = """
    import os, threading
    from pathlib import Path
    import pytest

    @pytest.mark.parametrize("number", range(2))
    def test_launches(launch, number):
        "It launches a server, and waits."
        with Path(os.environ["TALLY"]).open("a") as tally:
            tally.write(f"{launch().pid}\\n")
        threading.Event().wait()
"""
LAUNCH_AND_FORK = LAUNCH.replace(
    """            tally.write""",
    """            server = launch()
            if os.fork() == 0:
                # It has copies of all open files of pytest, and outlives it until the server ends.
                from lumen_conformance.waiting import observe
                observe("the server has ended", lambda: server.ref.state() != "running", within_s=120.0)
                os._exit(0)
            tally.write""",
).replace("{launch().pid}", "{server.pid}")
NESTED_LAUNCH = """
    import json, os, subprocess
    import pytest

    @pytest.mark.parametrize("number", range(2))
    def test_runs_pytest(tmp_path, number):
        "It runs pytest."
        (tmp_path / "test_nested.py").write_text(os.environ["NESTED_MODULE"])
        subprocess.run([*json.loads(os.environ["NESTED_COMMAND"]), "-k1", f"--basetemp={tmp_path / 't'}"], cwd=tmp_path)
"""

Act = Callable[[subprocess.Popen[bytes], Path], None]


def interrupt(controller: subprocess.Popen[bytes], _: Path) -> None:
    """Press Ctrl-C once."""
    controller.send_signal(signal.SIGINT)


def interrupt_twice(controller: subprocess.Popen[bytes], folder: Path) -> None:
    """Press Ctrl-C, and again while pytest ends the run."""
    controller.send_signal(signal.SIGINT)
    until("pytest handles the first signal", (folder / "interrupted").exists, within_s=START_S)
    controller.send_signal(signal.SIGINT)


def terminate_twice(controller: subprocess.Popen[bytes], folder: Path) -> None:
    """Send SIGTERM, and again while pytest ends the run."""
    controller.send_signal(signal.SIGTERM)
    until("pytest handles the first signal", (folder / "interrupted").exists, within_s=START_S)
    controller.send_signal(signal.SIGTERM)


def kill(controller: subprocess.Popen[bytes], _: Path) -> None:
    """Kill the controller alone."""
    controller.kill()


def kill_with_workers(controller: subprocess.Popen[bytes], _: Path) -> None:
    """Kill the controller and its workers."""
    workers = psutil.Process(controller.pid).children()
    controller.kill()
    for worker in workers:
        worker.kill()


# A run that launches by itself is ended by its fixtures in all cases but the last two.
CASES = [
    (interrupt, NESTED_LAUNCH), (interrupt_twice, NESTED_LAUNCH), (terminate_twice, NESTED_LAUNCH),
    (kill, NESTED_LAUNCH), (kill_with_workers, NESTED_LAUNCH), (kill_with_workers, LAUNCH),
    (kill_with_workers, LAUNCH_AND_FORK),
]  # fmt: skip
IDS = [
    "interrupt",
    "interrupt-twice",
    "terminate-twice",
    "kill",
    "kill-with-workers",
    "kill-with-workers-alone",
    "kill-with-fork",
]


@pytest.fixture
def plugin_run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> PluginRun:
    """A pytest of its own."""
    return PluginRun(pytester, monkeypatch)


def launched(plugin_run: PluginRun) -> tuple[ProcessRef, ...]:
    """The servers that the run has launched; empty until all of them are ready."""
    pids = plugin_run.lines()
    return tuple(ProcessRef.of(int(pid)) for pid in pids) if len(pids) == WORKERS else ()


def ended(controller: subprocess.Popen[bytes]) -> Callable[[], str | None]:
    """Return a probe that gives the reason why no server starts any more."""
    return lambda: None if controller.poll() is None else f"pytest ended with exit status {controller.poll()}"


@pytest.mark.parametrize(("act", "suite"), CASES, ids=IDS)
def test_no_launched_server_outlives_pytest(plugin_run: PluginRun, act: Act, suite: str) -> None:
    """A parallel run that is interrupted or killed leaves no launched server, not even one of a plugin_run run."""
    plugin_run.write_conftest(dedent(INTERRUPT_NOTE))
    with plugin_run.start(suite, "-n2", NESTED_MODULE=dedent(LAUNCH)) as controller:
        servers = until(
            "both servers are ready", lambda: launched(plugin_run), within_s=START_S, give_up=ended(controller)
        )
        family = (*servers, *list_tree(ProcessRef.of(controller.pid)))
        act(controller, plugin_run.tally.parent)
        controller.wait(END_S)
    try:
        until("the launched servers have ended", lambda: not list_running(servers), within_s=END_S)
        until("the workers of pytest have ended", lambda: not list_running(family), within_s=END_S)
    finally:
        kill_all(family)
