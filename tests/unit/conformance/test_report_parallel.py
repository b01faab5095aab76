"""Texts of a server that parallel workers cannot send as they are."""

from __future__ import annotations

from pathlib import Path

from tests.fixtures.nested_pytest import stage

MODULES = {
    "contract/test_one.py": '''
        """One."""
        from lumen_conformance.registry import expect
        HALF = chr(0xD83D)
        @check("B1.1")
        def test_fails():
            """A text has both halves of each pair."""
            print(HALF)
            expect(False, "a pair", HALF)
        @check("B1.2")
        def test_raises():
            """It holds."""
            raise ValueError(HALF)
    ''',
}


def test_half_a_surrogate_pair(tmp_path: Path) -> None:
    """Half of a surrogate pair in a text of a server reaches the report of a parallel run as an escape."""
    ended = stage(tmp_path, MODULES, "-n2")
    assert ended.status == 1, ended.output
    assert {each["id"]: "\\ud83d" in each["reason"] for each in ended.verdicts} == {"B1.1": True, "B1.2": True}
    assert "\\ud83d" in ended.html
