"""The league counts what a server did, and apart from it what the suite could not do."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def test_a_fault_of_the_suite_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """An ERROR is told apart from failed checks, in the row and below it."""
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    from league import judging, pages, servers  # noqa: PLC0415 -- a script's own package, on its own path

    ends = {"F8": "passed", "C4.1": "failed", "G7.1": "error"}
    verdicts = tuple({"id": check, "outcome": outcome} for check, outcome in ends.items())
    page = "\n".join(pages.table([judging.Outcome(servers.SERVERS[0], verdicts)]))
    assert "| passed | failed | reported | skipped | not judged |" in page
    assert "| 1 | 1 | 0 | 0 | 1 |" in page
    assert "Checks of tier M that failed: C4.1.\n" in page
    assert "not of the server: G7.1.\n" in page
