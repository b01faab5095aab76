"""Launch a fault in this process and run checks against it, with shorter waits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from unittest import mock

from lumen_conformance.run import ALONE, Run
from tests.fixtures.check_session import CheckItem, Outcome
from tests.fixtures.faults.fault import Fault
from tests.matrix.contract import contract
from tests.matrix.reference_launch import ReferenceLaunches

Outcomes = Mapping[CheckItem, Outcome]
# Module and name of a constant of a test → its value here: the references answer within milliseconds, and their faults
# need no larger texts and no more offsets.
SHORTER: Final = {
    "lumen_conformance.contract.target_monitor.EXIT_S": 0.0,  # servers of this process do not exit
    "tests.contract.conftest.DEADLINE_S": 1.0,
    "tests.contract.test_g_failures.DEADLINE_S": 1.0,
    "tests.contract.test_g_failures.SLACK_S": 1.5,
    "tests.contract.test_h_connections.IDLE_S": 1.0,
    "tests.contract.test_g_text.LARGE_BYTES": 400_000,  # more than the faults that cut texts leave
    "tests.contract.test_g_text.OFFSET_STEP": 5,  # of some 200 bytes
    "tests.contract.test_g_time.MOST_S": 2.0,
    "tests.contract.test_h_bodies.CLOSED_WITHIN_S": 0.5,
    "tests.contract.test_h_framing.CONTINUE_S": 0.5,
    "lumen_conformance.http.response_reader.CONTINUE_S": 0.5,
    # The bound of the claim stays. A reference closes in milliseconds of processor time, over some five wake-ups of
    # threads; with 11 runnable threads for each core, each of them waits for some 11 slices of 4 ms, so 0.25 s in all.
    "tests.contract.test_g_clients.OPEN_S": 3.0,
    "tests.contract.test_g_concurrency.ABORTS": 8,  # more than `POOL` in the faults of these checks
    "tests.contract.test_g_concurrency.NOTICED_S": 0.5,
    "tests.contract.test_g_concurrency.SERVED_S": 1.0,
}


@contextmanager
def shorten_waits(shorter: Mapping[str, float] = SHORTER) -> Iterator[None]:
    """Replace these constants of tests."""
    with ExitStack() as stack:
        for name, seconds in shorter.items():
            stack.enter_context(mock.patch(name, seconds))
        yield


def run_fault(fault: Fault, tests: tuple[CheckItem, ...], shorter: Mapping[str, float] = SHORTER) -> Outcomes:
    """Launch the fault and run these checks against it."""
    session = contract(fault.profile)
    with shorten_waits(shorter), ReferenceLaunches(fault.steps, session.target) as launches, new_run() as run:
        return session.run(tests, session.target, run, launches)


@contextmanager
def new_run() -> Iterator[Run]:
    """A run with a folder for the bodies of large requests; the folder is removed at the end."""
    with TemporaryDirectory() as folder:
        yield Run("in-process", ALONE, Path(folder))


def failed_checks(outcomes: Outcomes) -> frozenset[str]:
    """The checks that failed in any of their rows."""
    return frozenset(test.check for test, outcome in outcomes.items() if outcome.word == "failed")
