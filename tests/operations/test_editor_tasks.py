"""The nine tasks of the editor: each is run as the editor runs it, and does its job."""

from __future__ import annotations

import json
import re
import sysconfig
from functools import partial
from pathlib import Path, PureWindowsPath

import pytest

from tests.fixtures.capture import call
from tests.fixtures.journals import Journal
from tests.fixtures.targets import ROOT
from tests.fixtures.waiting import until
from tests.operations import editor
from tests.operations.conftest import Desk

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
    assert {label: (task["group"], task["isBackground"]) for label, task in editor.tasks().items()} == NINE


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
    journal = Journal(desk.folder / "log", lambda: None)
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
    until("a look is shown", shown, within_s=editor.SOON_S, alive=watching.child.dead)
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
    (matcher,) = judged.task["problemMatcher"]
    pattern = matcher["pattern"]
    found = [match for line in judged.lines() if (match := re.search(pattern["regexp"], line))]
    assert found, judged.lines()
    file, line = found[-1][pattern["file"]], int(found[-1][pattern["line"]])
    assert 0 < line <= len((ROOT / file).read_text("utf-8").splitlines())


def test_key_bindings_run_the_nine() -> None:
    """The sample binds each task once, to a key of its own."""
    bound = json.loads((editor.FOLDER / "keybindings.sample.json").read_text("utf-8"))
    assert [one["args"] for one in bound] == list(NINE)
    assert {one["command"] for one in bound} == {"workbench.action.tasks.runTask"}
    assert len({one["key"] for one in bound}) == len(NINE)


def test_discovery_finds_the_tests(desk: Desk, tmp_path: Path) -> None:
    """What the settings tell the editor to collect can be collected."""
    settings = json.loads((editor.FOLDER / "settings.json").read_text("utf-8"))
    assert settings["python.testing.pytestEnabled"]
    words = ["-m", "pytest", *settings["python.testing.pytestArgs"], "--collect-only", "-q"]
    assert (ROOT / settings["python.testing.pytestArgs"][0]).is_dir()
    found = editor.run_words(desk, "discovery", words, narrowed(tmp_path, ""))
    assert found.wait_exit(editor.TASK_S) == 0, found.tails()
    assert b"test_editor_tasks.py" in found.stdout.read_bytes()
