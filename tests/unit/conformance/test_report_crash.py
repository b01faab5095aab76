"""The page, the verdicts and the exit status show a test whose parallel worker crashed.

On Windows pytest-timeout ends a worker in the same way.
"""

from __future__ import annotations

import pytest

from tests.fixtures.nested_pytest import NestedRun, stage

MODULES = {
    "recovery/test_01_kill.py": '''
    """Scenario 1: a worker of pytest dies."""
    @pytest.fixture
    def deadly():
        os._exit(3)

    @check("1.1-survivor")
    def test_survivor():
        """Another test passes."""
    @check("1.2-dies-in-call")
    def test_dies_in_call(measure, evidence_path):
        """The process dies while it judges."""
        measure(1, "s", budget=2)
        os._exit(3)
    @check("1.3-dies-in-setup")
    def test_dies_in_setup(deadly):
        """The process dies while it stages."""
    ''',
}


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> NestedRun:
    """Run the checks with one worker, which is replaced when it crashes, so the order of events is fixed."""
    return stage(tmp_path_factory.mktemp("crash"), MODULES, "-n1")


def test_the_workers_crashed(ended: NestedRun) -> None:
    """The workers have crashed, so the other tests here are meaningful."""
    assert ended.output.count("node down: Not properly terminated") == 2


def test_the_crashed_tests_are_rows(ended: NestedRun) -> None:
    """The page shows each crashed test as an error, and the other test as passed."""
    assert ended.rows == {"1.1-survivor": "passed", "1.2-dies-in-call": "error", "1.3-dies-in-setup": "error"}


def test_the_page_is_red(ended: NestedRun) -> None:
    """Exit status and banner agree with the rows."""
    assert ended.status == pytest.ExitCode.TESTS_FAILED
    assert ended.banner == ("bad", "FAILED")
    assert ended.tab == ("✗", "FAILED")
    assert "1 passed, 0 failed, 2 ended in an error." in ended.html


def test_the_verdicts_keep_the_claim(ended: NestedRun) -> None:
    """A crash is an error, not a failure, and its verdict has the claim of the check."""
    assert [(each["id"], each["outcome"], each["claim"]) for each in ended.verdicts] == [
        ("1.1-survivor", "passed", "Another test passes."),
        ("1.2-dies-in-call", "error", "The process dies while it judges."),
        ("1.3-dies-in-setup", "error", "The process dies while it stages."),
    ]
    assert all("crashed while running" in each["reason"] for each in ended.verdicts[1:])
