"""The state table of the standby, line by line, with fake workers."""

from __future__ import annotations

import signal
import socket
import time
from pathlib import Path
from unittest.mock import Mock

import pytest

from lumen_proxy.errors import Exit
from lumen_proxy.ipc import Drained, Imported, Ready
from lumen_proxy.supervisor import time_limits
from lumen_proxy.supervisor.event_queue import Event
from lumen_proxy.supervisor.offer import Commit, Successor
from lumen_proxy.supervisor.standby import StandbyState
from lumen_proxy.supervisor.states import StandbyTimeout, State
from tests.unit.proxy.loop_stage import FakeWorker, Stage


def serving(folder: Path, **settings: object) -> Stage:
    """A loop whose first worker serves."""
    on = Stage(folder, **settings)
    on.serve()
    return on


def boot_standby(on: Stage) -> FakeWorker:
    """The deadline of the standby passes, so that it is started."""
    assert on.feed(StandbyTimeout()) is State.SERVING
    assert on.loop.standby.state is StandbyState.BOOTING
    return on.workers[-1]


def ready_standby(on: Stage) -> FakeWorker:
    """The standby has imported."""
    standby = boot_standby(on)
    on.send(Imported(standby.pid))
    assert on.loop.standby.state is StandbyState.READY
    return standby


def die(on: Stage, worker: FakeWorker, status: int = -9) -> State:
    """This worker ends."""
    return on.exit_of(worker, status)


def test_a_standby_is_started_when_a_worker_serves(tmp_path: Path) -> None:
    """Not before, so that it takes no time from the first boot; then at once."""
    on = Stage(tmp_path)
    assert on.loop.standby.deadline is None
    on.serve()
    assert on.loop._next_event() == StandbyTimeout()  # noqa: SLF001
    boot_standby(on)
    assert [line["standby"] for line in on.written() if line["event"] == "worker_spawned"] == [False, True]
    assert on.event_names()[-1] == "worker_spawned"


def test_a_standby_that_is_ready_is_promoted_by_one_message(tmp_path: Path) -> None:
    """After the back-off it gets the next generation, and no process is started."""
    on = serving(tmp_path)
    worker, standby = on.worker, ready_standby(on)
    assert on.event_names()[-1] == "standby_ready"
    assert standby.commands == []
    assert die(on, worker) is State.WAITING
    assert on.feed() is State.PROMOTED
    assert standby.commands == ["serve 2/1"]
    assert len(on.workers) == 2
    assert on.send(Ready()) is State.SERVING
    assert on.observer.generations == [1, 2]
    assert on.loop._next_event() == StandbyTimeout(), "the next standby"  # noqa: SLF001


def test_a_standby_that_hangs_is_noticed_at_its_promotion(tmp_path: Path) -> None:
    """It is stopped while it waits, so it does not become ready: it is killed after PROMOTION_S, not after BOOT_S."""
    on = serving(tmp_path)
    worker, standby = on.worker, ready_standby(on)
    die(on, worker)
    began = time.monotonic()
    assert on.feed() is State.PROMOTED
    assert on.loop.deadline is not None
    assert on.loop.deadline - time.monotonic() <= time_limits.PROMOTION_S <= on.loop.deadline - began
    assert on.feed() is State.KILLED
    assert standby.commands == ["serve 2/1", "kill"]
    assert on.notices[-1].startswith("the worker was not ready within 5 s;")


def test_a_standby_that_boots_becomes_the_worker_with_its_own_deadline(tmp_path: Path) -> None:
    """It is promoted when it has imported; the time since its start counts."""
    on = serving(tmp_path)
    worker, standby = on.worker, boot_standby(on)
    boot_by = on.loop.standby.deadline
    die(on, worker)
    assert on.feed() is State.BOOTING
    assert on.loop.deadline == boot_by
    assert standby.commands == []
    assert on.send(Imported(standby.pid)) is State.PROMOTED
    assert standby.commands == ["serve 2/1"]


