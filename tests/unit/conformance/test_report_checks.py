"""Checks: their ids, their claims, and the errors of their collection."""

from __future__ import annotations

import pytest

from lumen_conformance.registry import Check
from tests.fixtures.nested_pytest import NestedPytest

WRONG = {
    "no docstring": ("contract/test_a.py", "def test_a():\n    pass\n", "test_a has no docstring: write one"),
    "two decorators": (
        "contract/test_a.py",
        '@check("A1-a")\n@check("A2-b")\ndef test_a():\n    """A."""\n',
        "has 2 check decorators: expected one",
    ),
    "claimed twice": (
        "contract/test_a.py",
        '@check("A1-a")\ndef test_a():\n    """A."""\n@check("A1-a")\ndef test_b():\n    """B."""\n',
        "check id A1-a is used twice",
    ),
    "another scenario's number": (
        "recovery/test_01_a.py",
        '@check("2.1-a")\ndef test_a():\n    """A."""\n',
        "2.1-a is not a check of scenario 1",
    ),
    "no scenario": ("recovery/test_a.py", 'def test_a():\n    """A."""\n', "is named test_NN_words.py"),
}  # fmt: skip


def test_ids_are_the_check_ids(nested: NestedPytest) -> None:
    """The pytest id of a check is its check id, followed by further parameters; other tests keep their pytest ids."""
    nested.write(
        {
            "recovery/test_01_kill.py": '''
            """Scenario 1: a kill."""
            @check("1.4-automatic-restart", title="자동 재시작")
            def test_restart():
                """A new worker answers."""
            @pytest.mark.parametrize("how", ["mild", "harsh"])
            @check("1.3-forced-kill")
            def test_kill(how):
                """It is gone."""
            @check_each("row", {"1.2-one": 1, "1.2-two": 2})
            def test_rows(row):
                """One of many."""
            def test_plain():
                """No number."""
            '''
        }
    )
    shown = nested.run("--collect-only", "-q").output
    assert [line.partition("::")[2] for line in shown.splitlines() if "::" in line] == [
        "test_restart[1.4-automatic-restart]",
        "test_kill[1.3-forced-kill-mild]",
        "test_kill[1.3-forced-kill-harsh]",
        "test_rows[1.2-one]",
        "test_rows[1.2-two]",
        "test_plain",
    ]


@pytest.mark.parametrize("what", WRONG)
def test_an_invalid_module_is_not_collected(nested: NestedPytest, what: str) -> None:
    """A test without a valid claim, id or place ends the run with a one-line error, and the page is not green."""
    module, text, message = WRONG[what]
    nested.write({module: f'"""Words."""\n{text}'})
    ended = nested.run()
    assert message in ended.output
    assert ended.status == pytest.ExitCode.INTERRUPTED
    assert ended.banner[0] == "incomplete"


@pytest.mark.parametrize("check_id", ["", "restart", "1.4 restart", "1.4-다시", "1.4-[x]", "1.4-a/b"])
def test_an_invalid_id_is_refused(check_id: str) -> None:
    """An id that pytest would escape raises an error in the decorator."""
    with pytest.raises(ValueError, match="expected ASCII words after a number"):
        Check(check_id)


def test_an_unknown_tier_is_refused() -> None:
    """A tier other than M, S or W raises an error."""
    with pytest.raises(ValueError, match="tier 'X' is invalid: expected one of M, S, W"):
        Check("A1-a", "X")  # type: ignore[arg-type]
