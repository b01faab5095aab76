"""Every one of the seventeen checks has been seen to fail, each fault in exactly its declared checks."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.twins.twins import SEVENTEEN, TWINS, table

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs" / "twins.md"
RUN_BUDGET_S = 120.0  # a healthy run takes 5 s here; the slowest twins wait out budgets of 10 s three times


@pytest.mark.parametrize("twin", TWINS)
def test_twin_turns_its_checks_red(twin: str, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """A run of the seventeen against the twin is red in exactly the declared checks, and none of them is an ERROR."""
    verdicts = tmp_path / "verdicts.jsonl"
    own = ["--basetemp", tmp_path / "inner"]  # many runs at once would race for a numbered folder
    options = [
        *own,
        "-m",
        "seventeen",
        "-n0",
        "--sabotage",
        twin,
        "--verdicts",
        verdicts,
        "--html",
        tmp_path / "report.html",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "tests/recovery", "-p", "no:cacheprovider", *map(str, options)],
        cwd=ROOT, capture_output=True, encoding="utf-8", errors="replace", timeout=RUN_BUDGET_S, check=False,
    )  # fmt: skip
    assert verdicts.exists(), done.stdout + done.stderr
    lines = [json.loads(line) for line in verdicts.read_text("utf-8").splitlines()]
    outcome = {line["id"].partition("-")[0]: line["outcome"] for line in lines}
    red = frozenset(check for check, verdict in outcome.items() if verdict == "failed")
    record_property("twin", {"name": twin, "red": sorted(red)})
    assert set(outcome) == set(SEVENTEEN), done.stdout
    assert (sorted(red), set(outcome.values()) - {"passed"}) == (sorted(TWINS[twin]), {"failed"}), done.stdout


def test_every_check_has_a_twin() -> None:
    """No check is without a fault that fails it."""
    assert sorted(set(SEVENTEEN) - frozenset().union(*TWINS.values())) == []


def test_table_in_the_docs() -> None:
    """The table in the docs is the one that these tests hold."""
    assert table(TWINS) in DOCS.read_text("utf-8")
