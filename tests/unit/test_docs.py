"""What the documents say is what the suite has."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import pytest

from tests.fixtures.report.checks import Check, claim_of
from tests.fixtures.report.selection import SEVENTEEN

ROOT = Path(__file__).resolve().parents[2]
SCENARIOS = ("test_01_process_kill", "test_02_port_conflict", "test_03_environment", "test_04_functional")


def seventeen() -> list[str]:
    """The rows of the table: id and claim of each of the seventeen, as pytest collects them."""
    rows = []
    for module in SCENARIOS:
        for _, test in inspect.getmembers(importlib.import_module(f"tests.recovery.{module}"), inspect.isfunction):
            marks = [mark for mark in getattr(test, "pytestmark", []) if mark.name == "check"]
            checks = [one for mark in marks for one in mark.args if isinstance(one, Check)]
            rows += [f"| {c.id} | {c.claim or claim_of(test)} |" for c in checks if c.id.partition("-")[0] in SEVENTEEN]
    return sorted(rows)


def test_the_seventeen_in_the_readme() -> None:
    """The table of the README has the ids and the claims of the seventeen checks, and nothing else."""
    text = (ROOT / "README.md").read_text("utf-8")
    table = text.partition("<!-- seventeen: begin")[2].partition("<!-- seventeen: end")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ") and not line.startswith("| check ")]
    assert len(rows) == 17
    assert rows == seventeen()


def test_links_in_the_readme_lead_somewhere() -> None:
    """Every file that the README links to is there."""
    links = re.findall(r"\]\(([^)#:]+)\)", (ROOT / "README.md").read_text("utf-8"))
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.parametrize("command", ["recovery", "test", "smoke", "lint", "demo", "help"])
def test_commands_in_the_readme(command: str) -> None:
    """Each make command of the README is a target of the Makefile."""
    assert f"make {command}" in (ROOT / "README.md").read_text("utf-8")
    assert f"\n{command}:" in (ROOT / "Makefile").read_text("utf-8")
