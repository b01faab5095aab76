"""B: every body and every chunk is strict JSON, and integers are written as integers."""

import pytest

from lumen_conformance.checks.catalogue import judges
from lumen_conformance.checks.decorators import check_each_judge
from lumen_conformance.checks.verdict import Judge
from lumen_conformance.contract.exchanges import CLIENT_REFUSALS
from lumen_conformance.contract.session import ClaimAssertion
from lumen_conformance.http.client import Capture

ANSWERS = ["chat", "stream", "usage_stream"]
BODIES = [*ANSWERS, *CLIENT_REFUSALS, "models", "model", "health"]


@pytest.mark.parametrize("exchange", BODIES, indirect=True)
@check_each_judge(judges("B1"))
def test_strict_json(judge: Judge, json_body: Capture, assert_holds: ClaimAssertion) -> None:
    """Every body and event is JSON without deviations from RFC 8259."""
    assert_holds(judge, json_body)


@pytest.mark.parametrize("exchange", [*ANSWERS, "models", "model"], indirect=True)
@check_each_judge(judges("B2.1"))
def test_times_are_integers(judge: Judge, exchange: Capture, assert_holds: ClaimAssertion) -> None:
    """Times are written as integers."""
    assert_holds(judge, exchange)


@pytest.mark.parametrize("exchange", ANSWERS, indirect=True)
@check_each_judge(judges("B2.2", "B2.4"))
def test_integers(judge: Judge, exchange: Capture, assert_holds: ClaimAssertion) -> None:
    """Indexes are written as integers, and times are within a day of the present."""
    assert_holds(judge, exchange)


@pytest.mark.parametrize("exchange", ["chat", "usage_stream"], indirect=True)
@check_each_judge(judges("B2.3"))
def test_counts_are_integers(judge: Judge, exchange: Capture, assert_holds: ClaimAssertion) -> None:
    """Token counts are written as integers."""
    assert_holds(judge, exchange)
