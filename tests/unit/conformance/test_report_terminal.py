"""The table of scenarios at the end of a run."""

from __future__ import annotations

import pytest

from tests.fixtures.nested_pytest import NestedPytest

MODULES = {
    "recovery/test_01_kill.py": '''
    """Scenario 1: a worker → 작업자 is killed, and its successor is awaited with patience for a while."""
    @check("1.1-start")
    def test_start(measure):
        """It starts."""
        measure(0.25, "s", 10.0)
    @check("1.4-restart")
    def test_restart(measure):
        """It restarts."""
        measure(0.4125, "s", 3.0, headline=True)
        assert False
    @check("1.5-again")
    def test_again():
        """It is skipped."""
        pytest.skip("no reason but this test")
    ''',
    "recovery/test_02_port.py": '''
    """Scenario 2: a port."""
    @check("2.1-squatter")
    def test_squatter():
        """It answers."""
    ''',
}
TABLE = """\
no scenario                                            passed  time of budget
 1 A worker {name} is killed, and its successor i...       1/2  0.412 s of 3 s
 2 A port.                                                1/1  -
"""
KOREAN, ESCAPED = "→ 작업자", r"\u2192 \uc791\uc5c5\uc790"


@pytest.mark.parametrize(("encoding", "name"), [("utf-8", KOREAN), ("cp949", KOREAN), ("ascii", ESCAPED)])
def test_the_table_prints_on_any_console(nested: NestedPytest, encoding: str, name: str) -> None:
    """Characters that the encoding of the console lacks are escaped; skipped checks are not counted."""
    nested.write(MODULES)
    ended = nested.run(encoding=encoding, PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    assert TABLE.format(name=name) in ended.output


@pytest.mark.parametrize("arguments", [["-q"], ["-k", "nothing"]])
def test_there_are_runs_without_a_table(nested: NestedPytest, arguments: list[str]) -> None:
    """A quiet run and a run without scenarios print no table."""
    nested.write(MODULES)
    assert "time of budget" not in nested.run(*arguments).output


def test_parallel_workers_share_one_table(nested: NestedPytest) -> None:
    """A parallel run prints one table."""
    nested.write(MODULES)
    assert nested.run("-n2").output.count("time of budget") == 1
