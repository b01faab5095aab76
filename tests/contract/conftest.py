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
from tests.fixtures.run import Run
from tests.fixtures.served import Remote
from tests.fixtures.targets import Target
from tests.fixtures.unready import Readiness

# Exchanges that not every target can have, and why.
NEEDS = {"waited": ("gateway",), "models": ("models",), "model": ("models",), "health": ("health",)}
LUMEN_ONLY = {
    "malformed": "what is no HTTP at all is refused by whatever server a target is built on",
    "oversize": "how large a request may be is its own affair; F3.oversize asks that it is not reset",
    "health": "there is no contract for health beyond our own",
}
NEVER = "1000000"  # failures in a row that would open the breaker: a shared proxy must not remember failures


@pytest.fixture(scope="session")
def echoing() -> Iterator[Gateway]:
    """A gateway that lives as long as the shared proxy."""
    with Gateway() as gateway:
        yield gateway


@pytest.fixture(scope="session")
def talk(target: Target, session_launch: Launches, echoing: Gateway, run: Run) -> Talk:
    """The patient proxy, or what runs at the given URL."""
    if target.url:
        return Talk(Remote(target).wait_ready(Readiness.of(run)), echoing)
    env = {"CLOUD_AI_API_KEY": CANARY, "LUMEN_BREAKER_FAILURES": NEVER}
    return Talk(session_launch(gateway=echoing, env=env), echoing)


@pytest.fixture(scope="session")
def hasty(target: Target, request: pytest.FixtureRequest, session_launch: Launches, echoing: Gateway) -> Talk:
    """The hasty proxy; of a foreign target, which cannot be told to hurry, the patient one."""
    if target.profile != "lumen":
        patient: Talk = request.getfixturevalue("talk")
        return patient
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
    target: Target = request.getfixturevalue("target")
    target.need(*NEEDS.get(request.param, ()))
    if request.param in LUMEN_ONLY and target.profile != "lumen":
        pytest.skip(f"for the profile lumen only: {LUMEN_ONLY[request.param]}")
    with_whom: Talk = request.getfixturevalue("hasty" if request.param == "waited" else "talk")
    found: Capture = getattr(with_whom, request.param)
    return found


@pytest.fixture(scope="session")
def connection(talk: Talk) -> Iterator[Connection]:
    """One connection to the patient proxy that stays open."""
    with talk.proxy.connection() as opened:
        yield opened


@pytest.fixture
def demand(talk: Talk) -> Demand:
    """Hold a capture to a claim: ``demand(judge, seen)`` fails with the verdict's own words."""

    def hold(judge: Judge, seen: Capture) -> None:
        if judge.claim.profile not in {"any", talk.target.profile}:
            pytest.skip(f"for the profile {judge.claim.profile}, not {talk.target.profile}")
        if judge.claim.unknown(talk.known):
            pytest.skip("needs a gateway whose words are known")
        verdict = judge(seen, talk.known)
        if not verdict.ok:
            pytest.fail(str(verdict), pytrace=False)

    return hold


@pytest.fixture
def compare(target: Target) -> Callable[[Comparison, list[Capture]], None]:
    """Hold several captures to a claim about all of them."""

    def hold(comparison: Comparison, seen: list[Capture]) -> None:
        if comparison.claim.profile not in {"any", target.profile}:
            pytest.skip(f"for the profile {comparison.claim.profile}, not {target.profile}")
        verdict = comparison(seen)
        if not verdict.ok:
            pytest.fail(str(verdict), pytrace=False)

    return hold
