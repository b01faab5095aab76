"""The runner of the matrix and pytest itself come to the same verdicts about the same target."""

import json
import subprocess
import sys
from pathlib import Path

from tests.fixtures.faults.catalogue import FAULTS
from tests.fixtures.faults.fault import Fault
from tests.fixtures.report.checks import parameters_of
from tests.fixtures.targets import ROOT
from tests.matrix.judging import is_slow, judge
from tests.matrix.running import Asked, contract

RUN_BUDGET_S = 120.0  # ten seconds here: a launch for each proxy that the contract needs, and 800 tests
FAULT = FAULTS["C48-streams-unasked"]  # the one that is seen by most checks
COMMAND = f"{sys.executable} -m tests.fixtures.faults --port {{port}} --gateway {{gateway_url}} --fault {FAULT.name}"
SLOW = "silent or dripping or idling or large or split or huge or F7 or gone or crowd"
WORDS = {"warned": "failed"}  # of tier W; the runner knows no tiers


def test_same_verdicts(tmp_path: Path) -> None:
    """The fault is launched by its command, in a run of pytest: what fails there fails here, and nothing else."""
    by_pytest = _by_pytest(FAULT, tmp_path / "verdicts.jsonl", tmp_path / "report.html")
    tests = [test for test in contract(FAULT.profile).tests if not is_slow(test) and _key(test) in by_pytest]
    here = {_key(test): outcome.word for test, outcome in judge(FAULT, tuple(tests)).items()}
    assert len(here) > 700
    assert here == {key: by_pytest[key] for key in here}


def _key(test: Asked) -> tuple[str, str]:
    """What a verdict record calls a test: the id of its check, and its other parameters."""
    checks = [check for mark in test.item.iter_markers("check") for check in mark.args if check.id == test.check]
    return test.check, parameters_of(test.item, checks[0])


def _by_pytest(fault: Fault, verdicts: Path, page: Path) -> dict[tuple[str, str], str]:
    """Check and parameters to outcome; what the command line does not declare (keys, tools) is left out."""
    declared = ["--proxy-command", COMMAND, "--proxy-profile", fault.profile, "--proxy-can", "models,health"]
    chosen = ["-m", "contract and not clients", "-k", f"not ({SLOW})", "-n0", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "tests/contract", *chosen, *declared, "--verdicts", verdicts, "--html", page],
        cwd=ROOT, capture_output=True, encoding="utf-8", errors="replace", timeout=RUN_BUDGET_S, check=False,
    )  # fmt: skip
    lines = [json.loads(line) for line in verdicts.read_text("utf-8").splitlines()]
    assert lines, done.stdout
    outcomes = {(line["id"], line["param"] or ""): line["outcome"] for line in lines}
    return {key: WORDS.get(word, word) for key, word in outcomes.items() if word != "skipped"}
