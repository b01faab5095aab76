"""Prints the table twin × check of the twins that were run; writes the table fault × check of the faults."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.matrix.matrix import seen_table
from tests.matrix.twins import table


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what each twin turned red in this run."""
    if seen := dict(_seen(terminalreporter)):
        terminalreporter.section("twin x check (x = turned red)")
        terminalreporter.write_line(table(seen))
    if faults := dict(_recorded(terminalreporter, "fault")):
        path = terminalreporter.config.rootpath / "reports" / "fault-matrix.md"
        path.parent.mkdir(exist_ok=True)
        path.write_text(seen_table(faults), encoding="utf-8", newline="\n")
        terminalreporter.write_line(f"{len(faults)} faults x checks: {path}")


def _recorded(reporter: pytest.TerminalReporter, kind: str) -> Iterator[tuple[str, list[str]]]:
    for reports in reporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", []):
                if name == kind and report.when == "call":
                    yield value["name"], value["red"]


def _seen(reporter: pytest.TerminalReporter) -> Iterator[tuple[str, frozenset[str]]]:
    return ((name, frozenset(red)) for name, red in _recorded(reporter, "twin"))
