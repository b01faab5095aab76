"""Every one of the seventeen checks has been seen to fail, each fault in exactly its declared checks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fixtures.outer import run
from tests.fixtures.targets import ROOT
from tests.twins.twins import SEVENTEEN, TWINS, table

DOCS = ROOT / "docs" / "twins.md"


@pytest.mark.parametrize("twin", TWINS)
def test_twin_turns_its_checks_red(twin: str, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """A run of the seventeen against the twin is red in exactly the declared checks, and none of them is an ERROR."""
    ended = run(tmp_path, "-m", "seventeen", "--sabotage", twin, tests=["tests/recovery"])
    outcome = {line["id"].partition("-")[0]: line["outcome"] for line in ended.verdicts}
    red = frozenset(check for check, verdict in outcome.items() if verdict == "failed")
    record_property("twin", {"name": twin, "red": sorted(red)})
    assert set(outcome) == set(SEVENTEEN), ended.output
    assert (sorted(red), set(outcome.values()) - {"passed"}) == (sorted(TWINS[twin]), {"failed"}), ended.output


def test_every_check_has_a_twin() -> None:
    """No check is without a fault that fails it."""
    assert sorted(set(SEVENTEEN) - frozenset().union(*TWINS.values())) == []


def test_table_in_the_docs() -> None:
    """The table in the docs is the one that these tests hold."""
    assert table(TWINS) in DOCS.read_text("utf-8")
