"""What the loop does with a worker that hangs: rows SERVING and HUNG of its table, with a fake worker and clock."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from lumen_proxy.errors import Exit
from lumen_proxy.ipc import Beat, Drain, Imported
from lumen_proxy.supervisor import hang, loop, self_probe, starvation, time_limits
from lumen_proxy.supervisor.spawn import WorkerMessage
from lumen_proxy.supervisor.starvation import ThreadRuns
from lumen_proxy.supervisor.states import State
from tests.unit.proxy.loop_stage import Stage

LIMIT_S = 8.0
TICK_S = 2.0
STACK = b"""\
Thread 0x0000000000000001 (most recent call first):
  File "/private/lumen_proxy/worker/http/server.py", line 7 in _turn
"""


class HangStage(Stage):
    """A loop whose worker serves, with a clock that the test moves, and probes that nobody answers."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1024.0
        self.probes: list[Callable[[], object]] = []
        clock = SimpleNamespace(monotonic=lambda: self.now)
        for module in (hang, loop):
            monkeypatch.setattr(module, "time", clock)
        monkeypatch.setattr(self_probe, "start", self.probe)
        self.runs: ThreadRuns | None = None
        monkeypatch.setattr(starvation, "read_main_thread", lambda pid: self.runs if pid == self.worker.pid else None)
        super().__init__(folder, watchdog_s=LIMIT_S, standby=False)
        self.serve()

    def probe(self, url: str, within_s: float, on_answer: Callable[[], object]) -> None:
        """Record a probe."""
        assert (url, within_s) == ("http://127.0.0.1:8080", TICK_S)
        self.probes.append(on_answer)

    def wait(self) -> State:
        """Let the time pass until the deadline; return the state after the timeout."""
        assert self.loop.deadline is not None
        self.now = self.loop.deadline
        return self.feed()

    def wait_for_hang(self) -> State:
        """Let four ticks pass without a sign of life."""
        return [self.wait() for _ in range(4)][-1]


@pytest.fixture
def on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HangStage:
    """A loop whose worker serves."""
    return HangStage(tmp_path, monkeypatch)


def test_a_worker_with_heartbeats_is_never_probed(on: HangStage) -> None:
    """With one heartbeat a tick nothing is probed, shown or replaced."""
    for _ in range(20):
        assert on.send(Beat()) is State.SERVING
        assert on.wait() is State.SERVING
    assert (on.probes, on.observer.hangs, on.worker.commands) == ([], [], ["serve 1/0"])


def test_a_silent_worker_is_hung_within_the_limit(on: HangStage) -> None:
    """The first tick has the sign of the start, two are silent and probed, the third is a hang."""
    began = on.now
    assert [on.wait() for _ in range(4)] == [State.SERVING, State.SERVING, State.SERVING, State.HUNG]
    assert (len(on.probes), on.now - began) == (2, LIMIT_S)


def test_an_answered_probe_is_a_sign(on: HangStage) -> None:
    """A worker without heartbeats, as on Windows, serves for ever if each probe is answered."""
    on.wait()
    for number in range(20):
        assert on.wait() is State.SERVING
        on.probes[number]()
        assert on.feed(on.events.get_nowait()) is State.SERVING
        assert on.wait() is State.SERVING


def test_an_answer_for_an_earlier_worker_does_not_count(on: HangStage) -> None:
    """The probe of a worker that was replaced says nothing about the next one."""
    former = on.worker
    on.exit(-9)
    on.feed()
    on.serve()
    for _ in range(3):
        on.wait()
        on.feed(WorkerMessage(former, Beat()))
    assert on.wait() is State.HUNG


def test_a_hung_worker_writes_its_stack_and_is_killed(on: HangStage) -> None:
    """The kill follows when the stack has not grown for a moment; the journal has it, without private paths."""
    assert on.wait_for_hang() is State.HUNG
    assert on.worker.commands == ["serve 1/0", "dump"]
    for line in STACK.splitlines(keepends=True):
        on.worker.dump.add(line)
    assert on.wait() is State.HUNG
    assert on.wait() is State.KILLED
    assert on.worker.commands == ["serve 1/0", "dump", "kill"]
    expected = {
        "event": "worker_hung",
        "pid": 100,
        "generation": 1,
        "process_state": "running",
        "stack": ["lumen_proxy/worker/http/server.py:7 _turn"],
    }
    assert expected.items() <= on.written()[-1].items()
    assert LIMIT_S <= on.written()[-1]["silent_s"] <= LIMIT_S + hang.DUMP_S


def test_a_worker_that_cannot_write_is_killed_in_time(on: HangStage) -> None:
    """A process in the kernel writes no stack; it is killed after DUMP_S."""
    on.wait_for_hang()
    began = on.now
    while on.wait() is not State.KILLED:
        assert on.now - began <= hang.DUMP_S
    assert on.written()[-1]["stack"] is None


