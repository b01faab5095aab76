"""The table of the watchdog, with times that the tests pass."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumen_proxy.ipc import beat_s
from lumen_proxy.supervisor.watchdog import SILENT_TICKS, STARVED_TICKS, Liveness, Watchdog

LIMIT_S = 8.0
TICK_S = 2.0  # a quarter of the limit
START_S = 1000.0  # any time of a monotonic clock

lateness_s = st.floats(0, TICK_S, exclude_max=True)


def run(watchdog: Watchdog, signs: Sequence[bool], late_s: float = 0.0) -> list[Liveness]:
    """The verdicts of ticks; before each the worker gave a sign of life, or none."""
    now, found = START_S, []
    watchdog.start(now)
    for sign in signs:
        if sign:
            watchdog.record_sign(now + TICK_S / 2)
        now += TICK_S + late_s
        found.append(watchdog.tick(now))
    return found


def test_three_silent_ticks_are_a_hang() -> None:
    """The worker gave its last sign before the first tick; the two ticks after that are silent, the third is a hang."""
    assert run(Watchdog(LIMIT_S), (True, False, False, False)) == [
        Liveness.ALIVE,
        Liveness.SILENT,
        Liveness.SILENT,
        Liveness.HUNG,
    ]


@given(st.lists(st.booleans(), max_size=40), lateness_s)
def test_only_three_silent_ticks_in_a_row_are_a_hang(signs: list[bool], late_s: float) -> None:
    """One sign of life in any three ticks prevents it, however the ticks come a little late."""
    verdicts = run(Watchdog(LIMIT_S), signs, late_s)
    silent = [not sign for sign in (True, *signs[1:])] if signs else []  # the start counts as a sign
    for number, verdict in enumerate(verdicts):
        recent = silent[max(number - SILENT_TICKS + 1, 0) : number + 1]
        is_hang = len(recent) == SILENT_TICKS and all(recent)
        assert (verdict is Liveness.HUNG) is is_hang
        assert (verdict is Liveness.ALIVE) is not silent[number]


def test_a_starved_loop_has_more_ticks_but_not_all() -> None:
    """It is asked about from the third silent tick on; the twelfth is a hang in any case."""
    asked: list[bool] = []

    def is_starved() -> bool:
        asked.append(True)
        return True

    watchdog = Watchdog(LIMIT_S, is_starved)
    watchdog.start(START_S)
    found = [watchdog.tick(START_S + TICK_S * number) for number in range(1, STARVED_TICKS + 2)]
    assert found == [Liveness.ALIVE, *[Liveness.SILENT] * (STARVED_TICKS - 1), Liveness.HUNG]
    assert len(asked) == STARVED_TICKS - SILENT_TICKS


def test_a_loop_that_is_starved_no_more_is_hung_at_once() -> None:
    """The answer of one tick does not hold for the next one."""
    answers = iter([True, False])
    watchdog = Watchdog(LIMIT_S, lambda: next(answers))
    watchdog.start(START_S)
    found = [watchdog.tick(START_S + TICK_S * number) for number in range(1, 6)]
    assert found[-2:] == [Liveness.SILENT, Liveness.HUNG]


@given(st.floats(0, LIMIT_S))
def test_a_hang_is_noticed_within_the_limit(last_sign_s: float) -> None:
    """Wherever in a tick the last sign lies, the verdict follows within the limit, and not before three quarters."""
    watchdog, now = Watchdog(LIMIT_S), START_S
    watchdog.start(now)
    verdict = Liveness.ALIVE
    while verdict is not Liveness.HUNG:
        for beat in range(4):  # four heartbeats in each tick
            at = now + TICK_S * (beat + 0.5) / 4
            if at <= START_S + last_sign_s:
                watchdog.record_sign(at)
        now += TICK_S
        verdict = watchdog.tick(now)
    assert LIMIT_S * 3 / 4 <= watchdog.silent_s(now) <= LIMIT_S


@pytest.mark.parametrize("jump_s", [TICK_S + 0.001, LIMIT_S, 86_400.0])
@pytest.mark.parametrize("silent_before", [0, 1, 2])
def test_a_late_tick_is_skipped(jump_s: float, silent_before: int) -> None:
    """After a jump of the clock the count starts again: three more silent ticks are needed."""
    watchdog, now = Watchdog(LIMIT_S), START_S
    watchdog.start(now)
    for _ in range(1 + silent_before):
        now += TICK_S
        watchdog.tick(now)
    now += TICK_S + jump_s
    assert watchdog.tick(now) is Liveness.ALIVE
    assert watchdog.silent_s(now) == 0
    following = [watchdog.tick(now + TICK_S * number) for number in (1, 2, 3)]
    assert following == [Liveness.SILENT, Liveness.SILENT, Liveness.HUNG]


@given(st.lists(st.floats(TICK_S * 2.01, 1e6), min_size=1, max_size=50))
def test_a_machine_that_sleeps_again_and_again(naps_s: list[float]) -> None:
    """However often supervisor and worker are suspended together, no tick is a hang."""
    watchdog, now = Watchdog(LIMIT_S), START_S
    watchdog.start(now)
    for nap_s in naps_s:
        now += nap_s
        assert watchdog.tick(now) is Liveness.ALIVE


def test_one_suspension_is_at_most_one_tick() -> None:
    """The next tick follows a whole tick after a late one: there is no second tick at once."""
    watchdog = Watchdog(LIMIT_S)
    watchdog.start(START_S)
    late = START_S + TICK_S * 1.9
    watchdog.tick(late)
    assert watchdog.tick(late + TICK_S * 1.99) is Liveness.SILENT


def test_each_worker_has_its_own_count() -> None:
    """The silence of a worker does not count for the next one."""
    watchdog = Watchdog(LIMIT_S)
    assert run(watchdog, (True, False, False))[-1] is Liveness.SILENT
    assert run(watchdog, (False, False))[-1] is Liveness.SILENT


@given(st.floats(0.5, 86_400))
def test_two_heartbeats_are_due_in_each_tick(watchdog_s: float) -> None:
    """One of them may come late without a probe."""
    assert Watchdog(watchdog_s).tick_s == pytest.approx(2 * beat_s(watchdog_s))
