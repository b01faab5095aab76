"""Each mutant fails exactly its declared checks of recovery.

In `make test` a mutant is run in the scenarios of its declared checks; with E2E_LUMEN_WHOLE_MATRIX=1 in all scenarios
of a proxy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from lumen_conformance.run import Run
from lumen_conformance.targets.target import Target
from tests.fixtures.check_session import Outcome
from tests.fixtures.mutations import is_named
from tests.fixtures.scenario_run import checks_of, is_any, recovery, run_scenario, scenarios
from tests.fixtures.suite_subprocess import run as run_suite
from tests.matrix.selection import WHOLE
from tests.mutants.mutants import MUTANTS, UNPROVEN, scenarios_of

AT_ONCE: Final = 3  # mutants: half of the time is a wait; with more of them each start takes longer
Outcomes = Mapping[str, Outcome]  # by check


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest, run: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcomes]:
    """The outcomes of each selected mutant."""
    modules = scenarios()
    base = tmp_path_factory.mktemp("mutants")  # in this thread: others would race for a folder

    def run_mutant(name: str) -> Outcomes:
        target = Target(mutation=name, mutation_files=(MUTANTS[name].file,))
        found: dict[str, Outcome] = {}
        for scenario in scenarios_of(name, whole=WHOLE):
            found |= run_scenario(run, modules[scenario], target, base / f"{name}-{scenario}").outcomes
        return found

    names = {item.name for item in request.session.items}
    selected = [mutant for mutant in MUTANTS if f"test_mutant[{mutant}]" in names]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(selected, pool.map(run_mutant, selected), strict=True))


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant(name: str, outcomes: dict[str, Outcomes], record_property: Callable[[str, object], None]) -> None:
    """A mutant fails exactly its declared checks and perhaps those declared possible; no stage of it ends in error."""
    mutant, found = MUTANTS[name], outcomes[name]
    failed = {check for check, outcome in found.items() if outcome.word == "failed"}
    record_property("mutant", {"name": name, "red": sorted(failed)})
    assert {check for check in failed if not is_any(check, mutant.possible)} == checks_named(mutant.fails), found
    assert {outcome.word for outcome in found.values()} <= {"passed", "failed", "not_judged"}, found


@pytest.mark.parametrize("name", ["usage-is-floored", "flask-missing"])
def test_mutant_in_a_run(name: str, tmp_path: Path) -> None:
    """A run of the suite with --mutation fails the declared checks of the mutant and no other."""
    files = [str(scenarios()[scenario].__file__) for scenario in scenarios_of(name, whole=False)]
    ended = run_suite(tmp_path, "-m", "smoke", "--mutation", name, tests=files)
    assert ended.ids("failed") == checks_named(MUTANTS[name].fails), ended.output
    assert ended.ids("error") == set(), ended.output


def test_every_check_has_a_mutant() -> None:
    """Each check of a scenario with mutants has one that fails it, but the one that no mutant can fail."""
    used = {scenario for mutant in MUTANTS for scenario in scenarios_of(mutant, whole=True)}
    checks = {test.check for scenario in used for test in checks_of(scenarios()[scenario])}
    failed = {name for mutant in MUTANTS.values() for name in mutant.fails}
    assert {check for check in checks if not is_any(check, failed)} == checks_named(UNPROVEN)


def checks_named(names: frozenset[str]) -> set[str]:
    """The ids of the checks with these names; fails for a name without a check."""
    found = {name: {check for check in recovery().checks if is_named(check, name)} for name in names}
    unknown = sorted(name for name, checks in found.items() if not checks)
    assert not unknown, f"no check of recovery that reads a stage has the name {', '.join(unknown)}"
    return set().union(*found.values())
