"""The fixture that runs faults, and the files that are written from what they turned red."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.fixtures.matrix_records import list_records
from tests.matrix.comparison import Matrix
from tests.matrix.snapshot import write
from tests.matrix.tables import observed_table


@pytest.fixture
def matrix(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> Matrix:
    """Runs faults and healthy variants and compares them with what they declare."""
    return Matrix(record_property, update=request.config.getoption("update"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Write reports/fault-matrix.md; with --update also the files of declared failures."""
    observed = {each["name"]: each for each in list_records(terminalreporter, "fault")}
    if not observed:
        return
    path = config.rootpath / "reports" / "fault-matrix.md"
    path.parent.mkdir(exist_ok=True)
    table = observed_table({name: each["red"] for name, each in observed.items()})
    path.write_text(table, encoding="utf-8", newline="\n")
    terminalreporter.write_line(f"{len(observed)} faults x checks: {path}")
    for written in write(observed.values()) if config.getoption("update") else ():
        terminalreporter.write_line(f"updated, review the diff: {written}")
