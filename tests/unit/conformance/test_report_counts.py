"""Terminal, page, filter, verdicts and JUnit count each test once, also when parallel workers crash."""

from __future__ import annotations

import re

import pytest

from lumen_conformance.report.run_result import spell
from tests.fixtures.nested_pytest import NestedPytest, NestedRun, stage

MODULES = {
    "contract/test_ends.py": '''
    """Ends: a worker dies in several places."""
    @pytest.fixture
    def deadly():
        yield
        os._exit(3)
    @pytest.fixture
    def leaking():
        yield
        raise OSError("something was left behind")
    @check_each("n", {f"C1.{n}": n for n in range(20)})
    def test_passed(n):
        """It holds."""
    @check("C2-dies-in-call")
    def test_dies_in_call():
        """The process dies while it judges."""
        os._exit(3)
    @check("C3-dies-in-teardown")
    def test_dies_in_teardown(deadly):
        """The process dies behind a check that has passed."""
    @check("C4-dies-behind-a-failure")
    def test_dies_behind_a_failure(deadly):
        """The process dies behind a check that has failed."""
        assert False
    @check("C5-leaks")
    def test_leaks(leaking):
        """It holds and leaks."""
    @check("C6-fails-and-leaks")
    def test_fails_and_leaks(leaking):
        """It fails and leaks."""
        assert False
    @check("C7-skipped")
    def test_skipped():
        """It is not for this target."""
        pytest.skip("the target does not declare: tools")
    @check("C8-at-fault")
    def test_at_fault():
        """It raises what says nothing about the target."""
        raise OSError("a fault of the suite")
    @check("C9-advice", tier="W")
    def test_advice():
        """It would be nice."""
        assert False
    ''',
}
COUNTS = {"passed": 20, "failed": 1, "error": 5, "warned": 1, "skipped": 1}


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> NestedRun:
    """Run the checks once, with three crashes of workers."""
    ended = stage(tmp_path_factory.mktemp("counts"), MODULES, "-n2", "--junitxml=junit.xml")
    assert ended.output.count("node down: Not properly terminated") == 3, ended.output
    return ended


def test_verdicts(ended: NestedRun) -> None:
    """Each check has one verdict."""
    outcomes = [each["outcome"] for each in ended.verdicts]
    assert {word: outcomes.count(word) for word in outcomes} == COUNTS


def test_terminal(ended: NestedRun) -> None:
    """The last line counts each check once."""
    counted = re.findall(r"(\d+) (passed|failed|error|warned|skipped)", ended.output.splitlines()[-1])
    assert {word: int(number) for number, word in counted} == COUNTS


def test_page(ended: NestedRun) -> None:
    """The banner, the filter and the rows of the page count each check once."""
    assert ended.counts == COUNTS
    assert len(ended.checks) == sum(COUNTS.values())
    assert ended.filter == COUNTS


def test_junit(ended: NestedRun) -> None:
    """JUnit has one case for each check, with the same numbers of errors, failures and skipped tests."""
    assert ended.junit == {"tests": 28, "errors": 5, "failures": 1, "skipped": 1}


def test_summary(ended: NestedRun) -> None:
    """The summary has the same counts."""
    assert {word: number for word, number in ended.summary["counts"].items() if number} == COUNTS


FEW = {
    "contract/test_few.py": '''
    """Few: most do not apply."""
    @check_each("n", {f"C1.{n}": n for n in range(5)})
    def test_any(n):
        """It holds where it applies."""
        if n > 1:
            pytest.skip("the target does not declare: gateway")
    ''',
}


def test_a_mostly_skipped_run_passed_in_part(nested: NestedPytest) -> None:
    """A run with more skipped than passed tests ends with PASSED IN PART."""
    nested.write(FEW)
    ended = nested.run()
    assert (ended.status, ended.banner) == (0, ("incomplete", "PASSED IN PART"))
    assert "2 passed, 0 failed, 3 not applicable (3 need --proxy-can gateway)." in ended.html
    assert "2 passed, 0 failed, 3 not applicable (3 need --proxy-can gateway)." in ended.output


def test_a_reason_is_short_and_ends_with_a_word() -> None:
    """The words that the count has are not repeated, and no word is cut."""
    text = spell("not applicable: the request names a function: OpenAI sends stop (vllm-project/vllm#25054)")
    assert text == "the request names a function: OpenAI sends stop…"
