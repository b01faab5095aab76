"""Each mutant fails exactly its declared checks of recovery.

In `make test` a mutant is run in the scenarios of its declared checks; with E2E_LUMEN_WHOLE_MATRIX=1 in all scenarios
of a proxy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

from lumen_conformance.run import Run
from lumen_conformance.targets.target import MUTATION_FILES, Target
from tests.fixtures.check_runner import Outcome
from tests.fixtures.repository import ROOT
from tests.fixtures.scenario_run import recovery, run_scenario
from tests.fixtures.suite_subprocess import run as run_suite
from tests.matrix.selection import WHOLE
from tests.mutants.mutants import DETAILS, MUTANTS, SEVENTEEN, UNPROVEN, scenario_of, scenarios_of, table
from tests.recovery import test_01_process_kill, test_02_port_conflict, test_03_environment, test_04_functional

DOCS: Final = ROOT / "docs" / "mutants.md"
SCENARIOS: Final[Mapping[str, ModuleType]] = {
    "1": test_01_process_kill,
    "2": test_02_port_conflict,
    "3": test_03_environment,
    "4": test_04_functional,
}
AT_ONCE: Final = 3  # mutants: half of the time is a wait; with more of them each start takes longer
Outcomes = Mapping[str, Outcome]  # by the number of the check


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest, run: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcomes]:
    """The outcomes of each selected mutant."""
    recovery()  # pytest collects in this thread
    files = request.config.stash[MUTATION_FILES]

    def run_mutant(mutant: str) -> Outcomes:
        target = Target(sabotage=mutant, sabotages=files)
        found: dict[str, Outcome] = {}
        for scenario in scenarios_of(mutant, whole=WHOLE):
            folder = tmp_path_factory.mktemp("mutant")
            found |= run_scenario(run, SCENARIOS[scenario], target, folder).outcomes
        return {number_of(check): outcome for check, outcome in found.items()}

    names = {item.name for item in request.session.items}
    selected = [mutant for mutant in MUTANTS if f"test_mutant[{mutant}]" in names]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(selected, pool.map(run_mutant, selected), strict=True))


@pytest.mark.parametrize("mutant", MUTANTS)
def test_mutant(mutant: str, outcomes: dict[str, Outcomes], record_property: Callable[[str, object], None]) -> None:
    """A mutant fails exactly its declared checks; the others pass, or are not judged."""
    found = outcomes[mutant]
    failed = sorted(check for check, outcome in found.items() if outcome.word == "failed")
    record_property("mutant", {"name": mutant, "red": failed})
    run_scenarios = scenarios_of(mutant, whole=WHOLE)
    assert set(found) == {check for check in (*SEVENTEEN, *DETAILS) if scenario_of(check) in run_scenarios}
    assert failed == sorted(MUTANTS[mutant]), found
    assert {outcome.word for outcome in found.values()} <= {"passed", "failed", "not_judged"}, found


def number_of(check: str) -> str:
    """The number of one of the seventeen, or the whole id of a detail."""
    return check if check in DETAILS else check.partition("-")[0]


@pytest.mark.parametrize("mutant", ["usage-is-floored", "flask-missing"])
def test_mutant_in_a_run(mutant: str, tmp_path: Path) -> None:
    """A run of the suite with --sabotage fails the declared checks of the mutant and no other."""
    files = [str(SCENARIOS[scenario].__file__) for scenario in scenarios_of(mutant, whole=False)]
    ended = run_suite(tmp_path, "-m", "smoke", "--sabotage", mutant, tests=files)
    assert {number_of(check) for check in ended.ids("failed")} == MUTANTS[mutant], ended.output
    assert ended.ids("error") == set(), ended.output


def test_every_check_has_a_mutant() -> None:
    """Each check has a mutant that fails it, but the one that no mutant can fail."""
    assert {*SEVENTEEN, *DETAILS} - frozenset().union(*MUTANTS.values()) == UNPROVEN


def test_table_in_the_docs() -> None:
    """The docs have the table of the mutants (`make docs`)."""
    assert table(MUTANTS) in DOCS.read_text("utf-8")
