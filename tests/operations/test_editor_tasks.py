"""The nine tasks of the editor: each is run as the editor runs it, and does its job."""

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
# A suite task, narrowed to one check: how it is selected, and how the run says that it held.
SUITES = {
    RECOVERY: ("3.1-venv-exists", "selection: recovery"),
    KILL: ("1.4-automatic-restart", "selection: scenario 1"),
    CONFLICT: ("2.2-conflict-detected", "selection: scenario 2"),
}


def narrowed(folder: Path, words: str) -> dict[str, str]:
    """Settings for a suite task: a report of its own, temporary files of its own, fewer checks."""
    (folder / "temporary").mkdir()
    options = f"--html={(folder / 'report.html').as_posix()} -p no:cacheprovider {words}"
    return {"PYTEST_ADDOPTS": options, "PYTEST_DEBUG_TEMPROOT": str(folder / "temporary")}


def test_nine_labels_and_groups() -> None:
    """Labels, groups and which of them run in the background, as users know them."""
    tasks = {label: task for label, task in editor.tasks().items() if label != SET_UP}
    assert {label: (task["group"], task["isBackground"]) for label, task in tasks.items()} == NINE


def test_each_of_the_nine_sets_up_the_environment_first() -> None:
    """The first click in a new clone works: the set-up runs by a Python of the system, not by the one it makes."""
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
"""In the place of pip, which would need a network: Python finds it in the folder in which it is launched."""
ENSUREPIP = 'import sys\n\nprint("ensurepip:", *sys.argv[1:])\n'  # in the place of the real one, which takes 3 s


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A project of another name with this project's set-up, not set up yet."""
    folder = tmp_path / "project"
    files = {"pyproject.toml": PROJECT, "pip/__init__.py": "", "pip/__main__.py": PIP, "ensurepip.py": ENSUREPIP}
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    (folder / ".vscode").mkdir()
    shutil.copy(editor.FOLDER / "set_up.py", folder / ".vscode")
    return folder


def set_up(desk: Desk, folder: Path) -> tuple[int, list[str]]:
    """Run the task in a workspace, to its end: exit status and lines."""
    words = [word.replace("${workspaceFolder}", str(folder)) for word in editor.tasks()[SET_UP]["args"]]
    done = editor.run_words(desk, "set-up", words, {}, cwd=folder)
    return done.wait_exit(editor.TASK_S), [line for line in editor.lines_of(done) if line]


READY = "lumen-proxy: the environment .venv is ready"


def test_the_set_up_makes_the_environment_once(desk: Desk, workspace: Path) -> None:
    """Nothing there: it is made and the project installed. All there: nothing is done. Broken: it is made again."""
    made = ["ensurepip: --default-pip", "arguments: --disable-pip-version-check install -c constraints.txt -e .[test]"]
    python = workspace / ".venv" / ("Scripts/python.exe" if WINDOWS else "bin/python")
    for expected in (made, [], made):
        status, lines = set_up(desk, workspace)
        assert (status, lines[-1]) == (0, READY), lines
        assert [line for line in lines if line.startswith(("ensurepip: ", "arguments: "))] == expected, lines
        if not expected:
            python.unlink()


def test_the_set_up_installs_what_is_missing(desk: Desk, workspace: Path) -> None:
    """A dependency that is new since the last set-up is installed into the environment that is there, with its pip."""
    (workspace / "ensurepip.py").unlink()  # the real one, once
    set_up(desk, workspace)
    assert list(workspace.glob(".venv/**/pip/__main__.py"))
    kept = workspace / ".venv" / "kept"
    kept.touch()
    shutil.rmtree(next(workspace.glob(".venv/**/third-1.dist-info")))
    status, lines = set_up(desk, workspace)
    assert (status, lines[-1], kept.exists()) == (0, READY, True)
    assert any(line.startswith("arguments: ") for line in lines)


def test_a_set_up_that_fails_says_what_to_do(desk: Desk, workspace: Path) -> None:
    """No network: 69, so that the editor does not run the task that depends on it, and one line with the remedy."""
    (workspace / "no-network").touch()
    status, lines = set_up(desk, workspace)
    assert status == 69
    assert sum(line.startswith("lumen-proxy: the packages cannot be installed; ") for line in lines) == 1


@pytest.mark.parametrize("label", NINE)
@pytest.mark.parametrize("scheme", ["posix_venv", "nt_venv"])
def test_the_command_is_the_workspaces_own_python(label: str, scheme: str) -> None:
    """Where a virtual environment named .venv keeps its Python on this family of systems, run without a shell."""
    task = editor.tasks()[label]
    scripts = PureWindowsPath(sysconfig.get_path("scripts", scheme, vars={"base": ".venv"})).as_posix()
    name = "python.exe" if scheme == "nt_venv" else "python"
    assert task["type"] == "process"
    assert editor.command(task, windows=scheme == "nt_venv") == f"{scripts}/{name}"


