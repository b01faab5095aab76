"""The table at the top of the loop, line by line, with a worker that is only pretended."""

from __future__ import annotations

import dataclasses
import json
import queue
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lumen_proxy import config
from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.ipc import Drain, Drained, Identity, Imported, Message, Ready, Serve
from lumen_proxy.logs.journal import Journal
from lumen_proxy.supervisor import loop as under_test
from lumen_proxy.supervisor.listener import Listener
from lumen_proxy.supervisor.loop import Event, Loop, State, Surroundings
from lumen_proxy.supervisor.spawn import Child, Died, Said


class Pretended:
    """What the loop needs of a worker; it notes what it is told."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.told: list[str] = []

    def promote(self, pid: int, identity: Identity) -> None:
        """Note the generation."""
        self.pid = pid
        self.told.append(f"serve {identity.generation}/{identity.restarts}")

    def drain(self, within_s: float) -> None:
        """Note the deadline."""
        self.told.append(f"drain {within_s:g}")

    def kill(self) -> None:
        """Note it."""
        self.told.append("kill")

    def close(self) -> None:
        """Note it."""
        self.told.append("close")


class Stage:
    """A loop, what is around it, and events to feed it with."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.children: list[Pretended] = []
        self.published: list[int] = []
        self.words: list[str] = []
        self.listener = Listener((), ("127.0.0.1",), 8080)
        self.failing: OSError | None = None
        values = {"restart_backoff_s": 0.0, "drain_s": 30.0, **settings}
        around = Surroundings(
            settings=dataclasses.replace(config.load({"LUMEN_STATE_DIR": str(folder)}), **values),  # type: ignore[arg-type]
            listener=self.listener,
            journal=Journal(folder / "journal.jsonl", "abc"),
            spawn=self.spawn,
            publish=self.published.append,
            tell=self.words.append,
            identity=Identity(instance="abc", supervisor_pid=1),
        )
        self.events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self.loop = Loop(around, self.events)
        self.journal = around.journal.path
        self.loop._boot()  # noqa: SLF001

    def spawn(self) -> Child:
        """Pretend to start a worker."""
        if self.failing:
            raise self.failing
        self.children.append(Pretended(100 + len(self.children)))
        child: Child = self.child
        return child

    @property
    def child(self) -> Any:  # noqa: ANN401 - takes the place of a Child
        """The youngest."""
        return self.children[-1]

    def feed(self, event: Event | None = None) -> State:
        """One turn of the loop: on this event, or on the deadline."""
        self.loop._handle(event or under_test.Due())  # noqa: SLF001
        return self.loop.state

    def says(self, message: Message) -> State:
        """The worker sends a message."""
        return self.feed(Said(self.child, message))

    def dies(self, status: int) -> State:
        """The worker ends."""
        return self.feed(Died(self.child, status))

    def serves(self) -> None:
        """The worker comes up as it should."""
        self.says(Imported(self.child.pid))
        assert self.says(Ready()) is State.SERVING

    def written(self) -> list[dict[str, Any]]:
        """The journal so far."""
        return [json.loads(line) for line in self.journal.read_text().split("\n") if line]

    def names(self) -> list[str]:
        """Its events' names."""
        return [line["event"] for line in self.written()]


@pytest.fixture
def stage(tmp_path: Path) -> Callable[..., Stage]:
    """A loop with a first worker that boots."""

    def make(**settings: object) -> Stage:
        return Stage(tmp_path, **settings)

    return make


MakeStage = Callable[..., Stage]


def test_a_worker_is_promoted_then_serves(stage: MakeStage) -> None:
    """Imported, promoted to generation 1, ready: published and journalled."""
    on = stage()
    assert on.says(Imported(77)) is State.BOOTING
    assert on.child.told == ["serve 1/0"]
    assert on.published == []
    assert on.says(Ready()) is State.SERVING
    assert on.published == [1]
    ready = on.written()[-1]
    expected = {"event": "ready", "pid": 77, "generation": 1, "restarts": 0, "port": 8080, "supervisor_pid": 1}
    assert expected.items() <= ready.items()
    assert ready["hosts"] == ["127.0.0.1"]


def test_a_death_is_followed_by_the_next_generation(stage: MakeStage) -> None:
    """Death, journal, back-off of nothing, another worker, generation 2."""
    on = stage()
    on.serves()
    assert on.dies(-9) is State.WAITING
    assert on.feed() is State.BOOTING
    on.serves()
    assert on.published == [1, 2]
    assert on.child.told == ["serve 2/1"]
    assert on.names() == ["worker_spawned", "ready", "worker_died", "restart_scheduled", "worker_spawned", "ready"]
    assert {"signal": 9, "was_serving": True, "generation": 1}.items() <= on.written()[2].items()


