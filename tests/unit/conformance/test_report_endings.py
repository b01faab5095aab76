"""An incomplete run never has a green page, neither its own nor that of an earlier run."""

from __future__ import annotations

import signal
from collections import Counter
from typing import NamedTuple

import pytest

from tests.fixtures.nested_pytest import FOREIGN, NestedPytest, NestedRun

GREEN = '''"""Two tests that pass."""
@check("A1-first")
def test_first():
    """It passes."""
@check("A2-second")
def test_second():
    """It passes too."""
'''
STALE = '<section class="banner good"><p class="word">PASSED</p></section>'


MARKS = {"good": "✓", "bad": "✗", "incomplete": "!"}


class End(NamedTuple):
    """The expected exit status and banner, and the tests and arguments that produce them."""

    status: int
    banner: tuple[str, str]
    sentence: str
    more: str = ""
    arguments: tuple[str, ...] = ()


def last(body: str) -> str:
    return f'@check("A9-last")\ndef test_last(request):\n    """It ends the run."""\n    {body}\n'


NEVER = 'def test_never():\n    """It is not reached."""\n'
BREAK_PYTEST = "request.config.pluginmanager.register(Broken())"
BROKEN = "class Broken:\n    def pytest_runtest_logreport(self, report):\n        raise OSError('a plugin broke')\n"
WAIT = "__import__('threading').Event().wait()"
NOT_JUDGED = "from lumen_conformance.registry import NotJudged\n"
UNSERIALISABLE = "request.node.user_properties.append(('thing', object()))"
SKIP_ALL = "pytestmark = pytest.mark.skip(reason='the target does not declare: tools')\n"
ENDS = {
    "passed": End(0, ("good", "PASSED"), "2 passed, 0 failed."),
    "failed": End(1, ("bad", "FAILED"), "2 passed, 1 failed.", last("assert False")),
    "stopped early": End(
        1, ("bad", "FAILED"), "2 passed, 1 failed, 1 of 4 tests never ran.", last("assert False") + NEVER, ("-x",)
    ),
    "interrupted": End(2, ("incomplete", "INTERRUPTED"), "1 of 3 tests never ran", last("raise KeyboardInterrupt")),
    "internal error": End(3, ("incomplete", "INTERNAL ERROR"), "pytest failed", BROKEN + last(BREAK_PYTEST)),
    "internal error of a worker": End(
        3, ("incomplete", "INTERNAL ERROR"), "1 of 3 tests never ran", last(UNSERIALISABLE), ("-n1",)
    ),
    "broken module": End(2, ("incomplete", "INTERRUPTED"), "1 could not be collected", "import nowhere_to_be_found\n"),
    "broken module, in parallel": End(
        1, ("bad", "FAILED"), "1 could not be collected", "import nowhere_to_be_found\n", ("-n2",)
    ),
    "nothing selected": End(5, ("incomplete", "NOTHING RAN"), "No test was selected.", "", ("-m", "smoke")),
    "all skipped": End(
        0,
        ("incomplete", "NOTHING PASSED"),
        "2 not applicable (2 need --proxy-can tools).",
        SKIP_ALL,
    ),
    "not judged": End(
        1,
        ("incomplete", "NOT FULLY JUDGED"),
        "2 passed, 0 failed, 1 not judged.",
        NOT_JUDGED + last("raise NotJudged('the body is no JSON', ('A1',))"),
    ),
    "timed out": End(1, ("bad", "FAILED"), "2 passed, 1 failed.", last(WAIT), ("--timeout=0.5",)),
    "timed out, and the process ended": End(
        1,
        ("incomplete", "NOT FINISHED"),
        "ended before its report was written",
        last(WAIT),
        ("--timeout=0.5", "--timeout-method=thread"),
    ),
    "a worker crashed": End(
        1, ("bad", "FAILED"), "2 passed, 0 failed, 1 ended in an error.", last("os._exit(3)"), ("-n1",)
    ),
    "a worker crashed and is not replaced": End(
        1, ("bad", "FAILED"), "of 4 tests never ran", last("os._exit(3)") + NEVER, ("-n1", "--max-worker-restart=0")
    ),
    "died": End(0, ("incomplete", "NOT FINISHED"), "ended before its report was written", last("os._exit(0)")),
}


