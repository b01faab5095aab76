"""Wrappers and daemons: the launched process is not the server, and the launch becomes ready, stops and ends."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from lumen_conformance.processes.child_process import ProcessEnd
from lumen_conformance.processes.process_tree import ProcessRef, list_running
from lumen_conformance.run import Run
from lumen_conformance.targets.launch import LaunchedTarget, Launcher
from lumen_conformance.targets.target import Target
from lumen_conformance.waiting import WaitEndedError, until
from tests.fixtures.foreign.reuseport import WORKERS
from tests.fixtures.suite_subprocess import run as judged

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
AT_ONCE = 4  # so many wait at the same time; more would make each other's starts slow
FOREIGN = Target(can=frozenset({"health", "launch"}), foreign=True)
Start = Callable[..., LaunchedTarget]


@pytest.fixture
def start(run: Run, tmp_path: Path) -> Iterator[Start]:
    """A factory: launch this command."""
    with ExitStack() as stack:

        def launch(*command: str, **variables: str) -> LaunchedTarget:
            target = replace(FOREIGN, command=command, variables=tuple(variables.items()))
            return stack.enter_context(Launcher(run, target, tmp_path / "launch"))()

        yield launch


WRAPPERS = {
    "exec": ("sh", "-c", f"exec {SERVE} {{port}}"),
    "no-exec": ("sh", "-c", f"{SERVE} {{port}}; true"),
    "nested": ("sh", "-c", f"{shlex.join(['sh', '-c', f'{SERVE} {{port}}; true'])}; true"),
    "deaf": ("sh", "-c", f"trap '' TERM; {SERVE} {{port}}; true"),
    "program": (sys.executable, "-c", RUNS, sys.executable, str(SERVER), "{port}"),
    "restarts": ("sh", "-c", f"{shlex.join(['sh', '-c', f'while true; do {SERVE} {{port}}; done'])}; true"),
    "daemon": (sys.executable, str(SERVER), "{port}", "daemon"),
    "nameless": (sys.executable, str(SERVER), "{port}", "nameless"),
    "wrapped-daemon": ("sh", "-c", f"{SERVE} {{port}} daemon; true"),
}


LEAVES = ("sh", "-c", f"{SERVE} {{port}} leaves; true")
SHARING = (sys.executable, "-m", "tests.fixtures.foreign.reuseport", "{host}", "{port}", "leaves-workers")
HASTY = {
    "alone": (sys.executable, str(SERVER), "{port}", "hasty"),
    "program": (sys.executable, "-c", RUNS, sys.executable, str(SERVER), "{port}", "hasty"),
    "passes-on": (sys.executable, "-c", PASSES_ON, sys.executable, str(SERVER), "{port}", "hasty"),
    "passes-on-below-a-shell": (
        "sh", "-c", shlex.join([sys.executable, "-c", PASSES_ON, sys.executable, str(SERVER)]) + " {port} hasty; true",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class StoppedLaunch:
    """A launch that is stopped; so many of its processes listen."""

    command: tuple[str, ...]
    asked_before: bool = False
    listeners: int = 1


@dataclass(frozen=True)
class LaunchEvidence:
    """The evidence of a launch until it was stopped, and the processes that run afterwards."""

    status: int | None
    family: tuple[ProcessRef, ...]
    listeners: tuple[ProcessRef, ...]
    serving: tuple[ProcessRef, ...]
    answering: ProcessRef | None
    ending: ProcessEnd
    left: tuple[ProcessRef, ...]


ROWS = {
    **{name: StoppedLaunch(words) for name, words in WRAPPERS.items()},
    **{f"hasty-{name}-at-the-end": StoppedLaunch(words) for name, words in HASTY.items()},
    **{f"hasty-{name}-before": StoppedLaunch(words, asked_before=True) for name, words in HASTY.items()},
    "leaves": StoppedLaunch(LEAVES),
    "sharing-alone": StoppedLaunch(SHARING, listeners=WORKERS),
    "sharing-in-a-shell": StoppedLaunch(("sh", "-c", f"{shlex.join(SHARING)}; true"), listeners=WORKERS),
}


def observe_launch(run: Run, folder: Path, row: StoppedLaunch) -> LaunchEvidence:
    """Launch and stop."""
    with Launcher(run, replace(FOREIGN, command=row.command), folder / "launch") as launches:
        proxy = launches()
        status, family = proxy.exit_status(), proxy.processes()
        until("all listen", lambda: len(proxy.listeners()) == row.listeners, within_s=STOP_S)
        listeners, serving, answering = proxy.listeners(), proxy.serving_processes(), proxy.answering_process()
        if row.asked_before:
            proxy.stop()
        ending = proxy.end(STOP_S)
        left = (*list_running((*family, *listeners, proxy.ref)), *proxy.processes())
    return LaunchEvidence(status, family, listeners, serving, answering, ending, left)


@pytest.fixture(scope="module")
def observed(run: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Future[LaunchEvidence]]:
    """Each of these launches, at the same time: most of the time is a wait for a process that does not stop."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return {
            name: pool.submit(observe_launch, run, tmp_path_factory.mktemp("wrapper"), row)
            for name, row in ROWS.items()
        }


