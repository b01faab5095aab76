"""The state table of the loop, line by line, with a fake worker."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.ipc import Drain, Drained, Imported, Message, Ready
from lumen_proxy.supervisor import loop as under_test
from lumen_proxy.supervisor import time_limits
from lumen_proxy.supervisor.spawn import WorkerExit, WorkerMessage, WorkerProcess
from lumen_proxy.supervisor.states import Checkup, State, Timeout
from tests.unit.proxy.loop_stage import Stage


@pytest.fixture
def stage(tmp_path: Path) -> Callable[..., Stage]:
    """A loop whose first worker boots."""

    def make(**settings: object) -> Stage:
        return Stage(tmp_path, **settings)

    return make


MakeStage = Callable[..., Stage]


def test_a_worker_is_promoted_then_serves(stage: MakeStage) -> None:
    """Imported, promoted to generation 1, ready: the generation is published and written to the journal."""
    on = stage()
    assert on.send(Imported(77)) is State.PROMOTED
    assert on.worker.commands == ["serve 1/0"]
    assert on.observer.generations == []
    assert on.send(Ready()) is State.SERVING
    assert on.observer.generations == [1]
    ready = on.written()[-1]
    expected = {"event": "ready", "pid": 77, "generation": 1, "restarts": 0, "port": 8080, "supervisor_pid": 1}
    assert expected.items() <= ready.items()
    assert ready["hosts"] == ["127.0.0.1"]


def test_an_exit_is_followed_by_the_next_generation(stage: MakeStage) -> None:
    """An exit is written to the journal, and after a back-off of 0 s a new worker becomes generation 2."""
    on = stage()
    on.serve()
    former = on.worker
    assert on.exit(-9) is State.WAITING
    assert former.commands[-1] == "close"
    assert on.feed() is State.BOOTING
    on.serve()
    assert on.observer.generations == [1, 2]
    assert on.worker.commands == ["serve 2/1"]
    assert on.event_names() == [
        "worker_spawned",
        "ready",
        "worker_died",
        "restart_scheduled",
        "worker_spawned",
        "ready",
    ]
    assert {"signal": 9, "was_serving": True, "generation": 1}.items() <= on.written()[2].items()


def test_generations_count_promotions(stage: MakeStage) -> None:
    """A worker that ends before it is promoted has no generation."""
    on = stage()
    on.exit(1)
    on.feed()
    on.serve()
    assert on.observer.generations == [1]
    assert {"exit_status": 1, "was_serving": False}.items() <= on.written()[1].items()


@pytest.mark.parametrize("status", [64, 69, 73, 77, 78])
@pytest.mark.parametrize("served", [False, True])
def test_a_permanent_status_is_passed_on(stage: MakeStage, status: int, served: bool) -> None:  # noqa: FBT001
    """A permanent exit status is not followed by a restart."""
    on = stage()
    if served:
        on.serve()
    assert on.exit(status) is State.STOPPED
    assert on.loop.exit_status == status
    assert len(on.workers) == 1


@pytest.mark.parametrize("status", [0, 1, 70, 71, 74, 75, -9, -11])
def test_any_other_exit_is_followed_by_a_restart(stage: MakeStage, status: int) -> None:
    """Any other exit, even with status 0, is followed by a restart."""
    on = stage()
    on.serve()
    assert on.exit(status) is State.WAITING


def test_too_many_exits_end_the_supervisor(stage: MakeStage) -> None:
    """After the fifth exit within the window the supervisor gives up and ends with 70."""
    on = stage()
    for _ in range(4):
        assert on.exit(1) is State.WAITING
        on.feed()
    assert on.exit(1) is State.STOPPED
    assert on.loop.exit_status is Exit.SOFTWARE
    assert on.written()[-1]["event"] == "gave_up"
    assert on.written()[-1]["deaths"] == 5
    assert "giving up after 5 worker exits in 60 s" in on.notices[-1]


def test_a_worker_that_is_not_ready_in_time_is_killed(stage: MakeStage) -> None:
    """A worker that is not ready in time is killed; its exit counts like any other."""
    on = stage()
    assert on.feed() is State.KILLED
    assert on.worker.commands == ["kill"]
    assert on.exit(-9) is State.WAITING


def test_a_killed_worker_that_does_not_end_is_killed_again(stage: MakeStage) -> None:
    """The notice says how long after the kill, and a late `ready` is ignored; a stop signal ends the supervisor."""
    on = stage()
    on.send(Imported(77))
    on.feed()
    assert on.feed() is State.KILLED
    assert on.worker.commands == ["serve 1/0", "kill", "kill"]
    assert [notice.split(";")[0] for notice in on.notices] == [
        "the worker was not ready within 30 s",
        "the worker did not end within 5 s after it was killed",
    ]
    assert on.send(Ready()) is State.KILLED
    assert on.feed(signal.SIGTERM) is State.ENDING


@pytest.mark.parametrize("has_served", [False, True])
def test_a_worker_that_cannot_be_started_later_backs_off(stage: MakeStage, has_served: bool) -> None:  # noqa: FBT001
    """A later worker that cannot be started counts like an exit, even if no worker was promoted so far."""
    on = stage()
    if has_served:
        on.serve()
    on.exit(-9)
    on.spawn_error = OSError(24, "Too many open files")
    assert on.feed() is State.WAITING
    on.spawn_error = None
    assert on.feed() is State.BOOTING
    assert "cannot start a worker process: Too many open files" in on.notices[-1]


def test_a_first_worker_that_cannot_be_started_is_71(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the first worker cannot be started, the supervisor ends with 71."""

    def refuse(_: Stage) -> WorkerProcess:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(Stage, "spawn", refuse)
    with pytest.raises(Fatal, match="cannot start a worker process: Resource temporarily unavailable") as verdict:
        Stage(tmp_path)
    assert verdict.value.exit_status is Exit.OS


