"""A module with several stages, one of them with variants, is staged in this process and judged as a whole."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from lumen_conformance.run import Run
from lumen_conformance.targets.target import Target
from tests.fixtures import scenario_run
from tests.fixtures.check_session import CheckSession
from tests.fixtures.scenario_run import ScenarioResult, run_scenario
from tests.recovery import conftest

MODULE = '''
"""Scenario 90: one and two."""
from dataclasses import dataclass
from pathlib import Path

import pytest

from lumen_conformance.registry import check, check_each, expect
from lumen_conformance.stages.evidence import stage

@dataclass(frozen=True)
class Number:
    value: int

@stage(scenario=90, variants={"three": 3, "four": 4})
def varied(variant: int) -> Number:
    """Observe a number."""
    return Number(variant)

@stage(scenario=90)
def plain() -> Number:
    """Observe one."""
    return Number(1)

@stage(scenario=90)
def left_out() -> Number:
    """Observe nothing."""
    pytest.skip("not here")

@stage(scenario=90)
def broken() -> Number:
    """Observe nothing."""
    raise RuntimeError("broken")

@check("90.5-broken", source="x")
def test_broken(broken: Number) -> None:
    """There is a number."""

@check("90.1-below-four", source="x")
def test_below(varied: Number) -> None:
    """The number is below four."""
    expect(varied.value < 4, "below 4", f"{varied.value}")

@check_each("limit", {"90.2-at-least-one": 1, "90.3-at-least-two": 2}, source="x")
def test_at_least(plain: Number, limit: int) -> None:
    """The number is at least that."""
    expect(plain.value >= limit, f"at least {limit}", f"{plain.value}")

@check("90.4-other", source="x")
def test_other(left_out: Number) -> None:
    """There is a number."""
'''


@pytest.fixture
def scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module above, as the only one of a session."""
    (tmp_path / "test_90_numbers.py").write_text(MODULE, "utf-8")
    session = CheckSession(str(tmp_path), conftest=conftest, without=frozenset({"skip"}))
    monkeypatch.setattr(scenario_run, "recovery", lambda: session)
    module: ModuleType = session.tests[0].item.module
    return module


def endings_of(result: ScenarioResult) -> dict[str, str]:
    """How each check ended."""
    return {check: outcome.word for check, outcome in result.outcomes.items()}


def test_each_variant_is_staged(scenario: ModuleType, run: Run, tmp_path: Path) -> None:
    """A check that fails for one variant has failed; checks of a skipped stage are skipped, of a failed one errors."""
    assert endings_of(run_scenario(run, scenario, Target(), tmp_path / "staged")) == {
        "90.1-below-four": "failed",
        "90.2-at-least-one": "passed",
        "90.3-at-least-two": "failed",
        "90.4-other": "skipped",
        "90.5-broken": "error",
    }


def test_only_the_stages_of_named_checks_are_run(scenario: ModuleType, run: Run, tmp_path: Path) -> None:
    """With the name of a check only its stages are run, with all checks that read them."""
    result = run_scenario(run, scenario, Target(), tmp_path / "staged", names=["90.2"])
    assert endings_of(result) == {"90.2-at-least-one": "passed", "90.3-at-least-two": "failed"}