def test_generations_count_promotions_not_spawns(stage: MakeStage) -> None:
    """A worker that never was imported is no generation."""
    on = stage()
    on.dies(1)
    on.feed()
    on.serves()
    assert on.published == [1]
    assert {"exit_status": 1, "was_serving": False}.items() <= on.written()[1].items()


@pytest.mark.parametrize("status", [64, 69, 73, 77, 78])
@pytest.mark.parametrize("served", [False, True])
def test_a_permanent_status_is_passed_on(stage: MakeStage, status: int, served: bool) -> None:  # noqa: FBT001
    """Nothing is tried again that cannot end otherwise."""
    on = stage()
    if served:
        on.serves()
    assert on.dies(status) is State.STOPPED
    assert on.loop.exit_status == status
    assert len(on.children) == 1


@pytest.mark.parametrize("status", [0, 1, 70, 71, 74, 75, -9, -11])
def test_any_other_end_is_tried_again(stage: MakeStage, status: int) -> None:
    """Even a clean exit is unexpected while nobody asked for one."""
    on = stage()
    on.serves()
    assert on.dies(status) is State.WAITING


def test_too_many_deaths_end_it(stage: MakeStage) -> None:
    """The fifth death within the window: gave_up, 70."""
    on = stage()
    for _ in range(4):
        assert on.dies(1) is State.WAITING
        on.feed()
    assert on.dies(1) is State.STOPPED
    assert on.loop.exit_status is Exit.SOFTWARE
    assert on.written()[-1]["event"] == "gave_up"
    assert on.written()[-1]["deaths"] == 5
    assert "5 times within 60 s; giving up" in on.words[-1]


def test_a_worker_that_is_never_ready_is_ended(stage: MakeStage) -> None:
    """Killed at the deadline; its death then counts like any other."""
    on = stage()
    assert on.feed() is State.BOOTING
    assert on.child.told == ["kill"]
    assert on.dies(-9) is State.WAITING


def test_a_worker_that_cannot_be_started_later_backs_off(stage: MakeStage) -> None:
    """No descriptor left: tried again, like a death."""
    on = stage()
    on.serves()
    on.dies(-9)
    on.failing = OSError(24, "Too many open files")
    assert on.feed() is State.WAITING
    on.failing = None
    assert on.feed() is State.BOOTING
    assert "could not be started (Too many open files)" in on.words[-1]


def test_not_even_a_first_worker_is_an_error_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """71: nothing was ever served, so there is nothing to keep alive."""

    def refuse(_: Stage) -> Child:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(Stage, "spawn", refuse)
    with pytest.raises(Fatal, match="cannot start a worker: Resource temporarily unavailable") as verdict:
        Stage(tmp_path)
    assert verdict.value.exit_status is Exit.OS


def test_words_of_a_former_worker_are_ignored(stage: MakeStage) -> None:
    """It is gone; what was still in its pipe, and a second news of its death, change nothing."""
    on = stage()
    on.serves()
    former = on.child
    on.dies(-9)
    on.feed()
    for event in (Said(former, Ready()), Died(former, 1)):
        assert on.feed(event) is State.BOOTING
    assert len(on.children) == 2


@pytest.mark.parametrize("message", [Ready(), Drained(0), Serve(listeners=[]), Drain(1.0)])
def test_unexpected_messages_are_ignored(stage: MakeStage, message: Message) -> None:
    """A message that the state does not expect changes nothing."""
    on = stage()
    if isinstance(message, Ready):
        on.serves()
        on.child.told.clear()
    state = on.loop.state
    assert on.feed(Said(on.child, message)) is state
    assert on.child.told == []


def test_a_stop_drains(stage: MakeStage) -> None:
    """Told to drain, nothing cut, exit 0; no death is journalled."""
    on = stage()
    on.serves()
    assert on.feed(signal.SIGTERM) is State.DRAINING
    assert on.child.told[-1] == "drain 30"
    on.says(Drained(0))
    assert on.dies(0) is State.STOPPED
    assert on.loop.exit_status is Exit.OK
    assert on.names()[-2:] == ["draining", "drained"]
    assert on.written()[-2]["reason"] == "SIGTERM"


