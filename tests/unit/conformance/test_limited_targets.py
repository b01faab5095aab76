"""Targets with a limit of clients: a client that has left does not count, and G13 asks again after a refusal."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from http.client import HTTPConnection
from unittest.mock import Mock

import pytest

from tests.fixtures.faults.concurrency import POOL, LeakingPool
from tests.fixtures.faults.healthy_limits import LIMITS, OneClient
from tests.fixtures.faults.reference import forwarder
from tests.fixtures.faults.reference.http import Refused, Request, Response
from tests.matrix.contract import contract
from tests.matrix.fault_run import SHORTER, failed_checks, run_fault

PATH = "/v1/chat/completions"
SHORT = {"tests.contract.test_g_time.MOST_S": 0.3}  # of each wait
Ask = Callable[[LeakingPool | OneClient], bool]


@pytest.fixture
def ask_and_leave(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ask]:
    """A function that asks for a stream, reads its first piece and leaves; False when the question is refused."""
    monkeypatch.setattr(forwarder, "forward", Mock())
    opened = ExitStack()

    def ask(target: LeakingPool | OneClient) -> bool:
        client, server = socket.socketpair()
        request = Request("POST", PATH, [], b'{"stream": true}', client=opened.enter_context(server))
        with client, suppress(Refused):
            target.forward(Mock(HTTPConnection), request)
            pieces = iter(target.steps.response(request, Response(200, iter([b"one", b"two"]))).body)
            opened.callback(pieces.close)  # type: ignore[attr-defined]  # it is a generator
            next(pieces)
            return True
        return False

    with opened:
        yield ask


def test_place_of_a_client_that_has_left(ask_and_leave: Ask) -> None:
    """A chat is served when the client of the one before has left, also while its stream has not ended."""
    target = OneClient()
    assert [ask_and_leave(target), ask_and_leave(target)] == [True, True]


def test_leaks_do_not_wait_for_the_ends_of_streams(ask_and_leave: Ask) -> None:
    """A pool has lost the connections of all clients that have left, also while their streams have not ended."""
    target = LeakingPool(before=False)
    assert [ask_and_leave(target) for _ in range(POOL + 1)] == [True] * POOL + [False]


def test_slow_answers_of_a_limited_target() -> None:
    """A target that serves one chat at a time passes the checks of slow answers, which are asked for at once."""
    fault = LIMITS["relay-of-one-chat-at-a-time"]
    tests = tuple(test for test in contract(fault.profile).tests if test.check.startswith("G13-"))
    outcomes = run_fault(fault, tests, SHORTER | SHORT)
    assert failed_checks(outcomes) == frozenset()
    assert {outcome.word for outcome in outcomes.values()} == {"passed"}
