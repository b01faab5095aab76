"""The runner of the matrix and pytest itself come to the same verdicts about the same target."""

import json
import subprocess
import sys
from pathlib import Path

from lumen_conformance.registry.declaration import parameters_of
from tests.fixtures.faults.catalogue import FAULTS
from tests.fixtures.repository import ROOT
from tests.matrix.fault_run import function_of, is_slow, judge
from tests.matrix.in_process_runner import Asked, contract

RUN_BUDGET_S = 120.0  # five seconds here: a launch for each proxy that the contract needs, and 250 tests
# Rows of one test are alike to a runner: one of each test, and every seventh of all. The tables have periods of 2 to 5.
EVERY = 7
LEAST = 200  # of them are compared: 249 today
FAULT = FAULTS["C48-streams-unasked"]  # the one that is seen by most checks
COMMAND = f"{sys.executable} -m tests.fixtures.faults --port {{port}} --gateway {{gateway_url}} --fault {FAULT.name}"
WORDS = {"warned": "failed"}  # of tier W; the runner knows no tiers


def test_same_verdicts(tmp_path: Path) -> None:
    """The fault is launched by its command, in a run of pytest: what fails there fails here, and nothing else."""
    chosen = _chosen(contract(FAULT.profile).tests)
    by_pytest = _by_pytest(chosen, tmp_path / "verdicts.jsonl", tmp_path / "report.html")
    declared = tuple(test for test in chosen if _key(test) in by_pytest)
    here = {_key(test): outcome.word for test, outcome in judge(FAULT, declared).items()}
    assert len(here) > LEAST
    assert set(here.values()) == {"passed", "failed", "not_judged"}
    assert here == by_pytest


def _chosen(tests: tuple[Asked, ...]) -> list[Asked]:
    """The first row of each test, and every seventh of all; none that waits for seconds."""
    quick = [test for test in tests if not is_slow(test)]
    first = {function_of(test): number for number, test in reversed(list(enumerate(quick)))}
    drawn = {*range(0, len(quick), EVERY), *first.values()}
    return [test for number, test in enumerate(quick) if number in drawn]


def _key(test: Asked) -> tuple[str, str]:
    """What a verdict record calls a test: the id of its check, and its other parameters."""
    checks = [check for mark in test.item.iter_markers("check") for check in mark.args if check.id == test.check]
    return test.check, parameters_of(test.item, checks[0])


def _by_pytest(tests: list[Asked], verdicts: Path, page: Path) -> dict[tuple[str, str], str]:
    """Check and parameters to outcome; what the command line does not declare (keys, tools) is left out."""
    declared = ["--proxy-command", COMMAND, "--proxy-profile", FAULT.profile, "--proxy-can", "models,health"]
    chosen = [*(test.item.nodeid for test in tests), "-n0", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *chosen, *declared, "--verdicts", verdicts, "--html", page],
        cwd=ROOT, capture_output=True, encoding="utf-8", errors="replace", timeout=RUN_BUDGET_S, check=False,
    )  # fmt: skip
    lines = [json.loads(line) for line in verdicts.read_text("utf-8").splitlines()]
    assert lines, done.stdout
    outcomes = {(line["id"], line["param"] or ""): line["outcome"] for line in lines}
    return {key: WORDS.get(word, word) for key, word in outcomes.items() if word != "skipped"}
