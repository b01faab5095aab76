"""Checks: their ids, their claims, and what is refused when tests are collected."""

from __future__ import annotations

import pytest

from lumen_conformance.registry import Check
from tests.fixtures.nested_pytest import Inner

WRONG = {
    "no docstring": ("contract/test_a.py", "def test_a():\n    pass\n", "no docstring; its first line is the claim"),
    "two decorators": (
        "contract/test_a.py",
        '@check("A1-a")\n@check("A2-b")\ndef test_a():\n    """A."""\n',
        "2 check decorators; one test is one check",
    ),
    "claimed twice": (
        "contract/test_a.py",
        '@check("A1-a")\ndef test_a():\n    """A."""\n@check("A1-a")\ndef test_b():\n    """B."""\n',
        "check A1-a is claimed twice",
    ),
    "another scenario's number": (
        "recovery/test_01_a.py",
        '@check("2.1-a")\ndef test_a():\n    """A."""\n',
        "2.1-a is not a check of scenario 1",
    ),
    "no scenario": ("recovery/test_a.py", 'def test_a():\n    """A."""\n', "is named test_NN_words.py"),
}  # fmt: skip


def test_ids_are_the_check_ids(inner: Inner) -> None:
    """The pytest id of a check is its check id, further parameters follow it, and plain tests keep theirs."""
    inner.write(
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
    shown = inner.run("--collect-only", "-q").output
    assert [line.partition("::")[2] for line in shown.splitlines() if "::" in line] == [
        "test_restart[1.4-automatic-restart]",
        "test_kill[1.3-forced-kill-mild]",
        "test_kill[1.3-forced-kill-harsh]",
        "test_rows[1.2-one]",
        "test_rows[1.2-two]",
        "test_plain",
    ]


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_module_is_not_collected(inner: Inner, what: str) -> None:
    """A test that the report could not name or place stops the run with one clear line, and the page is not green."""
    module, text, message = WRONG[what]
    inner.write({module: f'"""Words."""\n{text}'})
    ended = inner.run()
    assert message in ended.output
    assert ended.status == pytest.ExitCode.INTERRUPTED
    assert ended.banner[0] == "incomplete"


@pytest.mark.parametrize("check_id", ["", "restart", "1.4 restart", "1.4-다시", "1.4-[x]", "1.4-a/b"])
def test_a_malformed_id_is_refused(check_id: str) -> None:
    """An id that pytest would show in another spelling is refused where it is written."""
    with pytest.raises(ValueError, match="is not ASCII words after a number"):
        Check(check_id)


def test_an_unknown_tier_is_refused() -> None:
    """A tier is M, S or W."""
    with pytest.raises(ValueError, match="tier 'X' is none of M, S, W"):
        Check("A1-a", "X")  # type: ignore[arg-type]
