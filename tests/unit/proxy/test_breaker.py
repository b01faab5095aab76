"""The breaker, with a clock of the test's own."""

from __future__ import annotations

import pytest

from lumen_proxy.errors import ApiError
from lumen_proxy.worker.upstream.breaker import Breaker

FAR = 1000.0


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """What time it is."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Zero at first."""
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    """Two failures open it for ten seconds."""
    return Breaker(2, 10.0, clock)


def state(breaker: Breaker) -> str:
    """Its state, read anew."""
    return breaker.state


def fail(breaker: Breaker, times: int = 2) -> None:
    """Calls that fail."""
    for _ in range(times):
        breaker.report(breaker.enter(FAR), "failure")


def refused_for(breaker: Breaker) -> str:
    """The Retry-After of a refusal."""
    with pytest.raises(ApiError) as caught:
        breaker.enter(FAR)
    assert caught.value.code == "circuit_open"
    return caught.value.headers["Retry-After"]


def test_only_failures_in_a_row_open_it(breaker: Breaker) -> None:
    """A success between starts the count over; what says nothing does not."""
    fail(breaker, 1)
    breaker.report(breaker.enter(FAR), "success")
    fail(breaker, 1)
    assert state(breaker) == "closed"
    breaker.report(breaker.enter(FAR), "neutral")
    fail(breaker, 1)
    assert state(breaker) == "open"


def test_open_tells_how_long(breaker: Breaker, clock: Clock) -> None:
    """Retry-After is what is left, rounded up."""
    fail(breaker)
    assert refused_for(breaker) == "10"
    clock.now = 9.5
    assert refused_for(breaker) == "1"


def test_exactly_one_probe(breaker: Breaker, clock: Clock) -> None:
    """After the time one call passes, the next is refused until the probe's deadline."""
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


def test_a_probe_that_says_nothing_gives_its_place_back(breaker: Breaker, clock: Clock) -> None:
    """A gone client's probe decides nothing; the next call is the probe."""
    fail(breaker)
    clock.now = 10
    breaker.report(breaker.enter(FAR), "neutral")
    assert state(breaker) == "half_open"
    breaker.report(breaker.enter(FAR), "success")
    assert state(breaker) == "closed"


def test_a_probe_that_never_returns_frees_its_place(breaker: Breaker, clock: Clock) -> None:
    """At its own deadline; its late report then counts for nothing."""
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


def test_calls_from_before_do_not_decide(breaker: Breaker, clock: Clock) -> None:
    """A call that began before the breaker opened neither closes it nor frees the probe's place."""
    old = breaker.enter(FAR)
    fail(breaker)
    breaker.report(old, "success")
    assert state(breaker) == "open"
    clock.now = 10
    breaker.enter(clock.now + 5)
    breaker.report(old, "neutral")
    assert refused_for(breaker) == "5"
