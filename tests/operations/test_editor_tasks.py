"""The nine tasks of the editor, each run as the editor runs it."""

from __future__ import annotations

import json
import os
import re
import shutil
import sysconfig
from functools import partial
from pathlib import Path, PureWindowsPath

import pytest

from lumen_conformance.http.client import call
from lumen_conformance.processes.child_process import WINDOWS
from lumen_conformance.targets.journal import JournalReader
from lumen_conformance.targets.launch import Launcher
from lumen_conformance.waiting import until
from tests.fixtures.nested_pytest import read_page
from tests.fixtures.repository import ROOT
from tests.operations import editor
from tests.operations.conftest import Desk

SET_UP = "Lumen: Set Up"
START = "Lumen: Start Local LLM Proxy"
DIAGNOSE = "Lumen: Quick Diagnose All Channels"
STOP = "Lumen: Stop Local LLM Proxy"
HEALTH = "Lumen: Test Proxy Health"
DASHBOARD = "Lumen: System Dashboard"
WATCH = "Lumen: Watch Dashboard"
RECOVERY = "Lumen: Test Proxy Recovery (All)"
KILL = "Lumen: Test Process Kill Recovery"
CONFLICT = "Lumen: Test Port Conflict Handling"

NINE = {
    START: ("build", True),
    DIAGNOSE: ("test", False),
    STOP: ("build", False),
    HEALTH: ("test", False),
    DASHBOARD: ("test", False),
    WATCH: ("test", True),
    RECOVERY: ("test", False),
    KILL: ("test", False),
    CONFLICT: ("test", False),
}
# A suite task, limited to one check: the check and the line that names the selection.
SUITES = {
    RECOVERY: ("3.1-venv-exists", "selection: recovery"),
    KILL: ("1.4-automatic-restart", "selection: scenario 1"),
    CONFLICT: ("2.2-conflict-detected", "selection: scenario 2"),
}


def limited(folder: Path, options: str) -> dict[str, str]:
    """Settings for a suite task: its own report, its own temporary files, fewer checks."""
    (folder / "temporary").mkdir()
    addopts = f"--html={(folder / 'report.html').as_posix()} -p no:cacheprovider {options}"
    return {"PYTEST_ADDOPTS": addopts, "PYTEST_DEBUG_TEMPROOT": str(folder / "temporary")}


def test_nine_labels_and_groups() -> None:
    """The labels, the groups and the background flags of the nine tasks do not change."""
    tasks = {label: task for label, task in editor.tasks().items() if label != SET_UP}
    assert {label: (task["group"], task["isBackground"]) for label, task in tasks.items()} == NINE


def test_each_of_the_nine_sets_up_the_environment_first() -> None:
    """Each task depends on the set-up, which runs with a Python of the system, so that it works in a new clone."""
    assert {editor.tasks()[label]["dependsOn"] for label in NINE} == {SET_UP}
    task = editor.tasks()[SET_UP]
    assert "dependsOn" not in task
    assert (task["command"], task["windows"]["command"]) == ("python3", "py")
    assert [(ROOT / word.removeprefix("${workspaceFolder}/")).is_file() for word in task["args"]] == [True]


