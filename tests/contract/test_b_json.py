"""B: every body and every chunk is strict JSON, and integers are written as integers."""

import pytest

from lumen_conformance.checks.catalogue import judges
from lumen_conformance.checks.decorators import judged
from lumen_conformance.checks.verdict import Judge
from lumen_conformance.contract.exchanges import PROVOKED
from lumen_conformance.contract.session import Demand
from lumen_conformance.http.client import Capture

ANSWERS = ["chat", "stream", "usage_stream"]
BODIES = [*ANSWERS, *PROVOKED, "models", "model", "health"]


@pytest.mark.parametrize("exchange", BODIES, indirect=True)
@judged(judges("B1"))
def test_strict_json(judge: Judge, json_body: Capture, demand: Demand) -> None:
    """Whatever is sent is JSON without any deviation from RFC 8259."""
    demand(judge, json_body)


@pytest.mark.parametrize("exchange", [*ANSWERS, "models", "model"], indirect=True)
@judged(judges("B2.1"))
def test_times_are_integers(judge: Judge, exchange: Capture, demand: Demand) -> None:
    """Times are integers to the byte."""
    demand(judge, exchange)


@pytest.mark.parametrize("exchange", ANSWERS, indirect=True)
@judged(judges("B2.2", "B2.4"))
def test_integers(judge: Judge, exchange: Capture, demand: Demand) -> None:
    """Indexes are integers to the byte, and times are of now."""
    demand(judge, exchange)


@pytest.mark.parametrize("exchange", ["chat", "usage_stream"], indirect=True)
@judged(judges("B2.3"))
def test_counts_are_integers(judge: Judge, exchange: Capture, demand: Demand) -> None:
    """Counts of tokens are integers to the byte."""
    demand(judge, exchange)
