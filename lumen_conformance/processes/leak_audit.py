"""The audit of leaks: a test that leaves a process, a listening socket or a file behind is an ERROR.

After each test the audit looks for processes with the tag of this worker, also daemons; for children of this process
without such a tag; for ports on which this process listens; and for files in the folders in which only the suite
writes. What existed before the first test is no leak, and what open fixtures have started is none. The audit ends
nothing but processes of this run. At the end of the run the controller looks for processes of killed workers.
"""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from lumen_conformance.processes import own_resources, reaper
from lumen_conformance.processes.child_process import Leaked
from lumen_conformance.processes.process_tree import ProcessRef, find_tagged, kill_all, list_tree, read_tag_of_child
from lumen_conformance.run import ALONE, Run, is_controller, run_of

START_EVENTS = frozenset({"subprocess.Popen", "os.posix_spawn", "os.fork", "os.forkpty", "os.spawn", "os.startfile"})


class StartMonitor:
    """Records whether this process has started a process or bound a socket: without one no scan is needed."""

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
    """What existed before the first test, and what has been reported since."""

    folders: frozenset[Path]
    ignored: tuple[str, ...]
    children: frozenset[int]
    ports: frozenset[int]
    entries: frozenset[str]
    launches: frozenset[str] = frozenset()  # the open tags at the last look


MONITOR = StartMonitor()
SWEPT = pytest.StashKey[list[str]]()
BEFORE = pytest.StashKey[InitialResources]()


def record_existing(session: pytest.Session, folders: frozenset[Path]) -> None:
    """Look at what is there already; new files are leaks in these folders only."""
    config = session.config
    if is_controller(config):
        return
    ignored = own_resources.read_gitignore(config.rootpath)
    there = (own_resources.list_child_pids(), own_resources.list_listening_ports(), own_resources.list_entries(folders))
    config.stash[BEFORE] = InitialResources(folders, ignored, *there)


def check(item: pytest.Item) -> None:
    """Look when all fixtures of the test have ended."""
    run, before = run_of(item.config), item.config.stash[BEFORE]
    lines = (_end_processes(run, before), _report_ports(run, before), _report_files(run, before))
    if left := "; ".join(filter(None, lines)):
        raise Leaked(left)


def end_leaked_processes(config: pytest.Config) -> None:
    """End the processes that were left behind; raise `Leaked` if there was one."""
    if left := _end_processes(run_of(config), config.stash[BEFORE]):
        raise Leaked(left)


def _end_processes(run: Run, before: InitialResources) -> str:
    left = _find_children(run, before)
    # A process has the tag of its parent. So there is a new leak only after a start here, or the end of a launch.
    if MONITOR.some or before.launches - run.open_tags:
        left |= {ref: tag for ref, tag in find_tagged(f"{run.id}/{run.worker}/").items() if not run.is_open(tag)}
    MONITOR.some, before.launches = False, run.open_tags
    lines = [f"pid {ref.pid} ({tag}): {ref.command_line()}" for ref, tag in left.items()]
    kill_all(left)
    return f"still running, now ended: {'; '.join(lines)}" if lines else ""


def _find_children(run: Run, before: InitialResources) -> dict[ProcessRef, str]:
    """Return the descendants of this process that no open fixture has started."""
    found: dict[ProcessRef, str] = {}
    for pid in own_resources.list_child_pids() - before.children - run.open_pids:
        with contextlib.suppress(psutil.Error, OSError):
            tag = read_tag_of_child(psutil.Process(pid))
            if not run.is_open(tag):
                processes = list_tree(ProcessRef.of(pid))
                found |= {ref: tag or "no tag" for ref in processes if ref.state() == "running"}
    return found


def _report_ports(run: Run, before: InitialResources) -> str:
    """Return a sentence about new listening sockets. They stay open, as a thread may wait on them."""
    if not MONITOR.bound:
        return ""
    ports, MONITOR.bound = own_resources.list_listening_ports(), False
    new, before.ports = ports - before.ports - run.open_ports, before.ports & ports
    before.ports |= new
    return f"still listening: port {', '.join(map(str, sorted(new)))}" if new else ""


def _report_files(run: Run, before: InitialResources) -> str:
    """Return a sentence about new files. They stay, as they may be those of a user."""
    entries = own_resources.list_entries(before.folders)
    appeared, before.entries = entries - before.entries, entries
    new = [path for path in appeared if not own_resources.is_ignored(path, before.ignored)]
    other_workers = "" if run.worker == ALONE else " (by this test, or one of another worker)"
    return f"left in the folder of the suite{other_workers}: {', '.join(sorted(new))}" if new else ""


def end_leftovers(session: pytest.Session) -> None:
    """End whatever is left of this run, on any worker; the run is red then."""
    config = session.config
    if hasattr(config, "workerinput"):
        return
    left = {
        ref: f"pid {ref.pid} ({tag}): {ref.command_line()}" for ref, tag in find_tagged(f"{run_of(config).id}/").items()
    }
    kill_all(left)
    config.stash[SWEPT] = list(left.values())
    if left and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def print_section(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name what had to be ended, each process once: the helper of a killed worker may have found it, too."""
    if lines := dict.fromkeys((*config.stash.get(SWEPT, []), *reaper.list_killed(config))):
        terminalreporter.section("left behind by this run, now ended", red=True)
        for line in lines:
            terminalreporter.line(line)
