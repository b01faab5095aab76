"""A failure says first what was expected and then what was found: faults where a check could swap them."""

import pytest

from lumen_conformance.registry.refutation import Failure
from tests.fixtures.faults.catalogue import FAULTS
from tests.matrix.contract import contract
from tests.matrix.fault_run import run_fault

# Fault, check, and how the texts of expected and found begin.
TEXTS = {
    ("any-host", "H5-host-foreign"): (
        "status 403 and an error with code 'host_not_allowed', type 'permission_error'", "status 200, complete",
    ),
    ("host-case-matters", "H5-host-own-1"): ("status 200 and the text '안녕'", "status 403, complete, the error {"),
    ("C79-parts-refused", "H4-content-parts"): ("status 200", "status 400, complete, the error {"),
    ("spaces-folded", "G5-white-space"): ("status 200 and the text '  two", "status 200, complete, the text ' two"),
    ("allow-missing", "F3-allow"): ("the header Allow with POST", "no header Allow (status 405)"),
    ("temperature-unchecked", "F2-temperature-high"): ("a status from 400 to 499", "status 200, complete"),
    ("awkward-words-crash", "C1.1"): ("status 200", "status 500, complete; the question has emoji, U+2028, U+0085 and"),
    ("forwards-no-system", "G2-forwarded-system"): ("the messages system: be brief; user: hi", "user: hi"),
    ("counts-rounded-apart", "C5.2"): ("total_tokens: ", "total_tokens is "),
    ("stream-without-words", "E10"): ("a text, as the plain answer has: ", "status 200, complete, no text"),
}  # fmt: skip


def failure_of(fault: str, check: str) -> Failure:
    """The failure of a check with a fault."""
    tests = tuple(test for test in contract(FAULTS[fault].profile).tests if test.check == check)
    failures = [outcome.failure for outcome in run_fault(FAULTS[fault], tests).values() if outcome.failure]
    assert failures, f"{check} does not fail"
    return failures[0]


@pytest.mark.parametrize(("fault", "check"), TEXTS)
def test_expected_and_found(fault: str, check: str) -> None:
    """``expected`` has the claim, ``found`` has what the target did."""
    failure = failure_of(fault, check)
    expected, found = TEXTS[fault, check]
    assert (failure.expected[: len(expected)], failure.found[: len(found)]) == (expected, found)
