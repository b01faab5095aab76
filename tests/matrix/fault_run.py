"""One run of the contract against one fault: which tests, and what they found.

A whole run takes seconds, most of them for rows that cannot matter: sixty refused requests against a fault of streams.
So of a table of requests a fault is asked the rows that it declares and every ninth of the others, others for each
fault (its name says which); of a table of which it declares some, every third. `E2E_LUMEN_WHOLE_MATRIX=1`
(set by `make matrix`) asks every row. What takes long by itself (time-outs, idling, megabytes, crowds) is asked where
it is declared. All other tests, those of every judge among them, are asked always. Durations that a test waits out are
shortened (`SHORTER`); nothing else of the tests is changed. The healthy references are asked everything.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from unittest import mock
from zlib import crc32

from tests.fixtures.faults.fault import Fault
from tests.matrix.in_process_runner import Asked, Outcome, contract, outcomes
from tests.matrix.reference_launch import Stage, given

WRITING = os.environ.get("E2E_LUMEN_WRITE_FAILURES") == "1"  # what is seen is written instead of held
WHOLE = WRITING or os.environ.get("E2E_LUMEN_WHOLE_MATRIX") == "1"
FAR, NEAR = 9, 3  # every ninth row of a table that should not matter, every third of one that does
TABLES = frozenset((
    "test_accepted", "test_bad_request", "test_bad_request_is_no_failure", "test_drift",
    "test_every_role", "test_failure", "test_foreign_host",
    "test_foreign_origin", "test_hints", "test_http_errors", "test_key_refused", "test_late_code",
    "test_late_failure", "test_late_failure_is_framed", "test_late_failure_shows_nothing",
    "test_leniently_accepted", "test_one_question",
    "test_own_host", "test_param", "test_persona", "test_persona_of_a_longer_name", "test_request_id_is_kept",
    "test_retry_after_range", "test_round_trip", "test_sent_by_clients", "test_status_of_a_refused_key",
    "test_tolerated", "test_unreachable", "test_unreachable_hints",
))  # fmt: skip
SLOW = frozenset((
    "test_after_idling", "test_gone_client", "test_healthy_after_bad", "test_identity", "test_large_answer",
    "test_long_request", "test_no_cross_talk", "test_oversize", "test_split_anywhere",
    "test_stream_byte_by_byte", "test_timeout", "test_timeout_hints", "test_unique_ids", "test_unique_request_ids",
))  # fmt: skip
SLOW_ROWS = ("silent", "F3.oversize-huge", "G3.oversize", "G8.oversize")
# Module and name of what is waited out → seconds.
SHORTER = {
    "tests.contract.conftest.DEADLINE_S": 1.0,
    "tests.contract.test_g_failures.DEADLINE_S": 1.0,
    "tests.contract.test_g_failures.SLACK_S": 1.5,
    "tests.contract.test_h_connections.IDLE_S": 0.6,
    "tests.contract.test_g_clients.CLOSED_WITHIN_S": 0.5,
}


def asked(fault: Fault, tests: tuple[Asked, ...]) -> Iterator[Asked]:
    """The tests that a fault is asked."""
    declared, first = declared_by(fault, tests), crc32(fault.name.encode())
    near = {function_of(test) for test in tests if test.check in declared}
    for number, test in enumerate(tests):
        function = function_of(test)
        every = 1 if WHOLE or function not in TABLES else NEAR if function in near else FAR
        drawn = (number + first) % every == 0
        if test.check in declared or (drawn and not is_slow(test)):
            yield test


def declared_by(fault: Fault, tests: Iterable[Asked]) -> frozenset[str]:
    """The checks of these tests that must fail."""
    return frozenset(check for check in {test.check for test in tests} if fault.declares(check))


def whole(variant: Fault, tests: tuple[Asked, ...]) -> tuple[Asked, ...]:
    """What a healthy variant is asked: the references everything, others every text and what a fault is asked."""
    if variant.name in {"reference", "relay"}:
        return tests
    asked_anyway = {test.name for test in asked(variant, tests)}
    return tuple(test for test in tests if test.name in asked_anyway or function_of(test) == "test_round_trip")


def function_of(test: Asked) -> str:
    """The name of the test function."""
    return test.name.partition("[")[0]


def is_slow(test: Asked) -> bool:
    """Whether it waits for seconds."""
    return function_of(test) in SLOW or any(row in test.name for row in SLOW_ROWS)


@contextmanager
def shortened(shorter: Mapping[str, float] = SHORTER) -> Iterator[None]:
    """Wait for less."""
    with ExitStack() as stack:
        for name, seconds in shorter.items():
            stack.enter_context(mock.patch(name, seconds))
        yield


def judge(fault: Fault, tests: tuple[Asked, ...], shorter: Mapping[str, float] = SHORTER) -> dict[Asked, Outcome]:
    """Launch the fault and run these tests against it."""
    target = contract(fault.profile).target
    with shortened(shorter), Stage(fault.steps, target) as stage:
        found = outcomes(tests, given(stage, target))
    return {test: found[test.name] for test in tests}


def red_of(found: dict[Asked, Outcome]) -> frozenset[str]:
    """The checks that failed in any of their rows."""
    return frozenset(test.check for test, outcome in found.items() if outcome.word == "failed")