def test_without_a_standby_a_worker_is_started(tmp_path: Path) -> None:
    """A standby that waits for its back-off is not awaited; the next one is started when a worker serves."""
    on = serving(tmp_path, restart_backoff_s=20.0)
    worker = on.worker
    die(on, boot_standby(on), 1)
    die(on, boot_standby(on), 1)
    deadline = on.loop.standby.deadline
    assert deadline
    die(on, worker)
    assert on.feed() is State.BOOTING
    assert on.loop.standby.deadline is None
    assert on.written()[-1]["standby"] is False
    on.serve()
    assert on.loop.standby.deadline == deadline, "its back-off goes on"


def test_none_is_started_with_the_variable_0(tmp_path: Path) -> None:
    """LUMEN_STANDBY=0: no standby, neither at first nor after a death."""
    on = serving(tmp_path, standby=False)
    assert on.loop.standby.deadline is None
    on.exit(-9)
    on.feed()
    on.serve()
    assert on.loop.standby.deadline is None
    assert len(on.workers) == 2


def test_a_restart_with_a_standby_has_the_same_back_off(tmp_path: Path) -> None:
    """A standby that is ready is not promoted before the delay of the journal has passed."""
    on = serving(tmp_path, restart_backoff_s=20.0)
    for generation in (2, 3):
        worker, standby = on.loop.worker, ready_standby(on)
        assert worker
        assert on.exit_of(worker, -9) is State.WAITING
        assert standby.commands == []
        on.feed()
        assert standby.commands == [f"serve {generation}/{generation - 1}"]
        on.send(Ready())
    caps_s = [event["delay_cap_s"] for event in on.written() if event["event"] == "restart_scheduled"]
    assert caps_s == [0, 20.0]


def test_deaths_of_a_standby_switch_it_off(tmp_path: Path) -> None:
    """After the fifth within the window no other is started. The worker serves on; the port stays open."""
    on = serving(tmp_path)
    worker = on.worker
    for _ in range(5):
        die(on, ready_standby(on), -11)
    assert on.event_names()[-3:] == ["standby_ready", "standby_died", "standby_off"]
    assert {"pid": on.worker.pid, "signal": 11}.items() <= on.written()[-2].items()
    assert on.written()[-1]["deaths"] == 5
    assert "5 worker exits in 60 s; no standby is started any more" in on.notices[-1]
    assert (on.loop.standby.state, on.loop.standby.deadline) == (StandbyState.OFF, None)
    assert (on.loop.state, worker.commands) == (State.SERVING, ["serve 1/0"])
    on.socket.close.assert_not_called()


def test_deaths_of_a_standby_do_not_count_as_those_of_the_worker(tmp_path: Path) -> None:
    """After four deaths of standbys the first death of a worker is the first."""
    on = serving(tmp_path, restart_backoff_s=1e-9)
    worker = on.worker
    for _ in range(4):
        die(on, ready_standby(on))
    die(on, worker)
    assert {"deaths_in_window": 1, "delay_cap_s": 0.0}.items() <= on.written()[-1].items()


@pytest.mark.parametrize("is_ready", [False, True])
def test_a_permanent_status_switches_the_standby_off(tmp_path: Path, is_ready: bool) -> None:  # noqa: FBT001 - a row
    """A restart does not help, but the worker serves on."""
    on = serving(tmp_path)
    standby = ready_standby(on) if is_ready else boot_standby(on)
    assert die(on, standby, Exit.UNAVAILABLE) is State.SERVING
    assert on.loop.standby.state is StandbyState.OFF
    assert on.written()[-1]["deaths"] == 1


def test_a_standby_that_hangs_in_its_boot_is_killed(tmp_path: Path) -> None:
    """After the limit for a boot it is killed, again if it does not end, and its exit counts as a death."""
    on = serving(tmp_path)
    standby = boot_standby(on)
    on.feed(StandbyTimeout())
    on.feed(StandbyTimeout())
    assert standby.commands == ["kill", "kill"]
    assert on.notices == [
        "the standby was not ready within 30 s; it is killed",
        "the standby did not end within 5 s after it was killed; it is killed",
    ]
    die(on, standby)
    assert on.loop.standby.state is StandbyState.WAITING
    assert on.event_names()[-1] == "standby_died"