def test_events_of_a_replaced_worker_are_ignored(stage: MakeStage) -> None:
    """Messages and the exit of a worker that was replaced are ignored."""
    on = stage()
    on.serve()
    former = on.worker
    on.exit(-9)
    on.feed()
    for event in (WorkerMessage(former, Ready()), WorkerExit(former, 1)):
        assert on.feed(event) is State.BOOTING
    assert len(on.workers) == 2


@pytest.mark.parametrize("message", [Drained(0), Drain(1.0), Ready()])
def test_unexpected_messages_are_ignored(stage: MakeStage, message: Message) -> None:
    """A message that the state does not expect changes nothing."""
    on = stage()
    assert on.feed(WorkerMessage(on.worker, message)) is State.BOOTING
    assert on.worker.commands == []


def test_a_worker_is_promoted_once(stage: MakeStage) -> None:
    """A second `imported` raises no generation."""
    on = stage()
    on.send(Imported(77))
    on.serve()
    assert on.worker.commands == ["serve 1/0"]
    assert on.observer.generations == [1]


def test_the_loop_blocks_until_its_deadline(stage: MakeStage, monkeypatch: pytest.MonkeyPatch) -> None:
    """If no event comes before the deadline, the next event is a timeout."""
    monkeypatch.setattr(time_limits, "BOOT_S", 0.01)
    on = stage()
    assert on.loop._next_event() == Timeout()  # noqa: SLF001
    on.events.put(signal.SIGTERM)
    assert on.loop._next_event() is signal.SIGTERM  # noqa: SLF001


NOW_S = 1024.0  # any time; the bounds below are added without a rounding error


@pytest.fixture
def fixed_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock of the loop stands still."""
    monkeypatch.setattr(under_test, "time", SimpleNamespace(monotonic=lambda: NOW_S))


def bound_s(on: Stage) -> float | None:
    """Seconds until the deadline of the state by the fixed clock; None without a deadline."""
    return None if on.loop.deadline is None else on.loop.deadline - NOW_S


@pytest.mark.usefixtures("fixed_clock")
def test_each_wait_has_a_bound(stage: MakeStage) -> None:
    """Boot, kill, back-off, drain and end have a deadline; while it serves, the watchdog looks once a tick."""
    on = stage(drain_s=7.0, watchdog_s=8.0)
    assert bound_s(on) == time_limits.BOOT_S
    on.feed()
    assert on.worker.commands == ["kill"]
    assert bound_s(on) == time_limits.KILL_S
    on.exit(-9)
    assert bound_s(on) == 0
    on.feed()
    on.serve()
    assert bound_s(on) == 2.0
    on.feed(signal.SIGTERM)
    assert bound_s(on) == 7.0 + time_limits.DRAIN_GRACE_S
    on.feed()
    assert bound_s(on) == time_limits.KILL_S


@pytest.mark.usefixtures("fixed_clock")
def test_a_back_off_lasts_as_the_journal_says(stage: MakeStage) -> None:
    """The next worker starts after the delay of `restart_scheduled`, not before."""
    on = stage(restart_backoff_s=20.0)
    on.exit(1)
    on.feed()
    on.exit(1)
    scheduled = on.written()[-1]
    assert scheduled["delay_cap_s"] == 20.0
    assert on.loop.deadline == NOW_S + scheduled["delay_s"]


def test_a_worker_that_served_a_whole_window_is_replaced_at_once(stage: MakeStage) -> None:
    """Readiness reaches the restart policy: the series of exits begins again."""
    on = stage(restart_backoff_s=20.0, restart_window_s=1e-6, max_restarts=0)
    on.exit(1)
    on.feed()
    on.exit(1)
    on.feed()
    on.serve()
    on.exit(1)
    caps_s = [event["delay_cap_s"] for event in on.written() if event["event"] == "restart_scheduled"]
    assert caps_s == [0, 20.0, 0]


def test_a_crash_loop_is_reported(stage: MakeStage) -> None:
    """Each phase and each failure is reported, then the reason of the end with the last failure. 0 s are no phase."""
    on = stage(max_restarts=2, restart_window_s=7.0)
    on.serve()
    on.exit(-9)
    on.feed()
    pid = on.worker.pid
    on.exit(3)
    assert on.observer.reports == [
        "booting",
        "serving",
        "failure: worker 100 ended with signal 9",
        "booting",
        f"failure: worker {pid} ended with exit status 3",
        f"gave up: 2 worker exits in 7 s; last: worker {pid} ended with exit status 3",
        "stopped",
    ]


def test_a_permanent_status_is_reported(stage: MakeStage) -> None:
    """The reason says that a restart does not help."""
    on = stage()
    on.serve()
    on.exit(78)
    reason = "failed: the worker ended with exit status 78; a restart does not help"
    assert on.observer.reports[-2:] == [reason, "stopped"]


@pytest.mark.parametrize("phase", ["booting", "serving", "draining"])
def test_a_checkup_restores_the_files(stage: MakeStage, phase: str) -> None:
    """A checkup changes neither the state nor its deadline."""
    on = stage()
    on.serve()
    if phase == "booting":
        on.exit(-9)
        on.feed()
    elif phase == "draining":
        on.feed(signal.SIGTERM)
    before, deadline = on.loop.state, on.loop.deadline
    assert on.feed(Checkup()) is before
    assert (on.observer.reports[-1], on.loop.deadline) == ("restored", deadline)
    on.offer.restore.assert_called_once_with()
