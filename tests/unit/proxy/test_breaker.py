"""The circuit breaker, with a clock that the test sets."""

from __future__ import annotations

import pytest

from lumen_proxy.errors import ApiError
from lumen_proxy.worker.upstream.breaker import Breaker

FAR = 1000.0


class Clock:
    """Seconds that the test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """It starts at 0."""
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    """Two failures open it for ten seconds."""
    return Breaker(2, 10.0, clock)


def state(breaker: Breaker) -> str:
    """The present state."""
    return breaker.state


def fail(breaker: Breaker, times: int = 2) -> None:
    """Report failed calls."""
    for _ in range(times):
        breaker.report(breaker.enter(FAR), "failure")


def refused_for(breaker: Breaker) -> str:
    """The Retry-After of a refusal."""
    with pytest.raises(ApiError) as caught:
        breaker.enter(FAR)
    assert caught.value.code == "circuit_open"
    return caught.value.headers["Retry-After"]


def test_only_failures_in_a_row_open_it(breaker: Breaker) -> None:
    """A success resets the count; a neutral call does not change it."""
    fail(breaker, 1)
    breaker.report(breaker.enter(FAR), "success")
    fail(breaker, 1)
    assert state(breaker) == "closed"
    breaker.report(breaker.enter(FAR), "neutral")
    fail(breaker, 1)
    assert state(breaker) == "open"


def test_retry_after_is_the_remaining_time(breaker: Breaker, clock: Clock) -> None:
    """Rounded up to a second."""
    fail(breaker)
    assert refused_for(breaker) == "10"
    clock.now = 9.5
    assert refused_for(breaker) == "1"


def test_exactly_one_probe(breaker: Breaker, clock: Clock) -> None:
    """After the time one call is allowed; the next one is refused until the deadline of the probe."""
    fail(breaker)
    clock.now = 10
    assert state(breaker) == "half_open"
    breaker.check()
    probe = breaker.enter(clock.now + 3)
    assert refused_for(breaker) == "3"
    breaker.report(probe, "success")
    assert state(breaker) == "closed"
    breaker.enter(FAR)


def test_a_failed_probe_opens_it_again(breaker: Breaker, clock: Clock) -> None:
    """For the whole time."""
    fail(breaker)
    clock.now = 10
    fail(breaker, 1)
    assert refused_for(breaker) == "10"


def test_after_a_neutral_probe_the_next_call_is_the_probe(breaker: Breaker, clock: Clock) -> None:
    """A disconnected client decides nothing."""
    fail(breaker)
    clock.now = 10
    breaker.report(breaker.enter(FAR), "neutral")
    assert state(breaker) == "half_open"
    breaker.report(breaker.enter(FAR), "success")
    assert state(breaker) == "closed"


def test_after_the_deadline_of_a_probe_another_is_allowed(breaker: Breaker, clock: Clock) -> None:
    """The late report of the first one is ignored."""
    fail(breaker)
    clock.now = 10
    lost = breaker.enter(clock.now + 1)
    clock.now = 11
    second = breaker.enter(clock.now + 1)
    breaker.report(lost, "failure")
    assert state(breaker) == "half_open"
    assert refused_for(breaker) == "1"
    breaker.report(second, "success")
    assert state(breaker) == "closed"


def test_calls_from_before_the_opening_do_not_decide(breaker: Breaker, clock: Clock) -> None:
    """They neither close the breaker nor end the probe."""
    old = breaker.enter(FAR)
    fail(breaker)
    breaker.report(old, "success")
    assert state(breaker) == "open"
    clock.now = 10
    breaker.enter(clock.now + 5)
    breaker.report(old, "neutral")
    assert refused_for(breaker) == "5"
