"""Prints the table twin × check of the twins that were run."""

from __future__ import annotations

import pytest

from tests.fixtures.matrix_records import list_red_checks
from tests.mutants.mutants import table


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what each twin turned red in this run."""
    if seen := {name: frozenset(red) for name, red in list_red_checks(terminalreporter, "twin")}:
        terminalreporter.section("twin x check (x = turned red)")
        terminalreporter.write_line(table(seen))
