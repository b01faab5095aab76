"""Prints the mutants that were run, with the checks that each failed."""

from __future__ import annotations

import pytest

from tests.fixtures.matrix_records import list_records


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print which checks each mutant failed in this run, and how long it took."""
    if records := list(list_records(terminalreporter, "mutant")):
        terminalreporter.section("mutants and the checks that they failed")
        for each in records:
            terminalreporter.write_line(f"{each['name']} ({each['seconds']:.1f} s): {', '.join(each['red']) or 'none'}")
