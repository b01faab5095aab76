"""Progress on a terminal: how many tests have ended and failed, and the time left."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from lumen_conformance.report import progress
from lumen_conformance.report.results import RESULTS


@pytest.mark.parametrize(
    ("counts", "elapsed_s", "text"),
    [
        ((3, 12, 1), 30.0, "3/12, 1 failed, about 1:30 left"),
        ((3, 12, 0), progress.FIRST_ESTIMATE_S, "3/12, about 0:06 left"),
        ((3, 12, 0), progress.FIRST_ESTIMATE_S - 0.1, "3/12"),
        ((0, 12, 0), 30.0, "0/12"),
        ((12, 12, 0), 30.0, "12/12, about 0:00 left"),
    ],
)
def test_the_line(counts: tuple[int, int, int], elapsed_s: float, text: str) -> None:
    """The line has ended and selected tests, failures if any, and an estimate once it means something."""
    assert progress.line(*counts, elapsed_s) == text


def test_what_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test has ended after its teardown, or when a phase has failed; it fails once, however many phases fail."""
    monkeypatch.setattr(progress, "BETWEEN_S", 0.0)
    written: list[str] = []
    config: Any = SimpleNamespace(stash={RESULTS: SimpleNamespace(expected=frozenset("abcd"))})
    reporter: Any = SimpleNamespace(write=lambda text, **_: written.append(text.removeprefix(progress.ERASE_LINE)))
    shown = progress.Progress(config, reporter)
    phases = [("a", "setup", 0), ("a", "teardown", 0), ("b", "setup", 1), ("b", "teardown", 1), ("c", "call", 0)]
    for nodeid, when, failed in phases:
        report: Any = SimpleNamespace(nodeid=nodeid, when=when, failed=bool(failed))
        shown.add_report(report)
    shown.finish()
    assert written == ["0/4", "1/4", "2/4, 1 failed", "2/4, 1 failed", "2/4, 1 failed", ""]