@pytest.mark.parametrize("how", ENDS, ids=lambda how: how.replace(" ", "-"))
def test_the_banner_shows_how_a_run_ended(nested: NestedPytest, how: str) -> None:
    """Colour, word, sentence, title and icon match the end of the run, and replace the page of an earlier run."""
    end = ENDS[how]
    nested.write({"contract/test_green.py": GREEN + end.more})
    (nested.folder / "reports").mkdir()
    (nested.folder / "reports" / "report.html").write_text(STALE, encoding="utf-8")
    ended = nested.run("--junit-xml=junit.xml", *end.arguments)
    assert (ended.status, ended.banner) == (end.status, end.banner), ended.output
    assert end.sentence in ended.html
    assert ("uncollected" in ended.counts) == ("could not be collected" in end.sentence), "the bar is not all green"
    assert ended.tab == (MARKS[end.banner[0]], end.banner[1])
    if end.banner[1] != "NOT FINISHED":
        assert_junit_agrees(ended)


def assert_junit_agrees(ended: NestedRun) -> None:
    """JUnit has a case for each test of the page, and is red where the run is, as a CI system shows its counts only."""
    junit, page = ended.junit, Counter(ended.rows.values())
    assert junit["tests"] >= sum(page.values()), "a module that was not collected has a case, too"
    assert (junit["failures"], junit["skipped"]) == (page["failed"], page["skipped"])
    assert junit["errors"] >= page["error"] + page["never_ran"] + page["not_judged"]
    outcomes = Counter(each["outcome"] for each in ended.verdicts)
    numbered = Counter(outcome for name, outcome in ended.rows.items() if "::" not in name)
    assert outcomes["error"] == numbered["error"] + numbered["never_ran"]
    red = ended.status not in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}
    assert bool(junit["errors"] + junit["failures"]) == red


STAGED = """
from lumen_conformance.stages.evidence import stage
@stage(scenario=1)
def killed() -> dict[str, int]:
    "It ends the process that stages."
    os._exit(3)
@check("1.3-first")
def test_first(killed):
    "The stage observed it."
@check("1.4-second")
def test_second(killed):
    "The stage observed this, too."
"""


def test_a_worker_that_dies_in_a_stage(nested: NestedPytest) -> None:
    """The stage is not run again: each of its checks fails, and the page says so."""
    nested.write({"recovery/test_01_kill.py": '"""Scenario 1: a stage ends its process."""\n' + STAGED})
    ended = nested.run("-n1", "--dist=loadfile")
    assert (ended.status, ended.banner, ended.tab) == (1, ("bad", "FAILED"), ("✗", "FAILED")), ended.output
    assert set(ended.rows.values()) <= {"error", "failed"}
    assert len(ended.rows) == 2


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="no limit on the size of files")
def test_a_disk_that_fills_up(nested: NestedPytest) -> None:
    """A page of which only a part can be written is removed: neither it nor that of an earlier run looks complete."""
    limit = "__import__('resource').setrlimit(__import__('resource').RLIMIT_FSIZE, (8192, 8192))"
    nested.write({"contract/test_green.py": GREEN + last(limit)})
    (nested.folder / "reports").mkdir()
    page = nested.folder / "reports" / "report.html"
    page.write_text(STALE, encoding="utf-8")
    ended = nested.run()
    assert ended.status == pytest.ExitCode.INTERNAL_ERROR, ended.output
    assert "report.html cannot be written: File too large" in ended.output
    assert not page.exists()


REFUSED = {
    "path": ("tests/nowhere.py",),
    "expression": ("-m", "smoke and"),
    "expression of a worker": ("-k", "one and", "-n1"),
    "id": ("--only=Z9", "-n1"),
    "shard": ("--shard=9/2",),
    "name": ("--github-summary=",),
}


@pytest.mark.parametrize("what", REFUSED, ids=lambda what: what.replace(" ", "-"))
def test_a_refused_run_changes_no_file(nested: NestedPytest, what: str) -> None:
    """Invalid options leave the files of an earlier run as they are, write none, and print no result."""
    nested.write({"contract/test_green.py": GREEN})
    # Old results used to be removed, so that nobody takes them for those of this run; that lost good results.
    old = nested.folder / "summary.json"
    old.write_text(STALE, "utf-8")
    ended = nested.run(
        "--record=new/record.jsonl", "--junit-xml=junit.xml", "--evidence-dir=new/evidence", *REFUSED[what]
    )
    assert (ended.status, old.read_text("utf-8")) == (4, STALE), ended.output
    assert [name for name in ("new", "reports", "verdicts.jsonl", "junit.xml") if (nested.folder / name).exists()] == []
    shown = ("enerated html report", "enerated xml file", "selected:", "never ran", "= result =")
    assert [text for text in shown if text in ended.output] == []


LEFT = """
def test_leaves(run):
    "It leaves a process that a fixture seems to answer for."
    import subprocess, sys
    code = "import threading; threading.Event().wait()"
    child = subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"E2E_LUMEN": run.open_tag("x")})
    child.returncode = 0  # or Popen would warn
"""


