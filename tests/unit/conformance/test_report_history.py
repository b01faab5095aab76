"""`--history`: each run appends a line, and the page shows what changed."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from lumen_conformance.registry.measurement import Measurement
from lumen_conformance.report import history
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


def run(nested: NestedPytest, seconds: float, *, healthy: bool = True, says: bool = True, more: str = "") -> NestedRun:
    """Run three checks; ``more`` is a line of the first, or of the module."""
    text = MODULE.format(seconds=seconds, healthy=healthy, says=says)
    begin, first, rest = text.partition('    """A new worker answers."""\n')
    nested.write({"recovery/test_01_kill.py": begin + first + more + rest if more == STOP else text + more})
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
    assert re.search(r'"earlier">.*4 runs: [\d.]+ m?s, ', ended.html), "the durations of the runs"
    assert 'points="0.0,10.0 33.3,15.0 66.7,0.0 100.0,17.5"' in ended.html


STOP = "    raise KeyboardInterrupt\n"
BROKEN = "import nowhere_to_be_found\n"


def test_a_run_that_stopped_says_nothing_of_the_others(nested: NestedPytest) -> None:
    """A test that never ran neither passed nor failed: what fails before and after it is not new, and has no flip."""
    run(nested, 0.5, says=False)
    run(nested, 0.5, says=False, more=STOP)
    run(nested, 0.5, says=False, more=BROKEN)
    ended = run(nested, 0.5, says=False)
    lines = [json.loads(line) for line in (nested.folder / "history.jsonl").read_text("utf-8").splitlines()]
    never = {"1.5-health-after": "never_ran", "1.6-ready-line": "never_ran"}
    assert [each["wrong"] for each in lines] == [
        {"1.6-ready-line": "failed"}, {"1.4-automatic-restart": "never_ran"} | never, {}, {"1.6-ready-line": "failed"},
    ]  # fmt: skip
    assert [each["complete"] for each in lines] == [True, True, False, True]
    assert lines[1]["counts"] == {"never_ran": 3}
    marks = {name: (each.get("new", 0), each.get("flips", 0)) for name, each in ended.checks.items()}
    assert set(marks.values()) == {(0, 0)}


def test_a_failure_after_a_run_that_stopped_may_be_new(nested: NestedPytest) -> None:
    """It is new if it passed when it ran last."""
    run(nested, 0.5)
    run(nested, 0.5, more=STOP)
    ended = run(nested, 0.5, says=False)
    marks = {name: (each.get("new", 0), each.get("flips", 0)) for name, each in ended.checks.items()}
    assert marks == {"1.4-automatic-restart": (0, 0), "1.5-health-after": (0, 0), "1.6-ready-line": (1, 1)}


def test_another_selection_is_not_compared(nested: NestedPytest) -> None:
    """A run of other checks says nothing about these."""
    run(nested, 0.5)
    ended = nested.run("--history=history.jsonl", "--only=1.4")
    assert "earlier runs" not in ended.html.partition("<script")[0]
    assert len((nested.folder / "history.jsonl").read_text("utf-8").splitlines()) == 2


LINE = {
    "run_id": "a", "at": "2026-01-01T00:00:00Z", "conditions": {}, "word": "PASSED", "duration_s": 1.5,
    "counts": {"passed": 3}, "wrong": {}, "scenarios": {"1": [0.5, "s"]},
}  # fmt: skip
WRONG = {
    "empty": b"{}", "text": b"no JSON", "list": b"[1]", "bytes": b"\xff\xfe", "deep": b"[" * 100_000,
    "verdict": b'{"id": "B1.1", "outcome": "passed"}', "number": json.dumps(LINE | {"run_id": 1}).encode(),
    "scenario": json.dumps(LINE | {"scenarios": {"1": ["fast", "s"]}}).encode(),
    "infinite": json.dumps(LINE | {"duration_s": float("inf")}).encode(),
    "no-number": json.dumps(LINE | {"scenarios": {"1": [float("nan"), "s"]}}).encode(),
}  # fmt: skip


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[pytest.Config, Path]:
    """A configuration, and the path of its history."""
    path = tmp_path / "history.jsonl"
    config = SimpleNamespace(stash=pytest.Stash())
    monkeypatch.setattr(history, "_path", lambda _: path)
    return cast("pytest.Config", config), path


@pytest.mark.parametrize("name", ["empty", "text", "list", "bytes", "deep", "verdict"])
def test_a_file_that_is_no_history_is_refused(name: str, config: tuple[pytest.Config, Path]) -> None:
    """The error names the line, in one short line."""
    given, path = config
    path.write_bytes(WRONG[name] + b"\n")
    with pytest.raises(pytest.UsageError, match=r"line 1 is no run: .*; name a file that --history has") as error:
        history.configure(given)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("name", WRONG)
def test_a_line_that_is_no_run_is_left_out(name: str, config: tuple[pytest.Config, Path]) -> None:
    """Between lines of runs, it costs a warning; the other lines are read."""
    given, path = config
    line = json.dumps(LINE).encode()
    path.write_bytes(b"\n".join([line, WRONG[name], b"", line, line[:50]]))
    history.configure(given)
    assert len(given.stash[history.HISTORY].runs) == 2
    assert "line 2 is no run: " in history.header_line(given)
    assert ", and 1 others; left out" in history.header_line(given)


@pytest.mark.parametrize("content", [b"", b"\n\n", json.dumps(LINE).encode()[:40]], ids=["empty", "blank", "cut"])
def test_a_file_without_a_run_is_read(content: bytes, config: tuple[pytest.Config, Path]) -> None:
    """An empty file, and one whose only line was cut, are histories without a run."""
    given, path = config
    path.write_bytes(content)
    history.configure(given)
    assert given.stash[history.HISTORY].runs == ()
    assert bool(history.header_line(given)) == bool(content.strip())


def test_a_broken_history_does_not_change_the_result(nested: NestedPytest) -> None:
    """A refused file costs one line and starts no run; a cut one is mended by the next line."""
    path = nested.folder / "history.jsonl"
    path.write_bytes(b"no JSON\n")
    ended = run(nested, 0.5)
    assert (ended.status, ended.output.count("line 1 is no run")) == (pytest.ExitCode.USAGE_ERROR, 1)
    assert path.read_bytes() == b"no JSON\n"
    path.write_bytes(json.dumps(LINE).encode() + b"\n" + json.dumps(LINE).encode()[:40])
    ended = run(nested, 0.5)
    assert (ended.status, ended.output.count("history.jsonl: line 2 is no run")) == (0, 1)
    assert len(path.read_bytes().splitlines()) == 3
    assert json.loads(path.read_bytes().splitlines()[2])["word"] == "PASSED"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_a_full_disk_does_not_change_the_result(nested: NestedPytest) -> None:
    """The line of a run that cannot be written is named, and the run has passed."""
    nested.write({"recovery/test_01_kill.py": MODULE.format(seconds=0.5, healthy=True, says=True)})
    ended = nested.run("--history=/dev/full")
    assert ended.status == pytest.ExitCode.OK, ended.output
    assert "--history=/dev/full cannot be written: No space left on device" in ended.output


def test_a_trend_is_of_one_figure() -> None:
    """Figures with another unit or of something else are not drawn in one line; a run without a figure draws none."""
    line = LINE | {"run_id": "b", "scenarios": {"1": [0.75, "s"]}, "labels": {"1": "1.1-start"}}
    runs = [history._run(json.dumps(each).encode()) for each in (LINE, line, LINE | {"scenarios": {"1": [7, "kills"]}})]  # noqa: SLF001 -- as a file is read
    earlier = history.History(tuple(runs))
    restart = Measurement(0.25, "s", 3.0, "", headline=True)
    assert earlier.trend("1", restart) == [0.5, 0.25]
    assert earlier.trend("1", replace(restart, label="1.1-start")) == [0.75, 0.25]
    assert earlier.trend("1", replace(restart, label="1.2-health")) == []
    assert earlier.trend("1", None) == []
