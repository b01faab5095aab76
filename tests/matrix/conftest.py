"""Prints the table twin × check of the twins that were run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.matrix.twins import table


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what each twin turned red in this run."""
    if seen := dict(_seen(terminalreporter)):
        terminalreporter.section("twin x check (x = turned red)")
        terminalreporter.write_line(table(seen))


def _seen(reporter: pytest.TerminalReporter) -> Iterator[tuple[str, frozenset[str]]]:
    for reports in reporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", []):
                if name == "twin" and report.when == "call":
                    yield value["name"], frozenset(value["red"])
