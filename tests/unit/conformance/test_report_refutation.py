"""The outcomes of a check that is refuted, is not judged, or raises another exception."""

from __future__ import annotations

import pytest

from tests.fixtures.nested_pytest import NestedRun, stage

MODULES = {
    "contract/test_ways.py": '''
    """Ways: refuted, not judged, at fault."""
    from lumen_conformance.registry import NotJudged, expect
    @check("C1-refuted")
    def test_refuted():
        """The status is 200."""
        expect(False, "status 200", "status 500", at="the status line")
    @check("C2-not-judged")
    def test_not_judged():
        """The answer has an id."""
        raise NotJudged("the status is 500", ("C1-refuted",))
    @check("C3-at-fault")
    def test_at_fault():
        """The answer has a model."""
        {}["model"]
    @check("C4-passed")
    def test_passed():
        """One is one."""
        expect(True, "one", "two")
    ''',
}


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> NestedRun:
    """Run a check for each outcome once."""
    return stage(tmp_path_factory.mktemp("ways"), MODULES)


def test_outcomes(ended: NestedRun) -> None:
    """Each kind of failure has its own outcome in the verdicts."""
    outcomes = {each["id"]: each["outcome"] for each in ended.verdicts}
    assert outcomes == {
        "C1-refuted": "failed", "C2-not-judged": "not_judged", "C3-at-fault": "error", "C4-passed": "passed",
    }  # fmt: skip


def test_failure_text(ended: NestedRun) -> None:
    """The terminal shows the expected and the found value, and no Python traceback."""
    assert "C1-refuted (M) broken: The status is 200" in ended.output
    assert "  expected: status 200\n  found:    status 500\n  at:       the status line" in ended.output
    assert "expect(False" not in ended.output


def test_not_judged_is_not_skipped(ended: NestedRun) -> None:
    """Checks that were not judged are counted apart from skipped ones."""
    assert "1 not_judged" in ended.output
    assert "skipped" not in ended.output.splitlines()[-1]
