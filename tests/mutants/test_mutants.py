"""Every one of the seventeen checks has been seen to fail, each fault in exactly its declared checks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fixtures.repository import ROOT
from tests.fixtures.suite_subprocess import run
from tests.mutants.mutants import DETAILS, ENVIRONMENT, SEVENTEEN, TWINS, UNSEEN, is_of_environment, table

DOCS = ROOT / "docs" / "mutants.md"
OF_PROXY = tuple(f"tests/recovery/test_{name}.py" for name in ("01_process_kill", "02_port_conflict", "04_functional"))
OF_ENVIRONMENT = ("tests/recovery/test_03_environment.py",)


@pytest.mark.parametrize("twin", TWINS)
def test_twin_turns_its_checks_red(twin: str, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """A run against the twin is red in exactly the declared checks; the others pass, or are not judged."""
    of_environment = is_of_environment(twin)
    ended = run(tmp_path, "-m", "smoke", "--sabotage", twin, tests=OF_ENVIRONMENT if of_environment else OF_PROXY)
    asked = {each for each in (*SEVENTEEN, *DETAILS) if each.startswith(ENVIRONMENT) == of_environment}
    outcome = {number_of(line["id"]): line["outcome"] for line in ended.verdicts}
    red = frozenset(check for check, verdict in outcome.items() if verdict == "failed")
    record_property("twin", {"name": twin, "red": sorted(red)})
    assert set(outcome) == asked, ended.output
    assert sorted(red) == sorted(TWINS[twin]), ended.output
    assert set(outcome.values()) <= {"passed", "failed", "not_judged"}, ended.output


def number_of(check: str) -> str:
    """The number of one of the seventeen, or the whole id of a detail."""
    return check if check in DETAILS else check.partition("-")[0]


def test_every_check_has_a_twin() -> None:
    """No check is without a fault that fails it, but for the one that no fault of a server can fail."""
    assert {*SEVENTEEN, *DETAILS} - frozenset().union(*TWINS.values()) == UNSEEN


def test_table_in_the_docs() -> None:
    """The table in the docs is the one that these tests hold."""
    assert table(TWINS) in DOCS.read_text("utf-8")
