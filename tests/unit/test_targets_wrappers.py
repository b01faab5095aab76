"""Wrappers and daemons: the launched process is not the server, and still the launch is ready, stops and is gone."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fixtures.foreign.reuseport import WORKERS
from tests.fixtures.outer import run as judged
from tests.fixtures.processes import Launched, Launches
from tests.fixtures.run import Run
from tests.fixtures.targets import Target
from tests.fixtures.waiting import Died, until

pytestmark = pytest.mark.skipif(os.name == "nt", reason="shells and sessions of POSIX")
SERVER = Path(__file__).with_name("plain_server.py")
SERVE = shlex.join([sys.executable, str(SERVER)])
RUNS = "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))"  # a wrapper that passes no signal on
# A wrapper that passes the signal on and does not wait for its server.
PASSES_ON = """
import signal, subprocess, sys
child = subprocess.Popen(sys.argv[1:])
signal.signal(signal.SIGTERM, lambda *_: (child.terminate(), sys.exit(0)))
child.wait()
"""
STOP_S = 5.0  # of a server that ends at once; so a wait for it to be killed is seen
FOREIGN = Target(can=frozenset({"health", "launch"}), foreign=True)
Start = Callable[..., Launched]


@pytest.fixture
def start(run: Run, tmp_path: Path) -> Iterator[Start]:
    """A factory: launch these words."""
    with ExitStack() as stack:

        def launch(*command: str, **variables: str) -> Launched:
            target = replace(FOREIGN, command=command, variables=tuple(variables.items()))
            return stack.enter_context(Launches(run, target, tmp_path / "launch"))()

        yield launch


WRAPPERS = {
    "exec": ("sh", "-c", f"exec {SERVE} {{port}}"),
    "no-exec": ("sh", "-c", f"{SERVE} {{port}}; true"),
    "nested": ("sh", "-c", f"sh -c '{SERVE} {{port}}; true'; true"),
    "deaf": ("sh", "-c", f"trap '' TERM; {SERVE} {{port}}; true"),
    "program": (sys.executable, "-c", RUNS, sys.executable, str(SERVER), "{port}"),
    "restarts": ("sh", "-c", f"sh -c 'while true; do {SERVE} {{port}}; done'; true"),
    "daemon": (sys.executable, str(SERVER), "{port}", "daemon"),
    "nameless": (sys.executable, str(SERVER), "{port}", "nameless"),
    "wrapped-daemon": ("sh", "-c", f"{SERVE} {{port}} daemon; true"),
}


@pytest.mark.parametrize("name", WRAPPERS)
def test_a_launch_is_all_its_processes(start: Start, name: str) -> None:
    """It is ready when one of its processes serves; asked to stop it leaves nobody, which is no fault of the server."""
    proxy = start(*WRAPPERS[name])
    assert proxy.exit_status() is None
    (server,) = proxy.serving_processes()
    assert proxy.answering_process() == server
    family = proxy.family()
    ending = proxy.end(STOP_S)
    assert (ending.forced, ending.orphans) == (False, ())
    assert [ref for ref in (*family, proxy.ref) if ref.state() == "running"] == []


def test_a_process_that_its_server_leaves(run: Run, tmp_path: Path) -> None:
    """What a wrapped server leaves is an orphan of the server, and ended; check A3 judges it, so nothing is raised."""
    target = replace(FOREIGN, command=("sh", "-c", f"{SERVE} {{port}} leaves; true"))
    with Launches(run, target, tmp_path / "launch") as launches:
        proxy = launches()
        left = proxy.family()[-1]
    assert [each.partition(":")[0] for each in proxy.end().orphans] == [f"pid {left.pid}"]
    assert left.state() != "running"


@pytest.mark.parametrize("wrapped", [False, True], ids=["alone", "in-a-shell"])
def test_workers_that_their_supervisor_leaves(run: Run, tmp_path: Path, wrapped: bool) -> None:  # noqa: FBT001 -- a row
    """Workers that share the port by SO_REUSEPORT are orphans when their supervisor ends before them."""
    words = (sys.executable, "-m", "tests.fixtures.foreign.reuseport", "{host}", "{port}", "leaves-workers")
    command = ("sh", "-c", f"{shlex.join(words)}; true") if wrapped else words
    with Launches(run, replace(FOREIGN, command=command), tmp_path / "launch") as launches:
        proxy = launches()
        until("both workers listen", lambda: len(proxy.listeners()) == WORKERS, within_s=STOP_S)
        workers = proxy.listeners()
    left = {each.partition(":")[0] for each in proxy.end().orphans}
    assert left == {f"pid {ref.pid}" for ref in workers}
    assert proxy.family() == ()


HASTY = {
    "alone": (sys.executable, str(SERVER), "{port}", "hasty"),
    "program": (sys.executable, "-c", RUNS, sys.executable, str(SERVER), "{port}", "hasty"),
    "passes-on": (sys.executable, "-c", PASSES_ON, sys.executable, str(SERVER), "{port}", "hasty"),
    "passes-on-below-a-shell": (
        "sh", "-c", shlex.join([sys.executable, "-c", PASSES_ON, sys.executable, str(SERVER)]) + " {port} hasty; true",
    ),
}  # fmt: skip


@pytest.mark.parametrize("asked_before", [False, True], ids=["at-the-end", "before"])
@pytest.mark.parametrize("name", HASTY)
def test_a_server_is_asked_to_stop_once(start: Start, name: str, asked_before: bool) -> None:  # noqa: FBT001 -- a row
    """A server that ends at once when it is asked again still ends in order, whoever asks it first."""
    proxy = start(*HASTY[name])
    if asked_before:
        proxy.stop()
    ending = proxy.end(STOP_S)
    assert (ending.forced, ending.orphans) == (False, ())


def test_a_wrapped_server_that_does_not_stop(start: Start) -> None:
    """A wrapped server that ignores the request is killed, and told apart from one that stops."""
    proxy = start("sh", "-c", f"{SERVE} {{port}} stubborn; true")
    assert proxy.end(within_s=0.5).forced
    assert proxy.family() == ()


def test_a_daemon_that_dies(start: Start) -> None:
    """When a daemon ends, its launch has ended, with the exit status of the launched process."""
    proxy = start(*WRAPPERS["daemon"])
    proxy.worker().kill()
    assert proxy.wait_exit(STOP_S) == 0


def test_an_end_that_leaves_nobody_who_serves(run: Run, tmp_path: Path) -> None:
    """An exit status other than 0 is told at once, whoever is left; those are ended without a word."""
    target = replace(FOREIGN, command=("sh", "-c", "sleep 3600 & exit 3"))
    with Launches(run, target, tmp_path / "launch") as launches, pytest.raises(Died, match="exit status 3"):
        launches()


def test_checks_of_a_daemon(tmp_path: Path) -> None:
    """A daemon passes the checks of the process, as a server in the foreground does."""
    ended = judged(
        tmp_path, f"--proxy-command={SERVE} {{port}} daemon", "-n0", tests=("tests/contract/test_a_process.py",)
    )
    assert (ended.status, ended.ids("passed")) == (0, {"A1", "A3"}), ended.output


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
@pytest.mark.parametrize("words", [("npm", "--prefix", "{folder}", "start"), ("npx", "--prefix", "{folder}", "serve")])
def test_wrappers_of_node(start: Start, tmp_path: Path, words: tuple[str, ...]) -> None:
    """`npm start` and `npx` put a shell between themselves and the server; the launch stops as a whole."""
    package = {"name": "p", "version": "1.0.0", "scripts": {"start": f"{SERVE} $PROXY_PORT"}}
    (tmp_path / "package.json").write_text(json.dumps(package), "utf-8")
    program = tmp_path / "node_modules" / ".bin" / "serve"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\n{SERVE} $PROXY_PORT\ntrue\n", "utf-8")
    program.chmod(0o755)
    command = [word.replace("{folder}", str(tmp_path)) for word in words]
    proxy = start(*command, npm_config_offline="true", npm_config_update_notifier="false")
    family = proxy.family()
    assert len(family) > 1
    ending = proxy.end(STOP_S)
    assert (ending.forced, ending.orphans) == (False, ())
    assert [ref for ref in family if ref.state() == "running"] == []