def test_a_killed_standby_is_not_taken(tmp_path: Path) -> None:
    """A standby that is killed cannot serve: a worker is started, and the exit of the standby is still its own."""
    on = serving(tmp_path)
    worker, standby = on.worker, boot_standby(on)
    on.feed(StandbyTimeout())
    die(on, worker)
    on.feed()
    assert len(on.workers) == 3
    assert die(on, standby) is State.BOOTING
    assert on.event_names()[-1] == "standby_died"


def test_hanging_boots_of_a_standby_switch_it_off(tmp_path: Path) -> None:
    """Five boots in a row that were never ready are the limit, however long they took."""
    on = serving(tmp_path, restart_window_s=1e-9)
    for _ in range(5):
        standby = boot_standby(on)
        on.feed(StandbyTimeout())
        die(on, standby)
    assert on.loop.standby.state is StandbyState.OFF
    assert "5 boots in a row were not ready within 30 s" in on.notices[-1]


def test_a_standby_that_cannot_be_started_backs_off(tmp_path: Path) -> None:
    """It counts like a death."""
    on = serving(tmp_path, max_restarts=2)
    on.spawn_error = OSError(24, "Too many open files")
    states = []
    for _ in range(2):
        on.feed(StandbyTimeout())
        states.append(on.loop.standby.state)
    assert states == [StandbyState.WAITING, StandbyState.OFF]
    assert on.loop.state is State.SERVING
    assert "a standby process cannot be started: Too many open files" in on.notices[-1]


def test_a_stop_ends_the_standby_first(tmp_path: Path) -> None:
    """It has a copy of the listening sockets: it ends before the worker drains, and none is started after it."""
    on = serving(tmp_path)
    worker, standby = on.worker, ready_standby(on)
    order: list[str] = []
    standby.commands = worker.commands = order
    assert on.feed(signal.SIGTERM) is State.DRAINING
    assert order == [f"end {time_limits.KILL_S:g}", "close", "drain 30"]
    on.exit_of(standby, -9)
    assert on.loop.standby.deadline is None
    on.feed_from(worker, Drained(0))
    assert on.exit_of(worker, 0) is State.STOPPED
    assert on.loop.exit_status is Exit.OK
    assert "standby_died" not in on.event_names()


@pytest.mark.parametrize("status", [3, 78])
def test_any_end_waits_for_the_standby(tmp_path: Path, status: int) -> None:
    """A permanent status and the limit of the worker end the standby, too."""
    on = serving(tmp_path, max_restarts=1)
    worker, standby = on.worker, ready_standby(on)
    assert die(on, worker, status) is State.STOPPED
    assert standby.commands == [f"end {time_limits.KILL_S:g}", "close"]


def test_a_stop_in_a_back_off_ends_the_standby(tmp_path: Path) -> None:
    """The standby may be ready while the loop waits."""
    on = serving(tmp_path)
    worker, standby = on.worker, ready_standby(on)
    die(on, worker)
    assert on.feed(signal.SIGTERM) is State.STOPPED
    assert standby.commands == [f"end {time_limits.KILL_S:g}", "close"]


@pytest.mark.parametrize("event", [signal.SIGTERM, Commit(Successor(Mock(spec=socket.socket), "new", 4242))])
def test_none_is_started_while_a_killed_worker_ends(tmp_path: Path, event: Event) -> None:
    """A stop or a handover during a hang: the back-off of the standby may end before the worker does."""
    on = serving(tmp_path)
    worker = on.worker
    die(on, boot_standby(on))
    on.loop._move(State.HUNG, 0.0)  # noqa: SLF001 - the watchdog has its own tests
    assert on.feed(event) is State.ENDING
    assert on.loop.standby.deadline is None
    on.feed(StandbyTimeout())
    assert len(on.workers) == 2
    assert die(on, worker) is State.STOPPED
