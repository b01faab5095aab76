"""The league counts what a server did, and apart from it what the suite could not do."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def path_of_the_league(monkeypatch: pytest.MonkeyPatch) -> None:
    """A script's own package, on its own path."""
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])


def note(check: str, expected: str, found: str) -> dict[str, Any]:
    """A failure as the league keeps it."""
    told = f"{check} (M) broken: A claim\n  expected: {expected}\n  found:    {found}\n  repeat:   curl -sS http://127.0.0.1:1/"
    return {"nodeid": f"tests/contract/test_x.py::test_x[{check}]", "failure": told, "sections": {}}


def test_a_fault_of_the_suite_is_no_failure() -> None:
    """An ERROR is told apart from failed checks, in the row and below it."""
    from league import judging, pages, servers  # noqa: PLC0415 -- see path_of_the_league

    ends = {"F8": "passed", "C4.1": "failed", "G7.1": "error"}
    verdicts = tuple({"id": check, "outcome": outcome} for check, outcome in ends.items())
    page = "\n".join(pages.table([judging.Outcome(servers.SERVERS[0], verdicts)]))
    assert "| passed | failed | reported | skipped | not judged |" in page
    assert "| 1 | 1 | 0 | 0 | 1 |" in page
    assert "Checks of tier M that failed: C4.1.\n" in page
    assert "not of the server: G7.1.\n" in page


def test_failures_that_look_alike_stand_together() -> None:
    """They are one entry with all their checks, whatever numbers the server's text has; another status is another."""
    from league import judging, pages, servers, summary  # noqa: PLC0415 -- see path_of_the_league

    notes = (
        note("G3.400", "an envelope", "'Error code: 400 - scripted failure'"),
        note("F2.stop-five", "a 4xx, not 422", "status 200, complete"),
        note("G3.502", "an envelope", "'Error code: 502 - scripted failure'"),
        note("F2.json-cut", "a 4xx, not 422", "status 500, complete"),
    )
    outcome = judging.Outcome(servers.SERVERS[0], notes=notes)
    assert [each["checks"] for each in summary.line(outcome)["failures"]] == [
        ["G3.400", "G3.502"], ["F2.json-cut"], ["F2.stop-five"],
    ]  # fmt: skip
    page = "\n".join(pages.appendix([outcome]))
    assert "### G3.400 and 1 more\n\nAlso: G3.502." in page


def test_a_name_that_no_server_has(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown name is refused with the names that there are."""
    from league import __main__ as league  # noqa: PLC0415 -- see path_of_the_league

    assert league.main(["litelm"]) == 2
    assert "unknown server litelm; expected: litellm, lm-proxy" in capsys.readouterr().err
