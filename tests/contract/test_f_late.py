"""F5: a stream whose headers are out, and then the gateway fails: the client must be able to tell."""

import pytest

from tests.contract.talking import Demand, Talk
from tests.fixtures import replies
from tests.fixtures.capture import Capture
from tests.fixtures.exchange import Exchange, Reply
from tests.fixtures.judges.catalogue import BROKEN_STREAM, judges
from tests.fixtures.judges.checking import judged
from tests.fixtures.judges.documents import errors
from tests.fixtures.judges.verdict import Judge
from tests.fixtures.report.checks import check, check_each

LATE_S = 0.3  # six times the commit delay of the hasty proxy: its headers are out by then

pytestmark = pytest.mark.usefixtures("needs_gateway")


def late(then: Reply) -> Reply:
    """The same reply after the stream has begun."""

    def play(exchange: Exchange) -> None:
        if exchange.hold(at_most_s=LATE_S):
            then(exchange)

    return play


FAILURES: dict[str, tuple[Reply, str]] = {
    "silent": (replies.silent, "gateway_timeout"),
    "reset": (late(replies.reset_after_request), "gateway_connection_lost"),
    "reset-mid-body": (late(replies.reset_mid_body), "gateway_connection_lost"),
    "status-500": (late(replies.says({}, 500)), "gateway_error"),
    "status-429": (late(replies.says({}, 429)), "rate_limit_exceeded"),
    "html": (late(replies.html), "gateway_invalid_response"),
    "declined": (late(replies.answers("", success=False, error="quota")), "gateway_declined"),
    "empty": (late(replies.answers("")), "gateway_empty_response"),
}


@pytest.fixture(scope="module", params=FAILURES)
def broken(request: pytest.FixtureRequest, hasty: Talk) -> Capture:
    """A stream that broke after its first byte."""
    hasty.gateway.script(FAILURES[request.param][0])
    seen = hasty.ask("안녕", stream=True)
    assert seen.status == 200, "the headers were not out before the failure"
    return seen


@judged(judges("F5"))
def test_late_failure(judge: Judge, broken: Capture, demand: Demand) -> None:
    """A late failure is told, and never looks like success."""
    demand(judge, broken)


@check("F5.framed")
def test_late_failure_is_framed(broken: Capture, demand: Demand) -> None:
    """The stream that breaks is still framed as a stream, and its error is the envelope."""
    for judge in BROKEN_STREAM:
        demand(judge, broken)


@check_each("row", {f"F5.code-{name}": row for name, row in FAILURES.items()})
def test_late_code(row: tuple[Reply, str], hasty: Talk) -> None:
    """A late failure has the code that it would have had before the first byte."""
    hasty.gateway.script(row[0])
    told = [document.value["error"]["code"] for document in errors(hasty.ask("안녕", stream=True))]
    assert told == [row[1]]
