"""The restart policy, with times that the tests pass."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumen_proxy.supervisor.backoff import CAP_S, Backoff, GiveUp, Restart

seconds = st.floats(0, 1000, allow_nan=False)
gaps_s = st.lists(seconds, min_size=1, max_size=60)


def caps_s(policy: Backoff, exits: int, gap_s: float = 0.0) -> list[float]:
    """The delay caps of a series of exits."""
    verdicts = [policy.record_exit(number * gap_s) for number in range(exits)]
    return [verdict.delay_cap_s for verdict in verdicts if isinstance(verdict, Restart)]


def test_first_restart_is_immediate_then_doubles_to_its_cap() -> None:
    """The caps are 0 s, then 0.25 s, doubled each time up to 30 s."""
    found = caps_s(Backoff(base_s=0.25, limit=0, window_s=60), 12)
    assert found == [0, 0.25, 0.5, 1, 2, 4, 8, 16, 30, 30, 30, 30]


def test_no_base_means_no_delay() -> None:
    """With a base of 0 s each restart is immediate."""
    assert set(caps_s(Backoff(base_s=0, limit=0, window_s=60), 5000)) == {0}


@given(gaps_s, st.floats(0, 1, exclude_max=True))
def test_delay_lies_between_zero_and_its_cap(gaps: list[float], draw: float) -> None:
    """A delay is between 0 and its cap for any times and any draw."""
    policy, now = Backoff(base_s=0.25, limit=0, window_s=60, draw=lambda: draw), 0.0
    for gap_s in gaps:
        now += gap_s
        verdict = policy.record_exit(now)
        assert isinstance(verdict, Restart)
        assert 0 <= verdict.delay_s <= verdict.delay_cap_s <= CAP_S


@given(gaps_s, st.integers(1, 8), st.floats(0.1, 100))
def test_gives_up_exactly_when_the_window_holds_the_limit(gaps: list[float], limit: int, window_s: float) -> None:
    """The policy gives up exactly when the last window contains the limit of exits."""
    policy, deaths = Backoff(base_s=0.25, limit=limit, window_s=window_s), [0.0]
    for gap_s in gaps:
        policy.record_ready(deaths[-1])
        deaths.append(deaths[-1] + gap_s)
        verdict = policy.record_exit(deaths[-1])
        recent = [death for death in deaths[1:] if death > deaths[-1] - window_s]
        assert isinstance(verdict, GiveUp) == (len(recent) >= limit)
        if isinstance(verdict, GiveUp):
            return


@pytest.mark.parametrize(("draw", "delay_s"), [(0.0, 0.0), (0.5, 0.125)])
def test_a_delay_is_a_share_of_its_cap(draw: float, delay_s: float) -> None:
    """The wait is drawn evenly from 0 to its cap, so that proxies that fail together do not start together."""
    policy = Backoff(base_s=0.25, limit=0, window_s=60, draw=lambda: draw)
    policy.record_exit(0)
    assert policy.record_exit(1) == Restart(delay_s, 0.25, 2)


def test_an_exit_at_the_edge_of_the_window_is_outside() -> None:
    """An exit exactly one window ago does not count."""
    policy = Backoff(base_s=0.25, limit=2, window_s=60)
    policy.record_exit(0)
    policy.record_ready(1)
    verdict = policy.record_exit(60)
    assert isinstance(verdict, Restart)
    assert verdict.exits_in_window == 1


def test_boots_that_are_never_ready_give_up_at_any_pace() -> None:
    """The fifth boot in a row that was never ready gives up, although the window holds one exit; readiness resets."""
    policy = Backoff(base_s=0.25, limit=5, window_s=60)
    slow_boots_s = (100.0, 200.0, 300.0, 400.0)
    assert all(isinstance(policy.record_exit(at_s), Restart) for at_s in slow_boots_s)
    policy.record_ready(500)
    assert all(isinstance(policy.record_exit(600 + at_s), Restart) for at_s in (0.0, *slow_boots_s))
    assert policy.record_exit(1100) == GiveUp(exits=5, window_s=60, were_boots=True)


def test_a_limit_of_zero_holds_for_boots_too() -> None:
    """With a limit of 0 no number of boots gives up."""
    policy = Backoff(base_s=0, limit=0, window_s=60)
    assert all(isinstance(policy.record_exit(at_s * 100.0), Restart) for at_s in range(50))


def test_fifth_exit_within_a_minute_gives_up() -> None:
    """The default policy allows four restarts within a minute."""
    policy = Backoff(base_s=0.25, limit=5, window_s=60)
    verdicts = [policy.record_exit(float(second)) for second in range(5)]
    assert [type(verdict) for verdict in verdicts] == [Restart] * 4 + [GiveUp]
    assert verdicts[-1] == GiveUp(exits=5, window_s=60)


def test_short_readiness_does_not_reset() -> None:
    """Readiness that is shorter than the window does not reset the delay."""
    policy = Backoff(base_s=0.25, limit=0, window_s=60)
    found = []
    for start in range(0, 250, 50):
        policy.record_ready(start)
        verdict = policy.record_exit(start + 49.9)
        assert isinstance(verdict, Restart)
        found.append(verdict.delay_cap_s)
    assert found == [0, 0.25, 0.5, 1, 2]


@pytest.mark.parametrize(("ready_s", "cap_s"), [(59.9, 0.5), (60.0, 0.0)])
def test_sustained_readiness_resets(ready_s: float, cap_s: float) -> None:
    """After a full window of readiness the next restart is immediate."""
    policy = Backoff(base_s=0.25, limit=0, window_s=60)
    policy.record_exit(0)
    policy.record_exit(1)
    policy.record_ready(2)
    verdict = policy.record_exit(2 + ready_s)
    assert isinstance(verdict, Restart)
    assert verdict.delay_cap_s == cap_s


def test_time_without_a_worker_is_not_readiness() -> None:
    """The time between an exit and the next readiness does not count as readiness."""
    policy = Backoff(base_s=0.25, limit=0, window_s=60)
    policy.record_ready(0)
    policy.record_exit(1)
    verdict = policy.record_exit(100)
    assert isinstance(verdict, Restart)
    assert (verdict.delay_cap_s, verdict.exits_in_window) == (0.25, 1)
