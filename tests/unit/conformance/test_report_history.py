"""`--history`: each run appends a line, and the page shows what changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.fixtures.nested_pytest import NestedPytest, NestedRun

MODULE = '''
"""Scenario 1: a worker is killed."""
@check("1.4-automatic-restart")
def test_restart(measure):
    """A new worker answers."""
    measure({seconds}, "s", 3.0, headline=True)
@check("1.5-health-after")
def test_health():
    """It is healthy."""
    assert {healthy}
@check("1.6-ready-line")
def test_line():
    """It says so."""
    assert {says}
'''


def run(nested: NestedPytest, seconds: float, *, healthy: bool = True, says: bool = True) -> NestedRun:
    """Run three checks."""
    nested.write({"recovery/test_01_kill.py": MODULE.format(seconds=seconds, healthy=healthy, says=says)})
    return nested.run("--history=history.jsonl")


def test_the_page_shows_what_changed(nested: NestedPytest) -> None:
    """A check that fails newly and one that changes again and again are marked; the headline figure has a trend."""
    run(nested, 0.5, says=False)
    run(nested, 0.25)
    run(nested, 1.0, says=False)
    ended = run(nested, 0.125, healthy=False, says=False)
    lines = [json.loads(line) for line in (nested.folder / "history.jsonl").read_text("utf-8").splitlines()]
    assert [each["wrong"] for each in lines] == [
        {"1.6-ready-line": "failed"}, {}, {"1.6-ready-line": "failed"},
        {"1.5-health-after": "failed", "1.6-ready-line": "failed"},
    ]  # fmt: skip
    assert [each["scenarios"]["1"] for each in lines] == [[0.5, "s"], [0.25, "s"], [1.0, "s"], [0.125, "s"]]
    marks = {name: (each.get("new", 0), each.get("flips", 0)) for name, each in ended.checks.items()}
    assert marks == {"1.4-automatic-restart": (0, 0), "1.5-health-after": (1, 1), "1.6-ready-line": (0, 2)}
    assert 'aria-label="4 runs: 0.5 s, 0.25 s, 1 s, 0.125 s"' in ended.html
    assert 'points="0.0,10.0 33.3,15.0 66.7,0.0 100.0,17.5"' in ended.html


def test_another_selection_is_not_compared(nested: NestedPytest) -> None:
    """A run of other checks says nothing about these."""
    run(nested, 0.5)
    ended = nested.run("--history=history.jsonl", "--only=1.4")
    assert "earlier runs" not in ended.html.partition("<script")[0]
    assert len((nested.folder / "history.jsonl").read_text("utf-8").splitlines()) == 2


@pytest.mark.parametrize("text", ["{}", "no JSON", "[1]"])
def test_a_file_that_is_no_history_is_refused(nested: NestedPytest, text: str) -> None:
    """The error names the line, and the file stays as it is."""
    path: Path = nested.folder / "history.jsonl"
    path.write_text(f"{text}\n", "utf-8")
    ended = run(nested, 0.5)
    assert ended.status == pytest.ExitCode.USAGE_ERROR
    assert "--history" in ended.output
    assert "line 1 is no run" in ended.output
    assert path.read_text("utf-8") == f"{text}\n"
