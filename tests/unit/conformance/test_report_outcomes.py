"""Each outcome of a check, without and with parallel workers: verdicts, rows, banner."""

from __future__ import annotations

import pytest

from tests.fixtures.nested_pytest import NestedRun, stage

MODULES = {
    "contract/test_ends.py": '''
    """Ends: every way there is."""
    @pytest.fixture
    def unstaged():
        raise OSError("the stage broke")
    @pytest.fixture
    def leaking():
        yield
        raise OSError("something was left behind")

    @check("C1-passed")
    def test_passed(measure):
        """It holds."""
        assert measure(0.5, "s", budget=2.0) < 2.0
        measure(7, "calls", label="also")
    @check("C2-failed")
    def test_failed():
        """It does not hold."""
        assert {"status": 200}["status"] == 400, "<b>refuted</b>"
    @check("C3-warned", tier="W")
    def test_warned(warn):
        """It could be better."""
        warn("a header is absent")
    @check("C4-refuted-advice", tier="W")
    def test_refuted_advice():
        """It would be nice."""
        assert False, "it is not nice"
    @check("C5-skipped", tier="S")
    def test_skipped():
        """It needs a tool."""
        pytest.skip("the target does not declare: tools")
    @check("C6-error")
    def test_error(unstaged):
        """It is never asked."""
    @check("C7-leak")
    def test_leak(leaking):
        """It holds and leaks."""
    @check("C8-broken-advice", tier="W")
    def test_broken_advice():
        """It raises something else, which says nothing about advice."""
        raise OSError("a fault of the harness")
    @check_each("row", {"F2-null": None, "F2-list": []})
    @pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
    def test_rows(row, stream):
        """A malformed body is refused."""
    def test_plain():
        """A test without a number."""
    ''',
}
KEYS = ["id", "param", "tier", "claim", "outcome", "measurement", "evidence", "reason",
        "expected", "found", "at", "because_of", "cause"]  # fmt: skip


@pytest.fixture(scope="module", params=["-n0", "-n2"])
def ended(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> NestedRun:
    """Run a test for each outcome once."""
    return stage(tmp_path_factory.mktemp("ends"), MODULES, request.param)


def test_each_check_has_one_verdict(ended: NestedRun) -> None:
    """Verdicts are in the order of collection, also in parallel runs; tests without a number have none."""
    assert [(each["id"], each["param"], each["outcome"]) for each in ended.verdicts] == [
        ("C1-passed", None, "passed"),
        ("C2-failed", None, "failed"),
        ("C3-warned", None, "warned"),
        ("C4-refuted-advice", None, "warned"),
        ("C5-skipped", None, "skipped"),
        ("C6-error", None, "error"),
        ("C7-leak", None, "error"),
        ("C8-broken-advice", None, "error"),
        ("F2-null", "stream", "passed"),
        ("F2-null", "whole", "passed"),
        ("F2-list", "stream", "passed"),
        ("F2-list", "whole", "passed"),
    ]


def test_a_verdict_has_these_keys(ended: NestedRun) -> None:
    """Each verdict has exactly these keys, with its claim and tier."""
    assert all(sorted(each) == sorted(KEYS) for each in ended.verdicts)
    first = ended.verdicts[0]
    assert (first["claim"], first["tier"], first["reason"]) == ("It holds.", "M", None)
    assert first["measurement"] == {"value": 0.5, "unit": "s", "budget": 2.0}


def test_a_verdict_has_a_reason(ended: NestedRun) -> None:
    """The verdict of a test that did not pass has a reason in one line."""
    reasons = {each["id"]: each["reason"] for each in ended.verdicts if each["outcome"] != "passed"}
    assert reasons == {
        "C2-failed": "AssertionError: <b>refuted</b>",
        "C3-warned": "a header is absent",
        "C4-refuted-advice": "AssertionError: it is not nice",
        "C5-skipped": "the target does not declare: tools",
        "C6-error": "OSError: the stage broke",
        "C7-leak": "OSError: something was left behind",
        "C8-broken-advice": "OSError: a fault of the harness",
    }


def test_each_test_has_one_row(ended: NestedRun) -> None:
    """The page has one row for each test; a test with a leak is an error."""
    assert ended.rows == {
        "C1-passed": "passed",
        "C2-failed": "failed",
        "C3-warned": "warned",
        "C4-refuted-advice": "warned",
        "C5-skipped": "skipped",
        "C6-error": "error",
        "C7-leak": "error",
        "C8-broken-advice": "error",
        "F2-null-stream": "passed",
        "F2-null-whole": "passed",
        "F2-list-stream": "passed",
        "F2-list-whole": "passed",
        "tests/contract/test_ends.py::test_plain": "passed",
    }


def test_a_skipped_row_shows_the_reason(ended: NestedRun) -> None:
    """The row of a skipped test shows the reason, without file and line."""
    assert ended.checks["C5-skipped"]["r"]["reason"] == "the target does not declare: tools"


def test_the_banner_agrees_with_the_exit_status(ended: NestedRun) -> None:
    """The banner agrees with the exit status and the counts."""
    assert ended.status == pytest.ExitCode.TESTS_FAILED
    assert ended.banner == ("bad", "FAILED")
    sentence = "6 passed, 1 failed, 3 ended in an error, 2 warned, 1 not applicable (1 need --proxy-can tools)."
    assert ended.html.count(sentence) == 1
    assert ended.counts == ended.filter == {"failed": 1, "error": 3, "warned": 2, "passed": 6, "skipped": 1}


def test_markup_of_a_reason_is_escaped(ended: NestedRun) -> None:
    """Markup in the reason of a test is escaped, in the parts of the page and in its data."""
    assert "&lt;b&gt;refuted" in ended.html
    assert "<b>refuted" not in ended.html
    assert ended.checks["C2-failed"]["r"]["reason"] == "AssertionError: <b>refuted</b>"
