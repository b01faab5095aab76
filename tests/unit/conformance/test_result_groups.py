"""The row of a scenario shows what its checks have measured, and how many of them passed."""

from __future__ import annotations

from dataclasses import astuple

import pytest

from lumen_conformance.registry.measurement import Measurement
from lumen_conformance.report.result_groups import ResultGroup
from lumen_conformance.report.results import Outcome, Result
from tests.unit.conformance.report_results import entry_of, result_of

START = Measurement(0.8, "s", 10.0, "", headline=False)
DRAIN = Measurement(0.9, "s", 1.0, "drain", headline=False)
RESTART = Measurement(0.4, "s", 3.0, "", headline=True)


def group(*results: Result, missing: int = 0) -> ResultGroup:
    """Return the group of scenario 1."""
    never_ran = tuple(entry_of(f"1.9-{n}", scenario=1) for n in range(missing))
    return ResultGroup("1", "A kill.", results, never_ran)


def check(number: str, outcome: Outcome = "passed", *figures: Measurement) -> Result:
    return result_of(entry_of(number, scenario=1), outcome, *figures)


def test_the_marked_figure_is_shown() -> None:
    """The marked figure is shown, also where another is nearer to its budget, and where a check fails."""
    measured = [check("1.1-start", "passed", DRAIN), check("1.4-restart", "failed", RESTART)]
    assert group(*measured).headline == RESTART


def test_a_figure_that_is_not_marked_has_a_name() -> None:
    """Without a marked figure the row has the time that is nearest to its budget, named by its label or its check."""
    measured = [check("1.1-start", "passed", START), check("1.3-drain", "passed", DRAIN)]
    shown = [each.headline for each in (group(*measured), group(measured[0]))]
    assert [each and astuple(each)[:4] for each in shown] == [(0.9, "s", 1.0, "drain"), (0.8, "s", 10.0, "1.1-start")]


@pytest.mark.parametrize("outcome", ["failed", "error", "not_judged"])
def test_a_failed_scenario_shows_no_other_figure(outcome: Outcome) -> None:
    """Where a check was not passed, a missing recovery time is not replaced by the time of a start."""
    assert group(check("1.1-start", "passed", START), check("1.4-restart", outcome)).headline is None


def test_an_interrupted_scenario_shows_no_other_figure() -> None:
    """Where a check never ran, the same holds."""
    assert group(check("1.1-start", "passed", START), missing=1).headline is None


def test_a_warned_check_has_not_passed() -> None:
    """Checks that warned are counted apart from those that passed; skipped ones do not apply."""
    found = group(check("1.1"), check("1.2", "warned"), check("1.3", "skipped"), check("1.4", "baselined"), missing=1)
    assert (found.passed, found.warned, found.total) == (1, 1, 4)
