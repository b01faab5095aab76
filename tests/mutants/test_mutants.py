"""Each mutant fails exactly its declared checks of recovery.

In `make test` a mutant is run in the scenarios of its declared checks; with E2E_LUMEN_WHOLE_MATRIX=1 in all scenarios
of a proxy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from lumen_conformance.run import Run
from lumen_conformance.targets.target import MUTATION_FILES, Target
from tests.fixtures.check_session import Outcome
from tests.fixtures.repository import ROOT
from tests.fixtures.scenario_run import checks_of, run_scenario, scenarios
from tests.fixtures.suite_subprocess import run as run_suite
from tests.matrix.selection import WHOLE
from tests.mutants.mutants import MUTANTS, UNPROVEN, scenarios_of, table

DOCS: Final = ROOT / "docs" / "mutants.md"
AT_ONCE: Final = 3  # mutants: half of the time is a wait; with more of them each start takes longer
Outcomes = Mapping[str, Outcome]  # by the number of the check


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest, run: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcomes]:
    """The outcomes of each selected mutant."""
    modules, files = scenarios(), request.config.stash[MUTATION_FILES]
    base = tmp_path_factory.mktemp("mutants")  # in this thread: others would race for a folder

    def run_mutant(mutant: str) -> Outcomes:
        target = Target(mutation=mutant, mutation_files=files)
        found: dict[str, Outcome] = {}
        for scenario in scenarios_of(mutant, whole=WHOLE):
            found |= run_scenario(run, modules[scenario], target, base / f"{mutant}-{scenario}").outcomes
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
    assert failed == sorted(MUTANTS[mutant]), found
    assert {outcome.word for outcome in found.values()} <= {"passed", "failed", "not_judged"}, found


@pytest.mark.parametrize("mutant", ["usage-is-floored", "flask-missing"])
def test_mutant_in_a_run(mutant: str, tmp_path: Path) -> None:
    """A run of the suite with --mutation fails the declared checks of the mutant and no other."""
    files = [str(scenarios()[scenario].__file__) for scenario in scenarios_of(mutant, whole=False)]
    ended = run_suite(tmp_path, "-m", "smoke", "--mutation", mutant, tests=files)
    assert {number_of(check) for check in ended.ids("failed")} == MUTANTS[mutant], ended.output
    assert ended.ids("error") == set(), ended.output


def test_every_check_has_a_mutant() -> None:
    """Each check of a scenario with mutants has one that fails it, but the one that no mutant can fail."""
    used = {scenario for mutant in MUTANTS for scenario in scenarios_of(mutant, whole=True)}
    checks = {number_of(test.check) for scenario in used for test in checks_of(scenarios()[scenario])}
    assert checks - frozenset().union(*MUTANTS.values()) == UNPROVEN


def test_table_in_the_docs() -> None:
    """The docs have the table of the mutants (`make docs`)."""
    assert table(MUTANTS) in DOCS.read_text("utf-8")


def number_of(check: str) -> str:
    """The number in an id such as 1.4-automatic-restart; an id without a title, such as 1.4.1-generation, as it is."""
    found = re.match(r"(\d+\.\d+)-", check)
    return found[1] if found else check
