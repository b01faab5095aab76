"""Prints the table of the mutants that were run."""

from __future__ import annotations

import pytest

from tests.fixtures.matrix_records import list_red_checks
from tests.mutants.mutants import table


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print which checks each mutant failed in this run."""
    if failed := {name: frozenset(checks) for name, checks in list_red_checks(terminalreporter, "mutant")}:
        terminalreporter.section("mutant x check (x = failed)")
        terminalreporter.write_line(table(failed))