@pytest.mark.parametrize("name", WRAPPERS)
def test_a_launch_is_all_its_processes(observed: dict[str, Future[LaunchEvidence]], name: str) -> None:
    """A launch is ready when one of its processes serves; after a stop none is left, and the server has no fault."""
    found = observed[name].result()
    assert found.status is None
    assert found.serving == (found.answering,)
    assert (found.ending.forced, found.ending.orphans, found.left) == (False, (), ())


def test_a_process_that_its_server_leaves(observed: dict[str, Future[LaunchEvidence]]) -> None:
    """What a wrapped server leaves is an orphan, and is killed; check A3 judges it, so nothing is raised."""
    found = observed["leaves"].result()
    assert [each.partition(":")[0] for each in found.ending.orphans] == [f"pid {found.family[-1].pid}"]
    assert found.left == ()


@pytest.mark.parametrize("name", ["alone", "in-a-shell"])
def test_workers_that_their_supervisor_leaves(observed: dict[str, Future[LaunchEvidence]], name: str) -> None:
    """Workers that share the port by SO_REUSEPORT are orphans when their supervisor ends before them."""
    found = observed[f"sharing-{name}"].result()
    assert {each.partition(":")[0] for each in found.ending.orphans} == {f"pid {ref.pid}" for ref in found.listeners}
    assert found.left == ()


@pytest.mark.parametrize("when", ["at-the-end", "before"])
@pytest.mark.parametrize("name", HASTY)
def test_a_server_is_asked_to_stop_once(observed: dict[str, Future[LaunchEvidence]], name: str, when: str) -> None:
    """A server that ends at once at a second signal still ends in order, as it gets one signal."""
    ending = observed[f"hasty-{name}-{when}"].result().ending
    assert (ending.forced, ending.orphans) == (False, ())


def test_a_wrapped_server_that_does_not_stop(start: Start) -> None:
    """A wrapped server that ignores the signal is killed, and its end says so."""
    proxy = start("sh", "-c", f"{SERVE} {{port}} stubborn; true")
    assert proxy.end(within_s=0.5).forced
    assert proxy.processes() == ()


def test_a_daemon_that_dies(start: Start) -> None:
    """When a daemon ends, its launch has ended, with the exit status of the launched process."""
    proxy = start(*WRAPPERS["daemon"])
    proxy.worker().kill()
    assert proxy.wait_exit(STOP_S) == 0


def test_an_end_that_leaves_nobody_who_serves(run: Run, tmp_path: Path) -> None:
    """An exit status other than 0 is reported at once, whatever is left; that is ended without an error."""
    target = replace(FOREIGN, command=("sh", "-c", "sleep 3600 & exit 3"))
    with Launcher(run, target, tmp_path / "launch") as launches, pytest.raises(WaitEndedError, match="exit status 3"):
        launches()


def test_checks_of_a_daemon(tmp_path: Path) -> None:
    """A daemon passes the checks of the process, as a server in the foreground does."""
    ended = judged(
        tmp_path, f"--proxy-command={SERVE} {{port}} daemon", "-n0", tests=("tests/contract/test_a_process.py",)
    )
    assert (ended.status, ended.ids("passed")) == (0, {"A1", "A3"}), ended.output


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
@pytest.mark.parametrize(
    "command_line", [("npm", "--prefix", "{folder}", "start"), ("npx", "--prefix", "{folder}", "serve")]
)
def test_wrappers_of_node(start: Start, tmp_path: Path, command_line: tuple[str, ...]) -> None:
    """`npm start` and `npx` put a shell between themselves and the server; the launch stops as a whole."""
    package = {"name": "p", "version": "1.0.0", "scripts": {"start": f"{SERVE} $PROXY_PORT"}}
    (tmp_path / "package.json").write_text(json.dumps(package), "utf-8")
    program = tmp_path / "node_modules" / ".bin" / "serve"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\n{SERVE} $PROXY_PORT\ntrue\n", "utf-8")
    program.chmod(0o755)
    command = [word.replace("{folder}", str(tmp_path)) for word in command_line]
    proxy = start(*command, npm_config_offline="true", npm_config_update_notifier="false")
    family = proxy.processes()
    assert len(family) > 1
    ending = proxy.end(STOP_S)
    assert (ending.forced, ending.orphans) == (False, ())
    assert [ref for ref in family if ref.state() == "running"] == []