@pytest.mark.parametrize(("state", "can_dump"), [("stopped", True), ("tracing-stop", True), ("running", False)])
def test_no_stack_is_awaited_of_a_worker_that_cannot_write(on: HangStage, state: str, can_dump: bool) -> None:  # noqa: FBT001 - a row
    """A stopped worker is not asked and never continued; on Windows there is no signal. The kill follows at once."""
    on.worker.state, on.worker.can_dump = state, can_dump
    on.wait_for_hang()
    began = on.now
    assert on.wait() is State.KILLED
    assert on.now == began
    assert ("dump" in on.worker.commands) is (state == "running")
    assert {"process_state": state, "stack": None}.items() <= on.written()[-1].items()


def test_the_exit_of_a_hung_worker_is_an_exit_like_any_other(on: HangStage) -> None:
    """It backs off, counts, and is journalled as the exit of a worker that served; the failure names the hang."""
    on.wait_for_hang()
    on.worker.state = "running"
    while on.wait() is not State.KILLED:
        pass
    assert on.exit(-9) is State.WAITING
    assert on.event_names()[-3:] == ["worker_hung", "worker_died", "restart_scheduled"]
    assert {"was_serving": True, "signal": 9, "generation": 1}.items() <= on.written()[-2].items()
    failure = next(report for report in on.observer.reports if report.startswith("failure"))
    pattern = r"failure: hung worker 100 was replaced: silent for 8\.\d s, process state running"
    assert re.fullmatch(pattern, failure)
    on.feed()
    assert on.exit(1) is State.WAITING
    assert on.observer.reports[-1] == "failure: worker 101 ended with exit status 1"


def test_a_starved_worker_has_more_time(on: HangStage) -> None:
    """Its serving loop runs for moments only, since its first silent tick: it is probed, and hung at the twelfth."""
    found = []
    for number in range(13):
        on.runs = ThreadRuns(on.now, 0.001 * number, 10 * number)
        found.append(on.wait())
    assert found == [State.SERVING] * 12 + [State.HUNG]
    assert len(on.probes) == 11


def test_a_worker_that_spins_is_not_starved(on: HangStage) -> None:
    """Its serving loop uses processor time without a heartbeat."""
    found = []
    for number in range(4):
        on.runs = ThreadRuns(on.now, 0.1 * number, 10 * number)
        found.append(on.wait())
    assert found[-1] is State.HUNG


def test_a_hang_is_shown_while_it_lasts(on: HangStage) -> None:
    """The first silent tick is shown with the time of the last sign; so is the end of the silence."""
    serving_since = on.now
    on.wait()
    assert on.observer.hangs == []
    on.wait()
    assert on.observer.hangs == [{"worker_pid": 100, "since_mono": serving_since, "watchdog_s": LIMIT_S}]
    on.wait()
    on.send(Beat())
    on.wait()
    assert on.observer.hangs[1:] == [None]
    on.wait_for_hang()
    assert len(on.observer.hangs) == 3
    assert on.observer.reports[-1] == "hung"


def test_a_jump_of_the_clock_is_not_a_hang(on: HangStage) -> None:
    """The machine slept before the third silent tick: three more are needed."""
    on.wait()
    on.wait()
    on.wait()
    on.now += 3600.0
    assert on.feed() is State.SERVING
    assert [on.wait() for _ in range(3)] == [State.SERVING, State.SERVING, State.HUNG]


@pytest.mark.parametrize("signals", [1, 2])
def test_a_draining_worker_is_left_to_its_deadline(on: HangStage, signals: int) -> None:
    """A drain is bounded by itself; a heartbeat in it changes nothing."""
    on.feed(signal.SIGTERM)
    assert on.send(Beat()) is State.DRAINING
    assert on.loop.deadline == on.now + 32.0
    if signals > 1:
        assert on.feed(signal.SIGTERM) is State.ENDING


def test_a_stop_ends_a_hung_worker_at_once(on: HangStage) -> None:
    """A stop in HUNG does not wait for the stack."""
    on.wait_for_hang()
    assert on.feed(signal.SIGTERM) is State.ENDING
    assert on.worker.commands[-1] == "kill"
    assert on.exit(-9) is State.STOPPED
    assert on.loop.exit_status is Exit.OK


def test_a_hung_worker_that_ends_by_itself_is_replaced(on: HangStage) -> None:
    """Its exit before the kill is handled like any other."""
    on.wait_for_hang()
    assert on.exit(1) is State.WAITING


def test_a_worker_that_boots_is_not_judged(on: HangStage) -> None:
    """A boot has its own deadline: a heartbeat in it is no message that counts."""
    on.exit(-9)
    on.feed()
    assert on.send(Beat()) is State.BOOTING
    on.send(Imported(101))
    assert on.send(Drain(1.0)) is State.PROMOTED
    assert on.loop.deadline == on.now + time_limits.BOOT_S