PROJECT = """
[project]
name = "tiny"
dependencies = ["other>=1,<2"]
[project.optional-dependencies]
test = ["third [extra]"]
"""
PIP = """
import pathlib, sys, sysconfig
if "install" in sys.argv:
    if pathlib.Path("no-network").exists():
        sys.exit(1)
    print("arguments:", *sys.argv[1:])
    for name in ("tiny", "other", "third"):
        folder = pathlib.Path(sysconfig.get_path("purelib"), f"{name}-1.dist-info")
        folder.mkdir(exist_ok=True)
        folder.joinpath("METADATA").write_text(f"Name: {name}\\nVersion: 1\\n")
"""
"""Replaces pip, which needs a network: Python finds it in the current folder."""
ENSUREPIP = """
import pathlib, shutil, sys, sysconfig
print("ensurepip:", *sys.argv[1:])
shutil.copytree("pip", pathlib.Path(sysconfig.get_path("purelib"), "pip"))
"""
"""Replaces the real one, which takes 3 s: the environment gets the pip of the current folder."""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A project with another name that uses the set-up script and is not set up yet."""
    folder = tmp_path / "project"
    files = {"pyproject.toml": PROJECT, "pip/__init__.py": "", "pip/__main__.py": PIP, "ensurepip.py": ENSUREPIP}
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    (folder / ".vscode").mkdir()
    shutil.copy(editor.FOLDER / "set_up.py", folder / ".vscode")
    return folder


def set_up(desk: Desk, folder: Path) -> tuple[int, list[str]]:
    """Run the set-up in a workspace; return its exit status and its lines."""
    arguments = [one.replace("${workspaceFolder}", str(folder)) for one in editor.tasks()[SET_UP]["args"]]
    done = editor.run_python(desk, "set-up", arguments, {}, cwd=folder)
    return done.wait_exit(editor.TASK_S), [line for line in editor.lines_of(done) if line]


READY = "lumen-proxy: the environment .venv is ready"


def test_the_set_up_makes_the_environment_once(desk: Desk, workspace: Path) -> None:
    """A missing or damaged environment is created and the project installed; a complete one is not changed."""
    made = ["ensurepip: --default-pip", "arguments: --disable-pip-version-check install -c constraints.txt -e .[test]"]
    python = workspace / ".venv" / ("Scripts/python.exe" if WINDOWS else "bin/python")
    for expected in (made, [], made):
        status, lines = set_up(desk, workspace)
        assert (status, lines[-1]) == (0, READY), lines
        assert [line for line in lines if line.startswith(("ensurepip: ", "arguments: "))] == expected, lines
        if not expected:
            python.unlink()


def test_the_set_up_installs_what_is_missing(desk: Desk, workspace: Path) -> None:
    """A dependency that is missing is installed into the existing environment with its own pip."""
    set_up(desk, workspace)
    assert list(workspace.glob(".venv/**/pip/__main__.py"))
    kept = workspace / ".venv" / "kept"
    kept.touch()
    shutil.rmtree(next(workspace.glob(".venv/**/third-1.dist-info")))
    status, lines = set_up(desk, workspace)
    assert (status, lines[-1], kept.exists()) == (0, READY, True)
    assert any(line.startswith("arguments: ") for line in lines)
    assert not any(line.startswith("ensurepip: ") for line in lines)


def test_a_set_up_that_fails_says_what_to_do(desk: Desk, workspace: Path) -> None:
    """Without a network the set-up ends with 69 and one line with the remedy, so the editor does not run the task."""
    (workspace / "no-network").touch()
    status, lines = set_up(desk, workspace)
    assert status == 69
    assert sum(line.startswith("lumen-proxy: cannot install the packages; ") for line in lines) == 1


@pytest.mark.parametrize("label", NINE)
@pytest.mark.parametrize("scheme", ["posix_venv", "nt_venv"])
def test_the_command_is_the_workspaces_own_python(label: str, scheme: str) -> None:
    """Each task runs the Python of .venv without a shell, on POSIX and on Windows."""
    task = editor.tasks()[label]
    scripts = PureWindowsPath(sysconfig.get_path("scripts", scheme, vars={"base": ".venv"})).as_posix()
    name = "python.exe" if scheme == "nt_venv" else "python"
    assert task["type"] == "process"
    assert editor.command(task, windows=scheme == "nt_venv") == f"{scripts}/{name}"


def test_start_is_ready_when_its_pattern_matches(desk: Desk) -> None:
    """The output matches both patterns in order, then a question is answered, and the end leaves no process."""
    started = editor.run(desk, START, {"LUMEN_FOREIGN_SETTING": "1"})
    started.until_ready()
    begins = started.matches(started.task["problemMatcher"]["background"]["beginsPattern"])
    ends = started.matches(started.task["problemMatcher"]["background"]["endsPattern"])
    assert len(begins) == len(ends) == 1
    assert begins < ends
    body = {"messages": [{"role": "user", "content": "안녕하세요"}]}
    answer = call(f"http://127.0.0.1:{desk.port}", "POST", "/v1/chat/completions", json=body)
    assert answer.status == 200
    assert "안녕하세요" in answer.json()["choices"][0]["message"]["content"]
    ending = started.child.end()  # as the editor does: it closes the terminal
    assert not ending.orphans
    journal = JournalReader(desk.folder / "log", lambda: None)
    assert [event["exit_status"] for event in journal.events(name="stopped")] == [0]


def test_stop_ends_the_start_task(desk: Desk) -> None:
    """The stop task ends the start task with 0 and can be repeated."""
    started = editor.run(desk, START)
    started.until_ready()
    for _ in range(2):
        assert editor.run(desk, STOP).end() == 0
    assert started.end() == 0


def test_health_shows_whether_the_proxy_runs(desk: Desk) -> None:
    """The health task ends with 69 if no proxy runs, and with 0 and the PID if one does."""
    assert editor.run(desk, HEALTH).end() == 69
    desk.run("start")
    shown = editor.run(desk, HEALTH)
    assert shown.end() == 0
    assert shown.matches(rf"^port +{desk.port}$")
    assert shown.matches(r"^state +running$")
    assert shown.matches(r"^pid +\d+$")


def test_diagnose_is_all_green_from_nothing(desk: Desk) -> None:
    """The diagnose task starts the proxy and prints the verdict."""
    diagnosed = editor.run(desk, DIAGNOSE)
    assert diagnosed.end() == 0
    assert diagnosed.matches("^Verdict: ALL GREEN")
    assert editor.run(desk, HEALTH).end() == 0


def test_dashboard_shows_three_channels(desk: Desk) -> None:
    """The dashboard task prints one screen and ends, with 69 if the proxy does not run."""
    shown = editor.run(desk, DASHBOARD)
    assert shown.end() == 69
    for pattern in ("DOWN +Local proxy", "UP +Cloud AI", "UP +Lumen Gateway"):
        assert shown.matches(pattern)


def test_watch_is_ready_when_its_pattern_matches(desk: Desk) -> None:
    """The ready line comes before the channels, and the end leaves no process."""
    watch = editor.run(desk, WATCH)
    watch.until_ready()
    shown = partial(watch.matches, "Lumen Gateway")
    until("the channels are shown", shown, within_s=editor.SOON_S, give_up=watch.child.end_reason)
    ending = watch.child.end()
    assert not ending.orphans


@pytest.mark.parametrize("label", SUITES)
def test_a_suite_task_runs_its_checks(desk: Desk, tmp_path: Path, label: str) -> None:
    """A suite task selects its scenarios, its check passes, and the report is written."""
    check, selection = SUITES[label]
    judged = editor.run(desk, label, limited(tmp_path, f"-k {check}"))
    assert judged.end() == 0, judged.lines()
    assert judged.matches(f"^{selection}")
    assert judged.matches(r"=+ 1 passed")
    assert check in read_page(tmp_path / "report.html")


def test_a_failed_check_is_a_problem_in_the_editor(desk: Desk, tmp_path: Path) -> None:
    """A failed task prints file and line in a form that the editor turns into a link."""
    judged = editor.run(desk, CONFLICT, limited(tmp_path, "-k 2.2 --mutation conflict-names-no-owner"))
    assert judged.end() == 1, judged.lines()
    found = editor.problems(judged.task, judged.lines())
    assert found, judged.lines()
    file, line, _ = found[-1]
    assert 0 < line <= len((ROOT / file).read_text("utf-8").splitlines())


OUTCOMES = """
import pytest, warnings
@pytest.mark.parametrize("number", [1, 2])
def test_skipped(number):
    pytest.skip("not here")

