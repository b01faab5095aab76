"""The cast of the contract tests.

A scripted gateway that echoes, so that the right answer is known byte for byte; a patient proxy before it, for
everything that ends well or at once; a hasty proxy, whose streams commit early and whose deadline is near.
"""

from collections.abc import Callable, Iterator

import pytest

from tests.contract.talking import CANARY, DEADLINE_S, Demand, Talk
from tests.fixtures.capture import Capture, Connection
from tests.fixtures.gateway import Gateway
from tests.fixtures.judges.verdict import Comparison, Judge
from tests.fixtures.processes import Launches
from tests.fixtures.targets import Target

NEVER = "1000000"  # failures in a row that would open the breaker: a shared proxy must not remember failures


@pytest.fixture(scope="session")
def needs_gateway(target: Target) -> None:
    """Skip what only a scripted gateway can show, where the target cannot be given one."""
    target.need("gateway")


@pytest.fixture(scope="session")
def echoing() -> Iterator[Gateway]:
    """A gateway that lives as long as the shared proxy."""
    with Gateway() as gateway:
        yield gateway


@pytest.fixture(scope="session")
def talk(session_launch: Launches, echoing: Gateway) -> Talk:
    """The patient proxy."""
    env = {"CLOUD_AI_API_KEY": CANARY, "LUMEN_BREAKER_FAILURES": NEVER}
    return Talk(session_launch(gateway=echoing, env=env), echoing)


@pytest.fixture(scope="session")
def hasty(session_launch: Launches, echoing: Gateway) -> Talk:
    """The hasty proxy: its streams say 200 before the gateway has answered, and it waits for nobody long."""
    env = {
        "LUMEN_BREAKER_FAILURES": NEVER,
        "LUMEN_STREAM_COMMIT_S": "0.05",
        "LUMEN_SSE_KEEPALIVE_S": "0.05",
        "LUMEN_TIMEOUT_S": str(DEADLINE_S),
    }
    return Talk(session_launch(gateway=echoing, env=env), echoing)


@pytest.fixture
def exchange(request: pytest.FixtureRequest) -> Capture:
    """The shared exchange that a parameter names; ``waited`` is one with the hasty proxy."""
    with_whom: Talk = request.getfixturevalue("hasty" if request.param == "waited" else "talk")
    found: Capture = getattr(with_whom, request.param)
    return found


@pytest.fixture(scope="session")
def connection(talk: Talk) -> Iterator[Connection]:
    """One connection to the patient proxy that stays open."""
    with Connection(talk.proxy.url) as opened:
        yield opened


@pytest.fixture
def demand(talk: Talk) -> Demand:
    """Hold a capture to a claim: ``demand(judge, seen)`` fails with the verdict's own words."""

    def hold(judge: Judge, seen: Capture) -> None:
        if judge.claim.unknown(talk.known):
            pytest.skip("needs a gateway whose words are known")
        verdict = judge(seen, talk.known)
        if not verdict.ok:
            pytest.fail(str(verdict), pytrace=False)

    return hold


@pytest.fixture
def compare() -> Callable[[Comparison, list[Capture]], None]:
    """Hold several captures to a claim about all of them."""

    def hold(comparison: Comparison, seen: list[Capture]) -> None:
        verdict = comparison(seen)
        if not verdict.ok:
            pytest.fail(str(verdict), pytrace=False)

    return hold
