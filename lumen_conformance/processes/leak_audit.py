"""After every test: nothing of ours that no fixture answers for. A test that leaks is an ERROR, itself.

Looked for are processes with the tag of this worker, daemons among them; children of this process without such a tag;
ports on which this process listens; and files in the folder of the suite. What was there before the first test is
nobody's leak, and nothing is ever touched that is not of this run. At the end the controller looks once more, for
workers that were killed.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from lumen_conformance.processes import own_resources
from lumen_conformance.processes.child_process import Leaked
from lumen_conformance.processes.process_tree import ProcessRef, find_tagged, kill_all, list_tree, read_tag
from lumen_conformance.run import ALONE, Run, is_controller, run_of

START_EVENTS = frozenset({"subprocess.Popen", "os.posix_spawn", "os.fork", "os.forkpty", "os.spawn", "os.startfile"})


class StartMonitor:
    """Whether this process has started another, or bound a socket, since the last look: most tests cost no scan."""

    def __init__(self) -> None:
        self.some = False
        self.bound = False
        sys.addaudithook(self._hook)

    def _hook(self, event: str, _args: tuple[object, ...]) -> None:
        if event in START_EVENTS:
            self.some = True
        elif event == "socket.bind":
            self.bound = True


@dataclass
class InitialResources:
    """What was there before the first test, and what has been told since."""

    folders: frozenset[Path]
    ignored: tuple[str, ...]
    children: frozenset[int]
    ports: frozenset[int]
    entries: frozenset[str]


MONITOR = StartMonitor()
SWEPT = pytest.StashKey[list[str]]()
BEFORE = pytest.StashKey[InitialResources]()


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Let a request to stop end the run as Ctrl-C does: in order, with a report. xdist's workers are ended by it."""
    if hasattr(config, "workerinput"):
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)

    def restore() -> None:
        signal.signal(signal.SIGTERM, before)

    config.add_cleanup(restore)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Look at what is there already."""
    config = session.config
    if is_controller(config):
        return
    folders = frozenset({config.rootpath, config.invocation_params.dir})
    ignored = own_resources.read_gitignore(config.rootpath)
    there = (own_resources.list_child_pids(), own_resources.list_listening_ports(), own_resources.list_entries(folders))
    config.stash[BEFORE] = InitialResources(folders, ignored, *there)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Look when all fixtures of the test have ended."""
    try:
        yield
    finally:
        run, before = run_of(item.config), item.config.stash[BEFORE]
        lines = (_ended(run, before), _listening(run, before), _files(run, before))
        if left := "; ".join(filter(None, lines)):
            raise Leaked(left)


def end_leaked_processes(config: pytest.Config) -> None:
    """Raise `Leaked` if any process was left behind, after ending it."""
    if left := _ended(run_of(config), config.stash[BEFORE]):
        raise Leaked(left)


def _ended(run: Run, before: InitialResources) -> str:
    left = _strays(run, before)
    if MONITOR.some:
        MONITOR.some = bool(run.open_tags)  # a launch that goes on may start a daemon at any time
        left |= {ref: tag for ref, tag in find_tagged(f"{run.id}/{run.worker}/").items() if not run.is_open(tag)}
    lines = [f"pid {ref.pid} ({tag}): {ref.name()}" for ref, tag in left.items()]
    kill_all(left)
    return f"still running, now ended: {'; '.join(lines)}" if lines else ""


def _strays(run: Run, before: InitialResources) -> dict[ProcessRef, str]:
    """Children of this process, and theirs, for whom no fixture answers."""
    found: dict[ProcessRef, str] = {}
    for pid in own_resources.list_child_pids() - before.children - run.open_pids:
        with contextlib.suppress(psutil.Error, OSError):
            tag = read_tag(psutil.Process(pid))
            if not run.is_open(tag):
                family = list_tree(ProcessRef.of(pid))
                found |= {ref: tag or "no tag" for ref in family if ref.state() == "running"}
    return found


def _listening(run: Run, before: InitialResources) -> str:
    """Named and left alone: a thread may be waiting on it. It is told once."""
    if not MONITOR.bound:
        return ""
    ports, MONITOR.bound = own_resources.list_listening_ports(), False
    new, before.ports = ports - before.ports - run.open_ports, before.ports & ports
    before.ports |= new
    return f"still listening: port {', '.join(map(str, sorted(new)))}" if new else ""


def _files(run: Run, before: InitialResources) -> str:
    """Named and left alone: they may be somebody's. They are told once."""
    entries = own_resources.list_entries(before.folders)
    appeared, before.entries = entries - before.entries, entries
    new = [path for path in appeared if not own_resources.is_ignored(path, before.ignored)]
    of_others = "" if run.worker == ALONE else " (by this test, or one of another worker)"
    return f"left in the folder of the suite{of_others}: {', '.join(sorted(new))}" if new else ""


@pytest.hookimpl(
    trylast=True
)  # after xdist has ended its workers, before pytest-html, registered later, writes the page
def pytest_sessionfinish(session: pytest.Session) -> None:
    """End whatever is left of this run, on any worker; the run is red then."""
    config = session.config
    if hasattr(config, "workerinput"):
        return
    left = {ref: f"pid {ref.pid} ({tag}): {ref.name()}" for ref, tag in find_tagged(f"{run_of(config).id}/").items()}
    kill_all(left)
    config.stash[SWEPT] = list(left.values())
    if left and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name what had to be ended."""
    swept = config.stash.get(SWEPT, [])
    if swept:
        terminalreporter.section("left behind by this run, now ended", red=True)
        for line in swept:
            terminalreporter.line(line)