def test_start_is_ready_when_its_pattern_says_so(desk: Desk) -> None:
    """Real output matches both patterns in their order; ready means that a question is answered; the end is clean."""
    started = editor.run(desk, START, {"LUMEN_FOREIGN_SETTING": "1"})
    started.until_ready()
    begins = started.matches(started.task["problemMatcher"]["background"]["beginsPattern"])
    ends = started.matches(started.task["problemMatcher"]["background"]["endsPattern"])
    assert len(begins) == len(ends) == 1
    assert begins < ends
    asked = {"messages": [{"role": "user", "content": "안녕하세요"}]}
    answer = call(f"http://127.0.0.1:{desk.port}", "POST", "/v1/chat/completions", json=asked)
    assert answer.status == 200
    assert "안녕하세요" in answer.json()["choices"][0]["message"]["content"]
    ending = started.child.end()  # as the editor does: its terminal is taken away
    assert not ending.orphans
    journal = JournalReader(desk.folder / "log", lambda: None)
    assert [event["exit_status"] for event in journal.events(name="stopped")] == [0]


def test_stop_ends_what_start_started(desk: Desk) -> None:
    """The stop task ends the start task with 0; once more is as good."""
    started = editor.run(desk, START)
    started.until_ready()
    for _ in range(2):
        assert editor.run(desk, STOP).end() == 0
    assert started.end() == 0


def test_health_tells_running_from_stopped(desk: Desk) -> None:
    """69 while nothing runs, 0 with the PID when it does."""
    assert editor.run(desk, HEALTH).end() == 69
    desk.run("start")
    seen = editor.run(desk, HEALTH)
    assert seen.end() == 0
    assert seen.matches(rf"^port +{desk.port}$")
    assert seen.matches(r"^state +running$")
    assert seen.matches(r"^pid +\d+$")


def test_diagnose_is_all_green_from_nothing(desk: Desk) -> None:
    """It starts the proxy and gives the verdict."""
    diagnosed = editor.run(desk, DIAGNOSE)
    assert diagnosed.end() == 0
    assert diagnosed.matches("^Verdict: ALL GREEN")
    assert editor.run(desk, HEALTH).end() == 0


def test_dashboard_shows_three_channels(desk: Desk) -> None:
    """One screen, then it ends; 69 as long as the proxy is not running."""
    shown = editor.run(desk, DASHBOARD)
    assert shown.end() == 69
    for words in ("DOWN +Local proxy", "UP +Cloud AI", "UP +Lumen Gateway"):
        assert shown.matches(words)


def test_watch_is_ready_when_its_pattern_says_so(desk: Desk) -> None:
    """The ready line comes before the screen; then channels are shown; the end leaves nothing behind."""
    watching = editor.run(desk, WATCH)
    watching.until_ready()
    shown = partial(watching.matches, "Lumen Gateway")
    until("a look is shown", shown, within_s=editor.SOON_S, give_up=watching.child.end_reason)
    ending = watching.child.end()
    assert not ending.orphans


@pytest.mark.parametrize("label", SUITES)
def test_a_suite_task_judges(desk: Desk, tmp_path: Path, label: str) -> None:
    """The task selects its scenarios, its check holds, and the report is where it was asked for."""
    check, selection = SUITES[label]
    judged = editor.run(desk, label, narrowed(tmp_path, f"-k {check}"))
    assert judged.end() == 0, judged.lines()
    assert judged.matches(f"^{selection}")
    assert judged.matches(r"=+ 1 passed")
    assert check in (tmp_path / "report.html").read_text("utf-8")


def test_a_refuted_claim_is_a_problem_in_the_editor(desk: Desk, tmp_path: Path) -> None:
    """A task that fails names file and line in the form that the editor makes a link of."""
    judged = editor.run(desk, CONFLICT, narrowed(tmp_path, "-k 2.2 --sabotage conflict-names-no-owner"))
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
    """What the terminal shows of a run with each outcome."""
    folder = tmp_path_factory.mktemp("outcomes")
    (folder / "test_outcomes.py").write_text(OUTCOMES, "utf-8")
    (folder / "pytest.ini").write_text("[pytest]\naddopts = -ra\n", "utf-8")
    words = ["-m", "pytest", "-p", "no:cacheprovider", "--rootdir", str(folder), str(folder)]
    done = editor.in_a_terminal(module_launch, "outcomes", words, dict(os.environ), cwd=folder)
    done.wait_exit(editor.TASK_S)
    return editor.lines_of(done)


@pytest.mark.parametrize("label", SUITES)
def test_only_failures_are_problems(outcomes: list[str], label: str) -> None:
    """Skipped tests, expected failures and warnings name file and line as well; none of them is an error."""
    assert any(re.match(r"SKIPPED \[2\] \S+py:\d+: not here", line) for line in outcomes), outcomes
    problems = editor.problems(editor.tasks()[label], outcomes)
    failing = OUTCOMES.splitlines().index("    assert 1 == 2  # the only problem") + 1
    assert problems == [("test_outcomes.py", failing, "AssertionError")]


def test_key_bindings_run_the_nine() -> None:
    """The sample binds each task once, to a key of its own."""
    bound = json.loads((editor.FOLDER / "keybindings.sample.json").read_text("utf-8"))
    assert [one["args"] for one in bound] == list(NINE)
    assert {one["command"] for one in bound} == {"workbench.action.tasks.runTask"}
    assert len({one["key"] for one in bound}) == len(NINE)


def test_discovery_finds_the_tests(request: pytest.FixtureRequest) -> None:
    """The settings tell the editor to collect what pytest collects without arguments, this test included."""
    settings = json.loads((editor.FOLDER / "settings.json").read_text("utf-8"))
    assert settings["python.testing.pytestEnabled"]
    assert settings["python.testing.pytestArgs"] == request.config.getini("testpaths")
    assert any(request.path.is_relative_to(ROOT / name) for name in settings["python.testing.pytestArgs"])