@pytest.mark.xfail
def test_expected():
    assert False
def test_warns():
    warnings.warn("careful")

def test_fails():
    assert 1 == 2  # the only problem
"""


@pytest.fixture(scope="module")
def outcomes(module_launch: Launcher, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The output of a run with each outcome."""
    folder = tmp_path_factory.mktemp("outcomes")
    (folder / "test_outcomes.py").write_text(OUTCOMES, "utf-8")
    (folder / "pytest.ini").write_text("[pytest]\naddopts = -ra\n", "utf-8")
    arguments = ["-m", "pytest", "-p", "no:cacheprovider", "--rootdir", str(folder), str(folder)]
    done = editor.run_in_terminal(module_launch, "outcomes", arguments, dict(os.environ), cwd=folder)
    done.wait_exit(editor.TASK_S)
    return editor.lines_of(done)


@pytest.mark.parametrize("label", SUITES)
def test_only_failures_are_problems(outcomes: list[str], label: str) -> None:
    """Skipped tests, expected failures and warnings also have file and line, but are no problems."""
    assert any(re.match(r"SKIPPED \[2\] \S+py:\d+: not here", line) for line in outcomes), outcomes
    problems = editor.problems(editor.tasks()[label], outcomes)
    failing = OUTCOMES.splitlines().index("    assert 1 == 2  # the only problem") + 1
    assert problems == [("test_outcomes.py", failing, "AssertionError")]


def test_key_bindings_run_the_nine() -> None:
    """The sample binds each task to one key."""
    bound = json.loads((editor.FOLDER / "keybindings.sample.json").read_text("utf-8"))
    assert [one["args"] for one in bound] == list(NINE)
    assert {one["command"] for one in bound} == {"workbench.action.tasks.runTask"}
    assert len({one["key"] for one in bound}) == len(NINE)


def test_discovery_finds_the_tests(request: pytest.FixtureRequest) -> None:
    """The editor collects the same tests as pytest without arguments, including this one."""
    settings = json.loads((editor.FOLDER / "settings.json").read_text("utf-8"))
    assert settings["python.testing.pytestEnabled"]
    assert settings["python.testing.pytestArgs"] == request.config.getini("testpaths")
    assert any(request.path.is_relative_to(ROOT / name) for name in settings["python.testing.pytestArgs"])