@pytest.mark.parametrize(
    ("cut", "status", "expected"),
    [(0, 0, Exit.OK), (2, 70, Exit.SOFTWARE), (None, 0, Exit.OK), (None, 70, Exit.SOFTWARE), (None, -9, Exit.SOFTWARE)],
)
def test_the_end_of_a_drain_is_told(stage: MakeStage, cut: int | None, status: int, expected: Exit) -> None:
    """0 only if nothing was cut, by the worker's word and by its status."""
    on = stage()
    on.serves()
    on.feed(signal.SIGTERM)
    if cut is not None:
        on.says(Drained(cut))
    assert on.dies(status) is State.STOPPED
    assert on.loop.exit_status is expected
    assert on.written()[-1]["cut"] == (0 if expected is Exit.OK else cut)
    assert ("worker_died" in on.names()) is (status == -9)


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT, None], ids=["again", "other", "deadline"])
def test_a_second_signal_and_the_deadline_kill(stage: MakeStage, second: signal.Signals | None) -> None:
    """Requests may have been cut: 70."""
    on = stage()
    on.serves()
    on.feed(signal.SIGTERM)
    assert on.feed(second) is State.ENDING
    assert on.child.told[-1] == "kill"
    assert on.dies(-9) is State.STOPPED
    assert on.loop.exit_status is Exit.SOFTWARE


def test_a_worker_that_drained_but_lingers_cut_nothing(stage: MakeStage) -> None:
    """Its own word that nothing was cut holds when it has to be killed afterwards."""
    on = stage()
    on.serves()
    on.feed(signal.SIGTERM)
    on.says(Drained(0))
    on.feed()
    on.dies(-9)
    assert on.loop.exit_status is Exit.OK


def test_a_stop_while_booting_kills_what_serves_nobody(stage: MakeStage) -> None:
    """Exit 0 at once."""
    on = stage()
    assert on.feed(signal.SIGINT) is State.ENDING
    assert on.child.told == ["kill"]
    assert on.dies(-9) is State.STOPPED
    assert on.loop.exit_status is Exit.OK


def test_a_stop_while_waiting_ends_at_once(stage: MakeStage) -> None:
    """There is no worker to wait for."""
    on = stage()
    on.dies(1)
    assert on.feed(signal.SIGTERM) is State.STOPPED
    assert on.loop.exit_status is Exit.OK


def test_an_unkillable_worker_does_not_hold_us(stage: MakeStage) -> None:
    """Stuck in the kernel: we leave, after a bounded wait."""
    on = stage()
    on.serves()
    on.feed(signal.SIGTERM)
    on.feed(signal.SIGTERM)
    assert on.feed() is State.STOPPED


def test_the_loop_blocks_until_its_deadline(stage: MakeStage, monkeypatch: pytest.MonkeyPatch) -> None:
    """No event before the deadline: the deadline is the event."""
    monkeypatch.setattr(under_test, "BOOT_S", 0.01)
    on = stage()
    assert on.loop._next() == under_test.Due()  # noqa: SLF001
    on.events.put(signal.SIGTERM)
    assert on.loop._next() is signal.SIGTERM  # noqa: SLF001


class Kept(under_test.Reports):
    """Keeps what the loop reports, in order."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def phase(self, phase: str) -> None:
        """Keep it."""
        self.seen.append(phase)

    def failure(self, what: str) -> None:
        """Keep it."""
        self.seen.append(f"failure: {what}")

    def end(self, kind: str, what: str) -> None:
        """Keep it."""
        self.seen.append(f"{kind}: {what}")

    def restore(self) -> None:
        """Keep it."""
        self.seen.append("restored")


def reported(stage: MakeStage, **settings: object) -> tuple[Stage, list[str]]:
    """A loop that serves, and what it reports from now on."""
    on = stage(**settings)
    kept = Kept()
    on.loop.around = dataclasses.replace(on.loop.around, reports=kept)
    on.serves()
    return on, kept.seen


def test_a_crash_loop_is_reported(stage: MakeStage) -> None:
    """Each phase and each failure on the way, then the reason of the end with the last death."""
    on, seen = reported(stage, max_restarts=2, restart_window_s=7.0)
    on.dies(-9)
    on.feed()
    pid = on.child.pid
    on.dies(3)
    assert seen == [
        "serving",
        "failure: worker 100 ended (signal 9)",
        "waiting",
        "booting",
        f"failure: worker {pid} ended (exit status 3)",
        "gave up: 2 deaths in 7 s (last: exit status 3)",
        "stopped",
    ]


def test_a_permanent_status_is_reported(stage: MakeStage) -> None:
    """A restart cannot help: the reason of the end says so."""
    on, seen = reported(stage)
    on.dies(78)
    assert seen == ["serving", "failed: the worker ended with exit status 78; a restart does not help", "stopped"]


@pytest.mark.parametrize("phase", ["booting", "serving", "draining"])
def test_a_checkup_restores_the_files(stage: MakeStage, phase: str) -> None:
    """Whatever the loop is doing, it goes on with it."""
    on, seen = reported(stage)
    if phase == "booting":
        on.dies(-9)
        on.feed()
    elif phase == "draining":
        on.feed(signal.SIGTERM)
    before, deadline = on.loop.state, on.loop.deadline
    assert on.feed(under_test.Checkup()) is before
    assert (seen[-1], on.loop.deadline) == ("restored", deadline)
