"""Prints the mutants that were run, with the checks that each failed."""

from __future__ import annotations

import pytest

from tests.fixtures.matrix_records import list_red_checks


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print which checks each mutant failed in this run."""
    if failed := dict(list_red_checks(terminalreporter, "mutant")):
        terminalreporter.section("mutants and the checks that they failed")
        for name, checks in failed.items():
            terminalreporter.write_line(f"{name}: {', '.join(checks) or 'none'}")
