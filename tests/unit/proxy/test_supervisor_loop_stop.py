"""The state table of the loop after a stop signal: drain, kill, exit status."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from lumen_proxy.errors import Exit
from lumen_proxy.ipc import Drained
from lumen_proxy.supervisor.states import State
from tests.unit.proxy.loop_stage import Stage


@pytest.fixture
def on(tmp_path: Path) -> Stage:
    """A loop whose first worker boots."""
    return Stage(tmp_path)


def test_a_stop_drains(on: Stage) -> None:
    """A stop closes the port; without cut requests the exit status is 0, and the journal has no worker_died."""
    on.serve()
    assert on.feed(signal.SIGTERM) is State.DRAINING
    assert on.worker.commands[-1] == "drain 30"
    on.socket.close.assert_called_once_with()
    on.send(Drained(0))
    assert on.exit(0) is State.STOPPED
    assert on.loop.exit_status is Exit.OK
    assert on.event_names()[-2:] == ["draining", "drained"]
    assert on.written()[-2]["reason"] == "SIGTERM"


@pytest.mark.parametrize(
    ("cut", "status", "expected"),
    [(0, 0, Exit.OK), (2, 70, Exit.SOFTWARE), (None, 0, Exit.OK), (None, 70, Exit.SOFTWARE), (None, -9, Exit.SOFTWARE)],
)
def test_the_exit_status_of_a_drain(on: Stage, cut: int | None, status: int, expected: Exit) -> None:
    """The exit status is 0 only if the message and the status of the worker say that nothing was cut."""
    on.serve()
    on.feed(signal.SIGTERM)
    if cut is not None:
        on.send(Drained(cut))
    assert on.exit(status) is State.STOPPED
    assert on.loop.exit_status is expected
    assert on.written()[-1]["cut"] == (0 if expected is Exit.OK else cut)
    died = [event["was_serving"] for event in on.written() if event["event"] == "worker_died"]
    assert died == ([True] if status == -9 else [])


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT, None], ids=["again", "other", "deadline"])
def test_a_second_signal_and_the_deadline_kill(on: Stage, second: signal.Signals | None) -> None:
    """A second signal or the deadline kills the worker: 70, because requests may have been cut."""
    on.serve()
    on.feed(signal.SIGTERM)
    assert on.feed(second) is State.ENDING
    assert on.worker.commands[-1] == "kill"
    assert on.exit(-9) is State.STOPPED
    assert on.loop.exit_status is Exit.SOFTWARE


def test_a_worker_that_drained_but_does_not_exit(on: Stage) -> None:
    """The exit status is 0 if the worker reported that nothing was cut, even if it is killed afterwards."""
    on.serve()
    on.feed(signal.SIGTERM)
    on.send(Drained(0))
    on.feed()
    on.exit(-9)
    assert on.loop.exit_status is Exit.OK


def test_a_stop_while_booting_kills_the_worker(on: Stage) -> None:
    """A stop while a worker boots kills the worker and ends with 0."""
    assert on.feed(signal.SIGINT) is State.ENDING
    assert on.worker.commands == ["kill"]
    assert on.exit(-9) is State.STOPPED
    assert on.loop.exit_status is Exit.OK


def test_a_stop_while_waiting_ends_at_once(on: Stage) -> None:
    """A stop during the back-off ends at once."""
    on.exit(1)
    assert on.feed(signal.SIGTERM) is State.STOPPED
    assert on.loop.exit_status is Exit.OK


def test_a_worker_that_cannot_be_killed_does_not_block_the_end(on: Stage) -> None:
    """The supervisor ends after KILL_S even if the worker does not."""
    on.serve()
    on.feed(signal.SIGTERM)
    on.feed(signal.SIGTERM)
    assert on.feed() is State.STOPPED
