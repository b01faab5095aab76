"""The runner of the matrix and pytest give the same outcomes for the same target."""

import json
import subprocess
import sys
from pathlib import Path

from lumen_conformance.registry.declaration import parameters_of
from tests.fixtures.collected_checks import CheckItem
from tests.fixtures.faults.catalogue import FAULTS
from tests.fixtures.repository import ROOT
from tests.matrix.contract import contract
from tests.matrix.fault_run import run_fault
from tests.matrix.selection import function_of, is_slow

RUN_BUDGET_S = 120.0  # five seconds here: a launch for each proxy that the contract needs, and 250 tests
# Rows of one test have the same fixtures: one of each, and every seventh of all. The tables have periods of 2 to 5.
EVERY = 7
LEAST = 200  # checks that are compared, of some 1,200
FAULT = FAULTS["C48-streams-unasked"]  # it fails most checks
COMMAND = f"{sys.executable} -m tests.fixtures.faults --port {{port}} --gateway {{gateway_url}} --fault {FAULT.name}"
SAME = {"warned": "failed"}  # the runner does not use tiers


def test_same_verdicts(tmp_path: Path) -> None:
    """Each check ends in this process as it ends in a run of pytest that launches the fault by its command."""
    chosen = _chosen(contract(FAULT.profile).tests)
    by_pytest = _by_pytest(chosen, tmp_path / "verdicts.jsonl", tmp_path / "report.html")
    declared = tuple(test for test in chosen if _key(test) in by_pytest)
    here = {_key(test): outcome.word for test, outcome in run_fault(FAULT, declared).items()}
    assert len(here) > LEAST
    assert set(here.values()) == {"passed", "failed", "not_judged"}
    assert here == by_pytest


def _chosen(tests: tuple[CheckItem, ...]) -> list[CheckItem]:
    """The first row of each test, and every seventh of all; none that takes seconds."""
    quick = [test for test in tests if not is_slow(test)]
    first = {function_of(test): number for number, test in reversed(list(enumerate(quick)))}
    drawn = {*range(0, len(quick), EVERY), *first.values()}
    return [test for number, test in enumerate(quick) if number in drawn]


def _key(test: CheckItem) -> tuple[str, str]:
    """The id of the check and the other parameters, as a verdict record has them."""
    checks = [check for mark in test.item.iter_markers("check") for check in mark.args if check.id == test.check]
    return test.check, parameters_of(test.item, checks[0])


def _by_pytest(tests: list[CheckItem], verdicts: Path, page: Path) -> dict[tuple[str, str], str]:
    """Check and parameters → outcome, without what is skipped because the command line does not declare it."""
    declared = ["--proxy-command", COMMAND, "--proxy-profile", FAULT.profile, "--proxy-can", "models,health"]
    chosen = [*(test.item.nodeid for test in tests), "-n0", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *chosen, *declared, "--verdicts", verdicts, "--html", page],
        cwd=ROOT, capture_output=True, encoding="utf-8", errors="replace", timeout=RUN_BUDGET_S, check=False,
    )  # fmt: skip
    lines = [json.loads(line) for line in verdicts.read_text("utf-8").splitlines()]
    assert lines, done.stdout
    outcomes = {(line["id"], line["param"] or ""): line["outcome"] for line in lines}
    return {key: SAME.get(word, word) for key, word in outcomes.items() if word != "skipped"}