@pytest.mark.parametrize("workers", ["-n0", "-n1"])
def test_a_process_left_behind_fails_the_run(nested: NestedPytest, workers: str) -> None:
    """Terminal, page and summary have the exit status of a run that fails only because of a process left behind."""
    nested.write({"contract/test_green.py": GREEN + LEFT})
    ended = nested.run(FOREIGN, workers, "--junit-xml=junit.xml")
    assert (ended.status, ended.banner) == (1, ("bad", "FAILED")), ended.output
    assert ended.junit == {"tests": 4, "errors": 1, "failures": 0, "skipped": 0}
    assert 'message="FAILED"' in (ended.folder / "junit.xml").read_text("utf-8")
    assert "\nFAILED: 3 passed, 0 failed; pytest ended with exit status 1.\n" in ended.output
    assert (ended.summary["exit_status"], ended.summary["word"]) == (1, "FAILED")


class Stop(NamedTuple):
    """The exit status of a run that is stopped, how many of its 34 tests never ran at least, and what stops it."""

    status: int
    never_ran: int
    body: str
    arguments: tuple[str, ...] = ()


CTRL_C = f"{WAIT} if os.kill({{}}, 2) is None else 0"
STOPS = {
    "the first failure": Stop(1, 31, "assert False", ("-x",)),
    "the second failure": Stop(1, 30, "assert False", ("--maxfail=2",)),
    "a crashed worker": Stop(1, 31, "os._exit(3)", ("-n1", "--max-worker-restart=0")),
    "Ctrl-C": Stop(2, 32, CTRL_C.format("os.getpid()")),
    "Ctrl-C with a worker": Stop(2, 32, CTRL_C.format("os.getppid()"), ("-n1",)),
}


@pytest.mark.parametrize("how", STOPS, ids=lambda how: how.replace(" ", "-"))
def test_tests_that_never_ran_are_named(nested: NestedPytest, how: str) -> None:
    """Terminal, page and both summaries have the number of the tests that never ran, and their names."""
    stop = STOPS[how]
    many = '@check_each("n", {f"B1.{n}": n for n in range(30)})\ndef test_many(n):\n    """It is one of many."""\n'
    other = last("assert False").replace("last", "other").replace("A9", "A8")
    nested.write({"contract/test_green.py": GREEN + last(stop.body) + other + many})
    ended = nested.run("--github-summary=summary.md", *stop.arguments)
    every = ["A1-first", "A2-second", "A9-last", "A8-other", *(f"B1.{n}" for n in range(30))]
    names = [name for name in every if ended.rows[name] == "never_ran"]
    # A worker has not sent the last results yet when the run is interrupted: then these tests never ran, too.
    assert len(names) in range(stop.never_ran, stop.never_ran + (3 if "-n1" in stop.arguments else 1))
    assert ended.status == ended.summary["exit_status"] == stop.status, ended.output
    assert f"\nnever ran: {', '.join(names[:6])} and {len(names) - 6} more\n" in ended.output
    assert f"{len(names)} of 34 tests never ran" in ended.html
    assert ended.summary["counts"]["never_ran"] == len(names)
    summary = (nested.folder / "summary.md").read_text("utf-8")
    listed = ", ".join(f"`{name}`" for name in names[:20])
    assert f"### Never ran\n\n{listed} and {len(names) - 20} more\n" in summary


def test_a_check_that_never_ran_is_an_error(nested: NestedPytest) -> None:
    """The verdicts of an interrupted run list the checks that did not run as errors."""
    nested.write({"contract/test_green.py": GREEN.replace('passes."""', 'passes."""\n    raise KeyboardInterrupt')})
    verdicts = nested.run().verdicts
    assert [(each["id"], each["outcome"]) for each in verdicts] == [("A1-first", "error"), ("A2-second", "error")]
    assert {each["reason"] for each in verdicts} == {"never ran: the run ended before it"}


def test_a_crashed_run_leaves_no_old_verdicts(nested: NestedPytest) -> None:
    """A run removes the verdicts of an earlier run when it begins."""
    nested.write({"contract/test_green.py": GREEN + last("os._exit(0)")})
    old = nested.folder / "verdicts.jsonl"
    old.write_text('{"id": "A1-first", "outcome": "passed"}\n', encoding="utf-8")
    nested.run()
    assert not old.exists()


def test_collect_only_writes_no_page(nested: NestedPytest) -> None:
    """``--collect-only`` writes no page and replaces none."""
    nested.write({"contract/test_green.py": GREEN})
    ended = nested.run("--collect-only")
    assert ended.status == 0
    assert "Generated html report" not in ended.output
