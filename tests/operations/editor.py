"""Runs tasks as Visual Studio Code does: reads a task, runs it in a terminal, and matches its output line by line.

Source of the rules: the tasks appendix of its documentation (version 2.0.0): an entry for the system overrides the
command and keeps the arguments; a task of type `process` is launched without a shell, in a terminal.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from lumen_conformance.processes.child_process import WINDOWS, ChildProcess
from lumen_conformance.targets.launch import Launcher
from lumen_conformance.targets.target import merge
from lumen_conformance.waiting import until
from tests.fixtures.repository import ROOT
from tests.operations.conftest import Desk

FOLDER = ROOT / ".vscode"
SOON_S = 30.0  # a cold start takes 0.3 s here, a hundred times that
TASK_S = 120.0  # a suite of one check takes 3 s here
ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[a-zA-Z]|[=>])")
# A terminal as the editor gives one; on Windows the output goes to a file, as there is no pty.
IN_A_TERMINAL = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
TERMINAL = () if WINDOWS else (sys.executable, "-c", IN_A_TERMINAL)


@cache
def tasks() -> dict[str, dict[str, Any]]:
    """The tasks by their labels."""
    found: list[dict[str, Any]] = json.loads((FOLDER / "tasks.json").read_text("utf-8"))["tasks"]
    return {task["label"]: task for task in found}


def command(task: Mapping[str, Any], *, windows: bool = WINDOWS) -> str:
    """The program of a task on POSIX or on Windows, relative to the workspace."""
    program: str = (task["windows"] if windows else task)["command"]
    return program.removeprefix("${workspaceFolder}").replace("\\", "/").strip("/")


def lines_of(child: ChildProcess) -> list[str]:
    """The output of a process in a terminal, both streams, without escape sequences."""
    data = b"\n".join(path.read_bytes() for path in (child.stderr, child.stdout))
    return [ESCAPES.sub("", line) for line in re.split(r"[\r\n]+", data.decode("utf-8", "replace"))]


def problems(task: Mapping[str, Any], lines: Sequence[str]) -> list[tuple[str, int, str]]:
    """The problems that the editor lists: file, line and message of each output line that matches."""
    patterns = [matcher["pattern"] for matcher in task["problemMatcher"]]
    found = [
        (pattern, match) for line in lines for pattern in patterns if (match := re.search(pattern["regexp"], line))
    ]
    return [(match[p["file"]], int(match[p["line"]]), match[p["message"]]) for p, match in found]


class Running:
    """One task in its terminal."""

    def __init__(self, label: str, child: ChildProcess) -> None:
        self.task = tasks()[label]
        self.child = child

    def lines(self) -> list[str]:
        """The output of the task, both streams, without escape sequences."""
        return lines_of(self.child)

    def matches(self, pattern: str) -> list[int]:
        """The numbers of the lines that match a pattern."""
        return [number for number, line in enumerate(self.lines()) if re.search(pattern, line)]

    def until_ready(self) -> None:
        """Wait for the pattern by which the editor knows that a background task is ready."""
        pattern = self.task["problemMatcher"]["background"]["endsPattern"]
        what = f"a line matches {pattern}"
        until(what, lambda: self.matches(pattern), within_s=SOON_S, give_up=self.child.end_reason)

    def end(self) -> int:
        """Wait until it has ended; return its exit status."""
        return self.child.wait_exit(TASK_S)


def run(desk: Desk, label: str, env: Mapping[str, str] | None = None) -> Running:
    """Run a task as the editor does, but with this Python and with the settings of the desk."""
    return Running(label, run_python(desk, label, tasks()[label]["args"], env or {}))


def run_python(
    desk: Desk, label: str, arguments: Sequence[str], env: Mapping[str, str], cwd: Path = ROOT
) -> ChildProcess:
    """Run Python with these arguments in a terminal, with the settings of the desk."""
    files = desk.launch.target.environ(desk.folder / "files", desk.gateway.url)
    environ = merge(os.environ, files, desk.env, {"TERM": "xterm-256color"}, env)
    return run_in_terminal(desk.launch, label, arguments, environ, cwd)


def run_in_terminal(
    launch: Launcher, label: str, arguments: Sequence[str], environ: Mapping[str, str], cwd: Path
) -> ChildProcess:
    """Run Python with these arguments in a terminal."""
    argv = [*TERMINAL, sys.executable, *arguments]
    return launch.keep(ChildProcess(launch.run_tags, label, argv, environ, launch.next_folder(), cwd=cwd))
