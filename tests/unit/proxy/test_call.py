"""A call in progress: how it ends, and what its end does."""

from __future__ import annotations

from unittest.mock import Mock

import pytest

from lumen_proxy.errors import ApiError
from lumen_proxy.worker.call import CallRegistry, ClientCall

LONG_S = 60.0


def call(within_s: float = LONG_S, *, disconnected: bool = False) -> ClientCall:
    """A call with this deadline."""
    return ClientCall(within_s, lambda: disconnected)


def test_the_first_end_decides() -> None:
    """A second end changes nothing, and the function of the step runs once."""
    one, abort = call(), Mock()
    with one.aborting(abort, "gateway_timeout"):
        one.end("client_gone")
        one.end("deadline")
    assert one.ending == "client_gone"
    assert one.ended.is_set()
    abort.assert_called_once_with()


def test_the_end_aborts_the_current_step_only() -> None:
    """After a step its function is not called: the connection may belong to another call."""
    one, abort = call(), Mock()
    with one.aborting(abort, "gateway_timeout"):
        pass
    one.end("client_gone")
    abort.assert_not_called()


@pytest.mark.parametrize(("ending", "code"), [("deadline", "gateway_timeout"), ("shutting_down", "shutting_down")])
def test_an_ended_call_begins_no_step(ending: str, code: str) -> None:
    """The step is not entered; the code at the deadline is that of the step."""
    one, entered = call(), Mock()
    one.end(ending)  # type: ignore[arg-type] # a row
    with pytest.raises(ApiError) as error, one.aborting(Mock(), "gateway_timeout"):
        entered()
    assert error.value.code == code
    entered.assert_not_called()


def test_the_remaining_time_is_never_zero() -> None:
    """A time-out of 0 would make a socket non-blocking."""
    assert 0 < call(-1.0).remaining_s() <= 0.001
    assert LONG_S - 1 < call().remaining_s() <= LONG_S


@pytest.mark.parametrize(
    ("within_s", "disconnected", "ending"),
    [(LONG_S, False, None), (0.0, False, "deadline"), (LONG_S, True, "client_gone")],
    ids=["in-time", "late", "disconnected"],
)
def test_a_sweep_ends_expired_calls(within_s: float, disconnected: bool, ending: str | None) -> None:  # noqa: FBT001 -- a row
    """A call ends at its deadline or when its client has disconnected; one that is over is in no sweep."""
    calls, one = CallRegistry(), call(within_s, disconnected=disconnected)
    with calls.registered(one):
        calls.end_expired()
        assert one.ending == ending
        assert calls.active() == [one]
    assert calls.active() == []


def test_a_drain_ends_all_calls() -> None:
    """At its deadline each call in progress ends."""
    calls, both = CallRegistry(), [call(), call()]
    with calls.registered(both[0]), calls.registered(both[1]):
        calls.end_all()
    assert [one.ending for one in both] == ["shutting_down"] * 2
