"""Each mutant fails exactly its declared checks of recovery.

A selected mutant (`make mutants`, or ``-k``) is run in the whole scenarios of its declared checks and in a control
scenario, which must stay green; one of a sample (`make test`) in the stages that its declared checks read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from lumen_conformance.cli.list_checks import read
from lumen_conformance.run import Run
from lumen_conformance.targets.target import Target
from tests.fixtures.check_session import Outcome
from tests.fixtures.mutant_sample import SAMPLED
from tests.fixtures.mutations import is_named
from tests.fixtures.scenario_run import is_any, recovery, run_scenario, scenarios
from tests.fixtures.suite_subprocess import run as run_suite
from tests.mutants.missing import listed, missing
from tests.mutants.mutants import ENVIRONMENT, MUTANTS, WITHOUT_MUTANT, control_of

AT_ONCE: Final = 3  # mutants: half of the time is a wait; with more of them each start takes longer


@dataclass(frozen=True)
class MutantRun:
    """The outcomes by check, and how long the mutant took."""

    outcomes: Mapping[str, Outcome]
    seconds: float


class MutantRuns:
    """Runs mutants, a few at once, when the first of these few is asked for."""

    def __init__(self, names: list[str], at_once: int, run_mutant: Callable[[str], MutantRun]) -> None:
        self._names, self._at_once, self._run_mutant = names, at_once, run_mutant
        self._done: dict[str, MutantRun] = {}

    def of(self, name: str) -> MutantRun:
        """The run of a mutant."""
        if name not in self._done:
            first = self._names.index(name)
            batch = self._names[first : first + self._at_once]
            with ThreadPoolExecutor(self._at_once) as pool:
                self._done |= zip(batch, pool.map(self._run_mutant, batch), strict=True)
        return self._done[name]


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest, run: Run, tmp_path_factory: pytest.TempPathFactory) -> MutantRuns:
    """The selected mutants. Parallel workers share those of `make mutants`; one worker has all of a sample."""
    modules, whole = scenarios(), not getattr(request.config.option, SAMPLED, False)
    base = tmp_path_factory.mktemp("mutants")  # in this thread: others would race for a folder

    def run_mutant(name: str) -> MutantRun:
        mutant, found, begun = MUTANTS[name], dict[str, Outcome](), time.monotonic()
        target = Target(mutation=name, mutation_files=(mutant.file,))
        names = None if whole and ENVIRONMENT not in mutant.scenarios else mutant.fails
        control = {control_of(mutant)} - {""} if whole else set()
        for scenario in sorted(mutant.scenarios | control, key=int):
            found |= run_scenario(run, modules[scenario], target, base / f"{name}-{scenario}", names).outcomes
        return MutantRun(found, time.monotonic() - begun)

    names = {item.name for item in request.session.items}
    selected = [name for name in MUTANTS if f"test_mutant[{name}]" in names]
    shared = whole and hasattr(request.config, "workerinput")
    return MutantRuns(selected, 1 if shared else AT_ONCE, run_mutant)


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant(name: str, runs: MutantRuns, record_property: Callable[[str, object], None]) -> None:
    """A mutant fails exactly its declared checks and perhaps those declared possible; no stage of it ends in error."""
    mutant, found = MUTANTS[name], runs.of(name).outcomes
    declared = checks_named(mutant.fails)
    failed = {check for check, outcome in found.items() if outcome.word == "failed"}
    record_property("mutant", {"name": name, "red": sorted(failed), "seconds": runs.of(name).seconds})
    if skipped := [found[check].reason for check in sorted(declared) if found[check].word == "skipped"]:
        pytest.skip(skipped[0])
    assert {check for check in failed if not is_any(check, mutant.possible)} == declared, found
    assert {outcome.word for outcome in found.values()} <= {"passed", "failed", "not_judged", "skipped"}, found


@pytest.mark.parametrize("name", ["usage-is-floored", "flask-missing"])
def test_mutant_in_a_run(name: str, tmp_path: Path) -> None:
    """A run of the suite with --mutation fails the declared checks of the mutant and no other."""
    files = [str(scenarios()[scenario].__file__) for scenario in sorted(MUTANTS[name].scenarios, key=int)]
    ended = run_suite(tmp_path, "-m", "smoke", "--mutation", name, tests=files)
    assert ended.ids("failed") == checks_named(MUTANTS[name].fails), ended.output
    assert ended.ids("error") == set(), ended.output


def test_every_check_has_a_mutant() -> None:
    """Each check of recovery has a mutant that fails it, or no mutant can; missing.txt has those still without one."""
    found = missing()
    assert sorted(found - set(listed())) == [], "write a mutant for each, or a line of missing.txt"
    assert sorted(set(listed()) - found) == [], "make docs removes these from missing.txt"
    assert WITHOUT_MUTANT.keys() <= {check["id"] for check in read()}


def checks_named(names: frozenset[str]) -> set[str]:
    """The ids of the checks with these names; fails for a name without a check."""
    found = {name: {check for check in recovery().checks if is_named(check, name)} for name in names}
    unknown = sorted(name for name, checks in found.items() if not checks)
    assert not unknown, f"no check of recovery that reads a stage has the name {', '.join(unknown)}"
    return set().union(*found.values())
