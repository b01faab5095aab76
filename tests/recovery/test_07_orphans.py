"""Scenario 7: the supervisor is killed, in each of its states; no process of it may stay, and the next start works.

Setup: two starts with one port and one state directory, so that the second finds the files that the killed supervisor
could not remove. The states of our own proxy are caused by conditions (`lumen_conformance.inject`), signals and a
gateway that does not answer. A worker that stays would hold the port against the next start of a service manager.

Two mechanisms end the workers of our own proxy: the end of a pipe, which a worker reads after its imports, and on Linux
a signal of the kernel at the death of the parent. The state ``starting`` can be ended by the first only: the worker
asks for that signal when its parent has ended already. The states ``hangs at boot``, ``stopped`` and ``locked`` can
be ended by the second only, as no thread of the worker runs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from lumen_conformance.gateway.replies import silent
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.inject.lumen_conditions import LOCK_SIGNAL, MARK, conditions
from lumen_conformance.processes.process_tree import ProcessRef, kill_all, list_running
from lumen_conformance.registry import MeasureFixture, NotJudged, check, check_each, expect
from lumen_conformance.registry.measurement import rounded
from lumen_conformance.stages.evidence import stage
from lumen_conformance.stages.observations import is_port_free
from lumen_conformance.stages.stage_steps import StageStep
from lumen_conformance.stages.victims import find_supervisor, wait_standby
from lumen_conformance.targets.launch import LaunchedTarget, Launcher
from lumen_conformance.waiting import WaitError, observe

AT_ONCE = 3  # all states took 47 s one after the other, and 8 s so, at a load of 23 to 30 on two cores
SUPERVISOR = ("supervisor",)
Kill = tuple[dict[str, str], Callable[[LaunchedTarget], bool], tuple[str, ...]]
"""Settings, what is reached before the kill, and the processes to kill in their order."""
State = tuple[dict[str, str], Callable[[LaunchedTarget], bool]]
"""Settings, and what is reached before the kill."""
END_BUDGET_S = 5.0  # an orphan would hold the port against the next start of a service manager
OBSERVED_S = 10.0  # twice the budget, and the budget of a start: so a report says how late the end was
STATE_S = 20.0  # until a state is reached: the time of a start is limited by check 1.1, on a busy machine twice that
ORDERS = {
    "7.1-supervisor-killed": SUPERVISOR,
    "7.2-supervisor-then-worker": ("supervisor", "worker"),
    "7.3-worker-then-supervisor": ("worker", "supervisor"),
}
SOURCE = "docs/adr/0003-supervisor-holds-the-socket.md: when the supervisor is killed, its worker ends"
OURS = pytest.mark.needs("journal")
NEVER_GIVES_UP = {"LUMEN_MAX_RESTARTS": "0"}
ALONE = {"LUMEN_STANDBY": "0"}  # check 7.1 has the standby; without it a start takes half of the time
LONG_DELAY_S = 5.0  # of a restart: the supervisor is killed within milliseconds after it has been scheduled
LONG_DELAYS = {**NEVER_GIVES_UP, "LUMEN_RESTART_BACKOFF_S": "3600"}  # up to the longest delay, 30 s, are drawn


@dataclass(frozen=True)
class KilledTree(StageStep):
    """What followed the death of a supervisor. Seconds count from its kill; None means: not within `OBSERVED_S`.

    ``reached``     whether the state was reached before the kill
    ``processes``   the number of processes of the launch just before the kill
    ``next_start``  empty, or why the same command did not start again
    """

    reached: bool = False
    processes: int = 0
    left: tuple[str, ...] = ()
    ended_s: float | None = None
    port_free_s: float | None = None
    next_start: str = ""
    next_start_s: float = 0.0
    is_same_instance: bool = False


@dataclass(frozen=True)
class OrphanEvidence:
    """The evidence, by order or state."""

    trees: dict[str, KilledTree]


class Trees:
    """Kills trees of the target, each on a port and with a state directory of its own."""

    def __init__(self, launch: Launcher, gateway: ScriptedGateway, folder: Path) -> None:
        self._launch, self._gateway, self._folder = launch, gateway, folder

    def kill_each(self, kills: Mapping[str, Kill]) -> OrphanEvidence:
        """Kill trees of our own proxy at the same time, of another server one after the other; see `kill`."""
        with ThreadPoolExecutor(1 if self._launch.target.foreign else AT_ONCE) as pool:
            found = {name: pool.submit(self.kill, name, *kill) for name, kill in kills.items()}
        return OrphanEvidence({name: tree.result() for name, tree in found.items()})

    def kill(
        self,
        name: str,
        settings: dict[str, str],
        reach: Callable[[LaunchedTarget], bool],
        order: tuple[str, ...],
    ) -> KilledTree:
        """Launch, reach the state, kill, observe the end, and launch the same command again."""
        port, env = self._launch.reserve_port(), {"LUMEN_STATE_DIR": str(self._folder / name)}
        proxy = self._launch(port=port, env=env | settings, gateway=self._gateway, ready=False)
        if not reach(proxy):
            return KilledTree()
        instance, processes = proxy.ready.instance if proxy.ready else "", proxy.processes()
        for ref in find_victims(proxy, order):
            ref.kill()
        ended_s, free_s = observe_end(processes, port)
        left = tuple(ref.command_line() for ref in list_running(processes))
        kill_all(processes)  # the next start is a claim of its own
        again = self._launch(port=port, env=env | ALONE, gateway=self._gateway, ready=False)
        problem = find_problem(again)
        is_same = again.ready is not None and again.ready.instance == instance
        return KilledTree(True, len(processes), left, ended_s, free_s, problem, again.ready_s, is_same)  # noqa: FBT003 -- in the order of the fields


def find_problem(proxy: LaunchedTarget) -> str:
    """Wait until a launch is ready; return why it was not."""
    try:
        proxy.wait_ready(STATE_S)
    except WaitError as error:
        return str(error).partition("\n")[0]
    return ""


def find_victims(proxy: LaunchedTarget, order: tuple[str, ...]) -> list[ProcessRef]:
    """Return the processes of these roles; only a server that serves has a worker."""
    if "worker" not in order and "journal" in proxy.target.can:
        return [proxy.ref]
    worker = proxy.worker()
    roles = {"supervisor": find_supervisor(proxy, worker), "worker": worker}
    return [roles[role] for role in order]


def observe_end(processes: Iterable[ProcessRef], port: int) -> tuple[float | None, float | None]:
    """Wait until all processes have ended and the port is free; return the seconds until each."""
    started_s = time.monotonic()
    refs = tuple(processes)
    ended = observe("all have ended", lambda: not list_running(refs), within_s=OBSERVED_S)
    ended_s = time.monotonic() - started_s
    free = observe("the port is free", lambda: is_port_free(port), within_s=OBSERVED_S)
    return ended_s if ended else None, time.monotonic() - started_s if free else None


@stage(scenario=7)
def orders(launch: Launcher, gateway: ScriptedGateway, folder: Path) -> OrphanEvidence:
    """Kill supervisor and worker of a serving server in each order."""
    kills: dict[str, Kill] = {name: ({}, reach_ready, order) for name, order in ORDERS.items()}
    return Trees(launch, gateway, folder).kill_each(kills)


@stage(scenario=7, needs=("journal",))
def states(launch: Launcher, gateway: ScriptedGateway, folder: Path) -> OrphanEvidence:
    """Kill the supervisor in each other state."""
    gateway.standing = silent
    kills: dict[str, State] = {DRAINING: ({}, lambda proxy: reach_draining(proxy, gateway)), **STATES}
    alone: dict[str, Kill] = {name: (ALONE | settings, reach, SUPERVISOR) for name, (settings, reach) in kills.items()}
    return Trees(launch, gateway, folder).kill_each(alone)


def reach_ready(proxy: LaunchedTarget) -> bool:
    """Wait until the server is ready; our own proxy also has a standby then."""
    return not find_problem(proxy) and wait_standby(proxy, STATE_S)


def reach_condition(condition: str) -> Callable[[LaunchedTarget], bool]:
    """Wait until a worker says that the condition has begun."""
    mark = f"{MARK} {condition}".encode()
    return lambda proxy: bool(observe(condition, lambda: mark in proxy.stderr.read_bytes(), within_s=STATE_S))


def reach_waiting(proxy: LaunchedTarget) -> bool:
    """Wait for a restart with a long delay: the delays are drawn."""

    def is_scheduled() -> bool:
        return any(event["delay_s"] > LONG_DELAY_S for event in proxy.journal.events(name="restart_scheduled"))

    return bool(observe("a restart with a long delay", is_scheduled, within_s=STATE_S))


def reach_draining(proxy: LaunchedTarget, gateway: ScriptedGateway) -> bool:
    """Stop a server whose work does not end."""
    if find_problem(proxy):
        return False
    threading.Thread(target=proxy.chat, args=("아직 듣고 있어요?",), daemon=True).start()
    gateway.until_called(1)
    proxy.stop()
    return bool(proxy.journal.observe("draining", within_s=STATE_S))


def reach_stopped(proxy: LaunchedTarget) -> bool:
    """Stop the worker by a signal that it cannot handle."""
    if find_problem(proxy):
        return False
    proxy.worker().suspend()
    return True


def reach_locked(proxy: LaunchedTarget) -> bool:
    """Let a library of the worker hold the interpreter."""
    if find_problem(proxy):
        return False
    proxy.worker().send(LOCK_SIGNAL)
    return reach_condition("locks")(proxy)


STATES: dict[str, State] = {
    "7.4-starting": (conditions("starts-as-orphan"), reach_condition("waits")),
    "7.5-hangs-at-boot": (conditions("hangs-at-import"), reach_condition("hangs")),
    "7.6-waiting": (LONG_DELAYS | conditions("ends-with-1"), reach_waiting),
    "7.8-stopped": ({}, reach_stopped),
    "7.9-locked": (conditions("locks-on-signal"), reach_locked),
}
DRAINING = "7.7-draining"
IN_STATES = {name: name for name in sorted((*STATES, DRAINING))}


@check_each("order", {name: name for name in ORDERS}, marks=(pytest.mark.needs("orphans"),), source=SOURCE)
def test_nothing_outlives_the_supervisor(orders: OrphanEvidence, measure: MeasureFixture, order: str) -> None:
    """After a kill ({row}) every process of the launch ends and the port is free within 5 s."""
    expect_ended(orders.trees[order], measure)


@check("7.10-next-start", marks=(pytest.mark.needs("orphans"),), source="docs/guide/recovery.md: Scenario 7")
def test_next_start(orders: OrphanEvidence, measure: MeasureFixture) -> None:
    """After each of these kills the same command starts again on the same port."""
    expect_next_starts(orders, measure)


@check_each("state", IN_STATES, marks=(OURS,), source=SOURCE)
def test_nothing_outlives_it_in_any_state(states: OrphanEvidence, measure: MeasureFixture, state: str) -> None:
    """When the supervisor is killed in the state ({row}), every process ends and the port is free within 5 s."""
    expect_ended(states.trees[state], measure)


@check("7.11-next-start-states", marks=(OURS,), source="docs/behaviour.md: Start, stop and state")
def test_next_start_after_any_state(states: OrphanEvidence, measure: MeasureFixture) -> None:
    """After a kill in each of these states the same command starts again on the same port, as a new instance."""
    expect_next_starts(states, measure)


def expect_ended(tree: KilledTree, measure: MeasureFixture) -> None:
    """Expect that nothing has outlived a supervisor."""
    if not tree.reached:
        raise NotJudged("the server did not reach this state", ("1.1-initial-start",))
    # A worker that boots reads the end of its pipe after its imports, which is the time of a start at most. On a busy
    # machine two starts differ, so twice the next one is the limit if that is longer.
    budget_s = max(END_BUDGET_S, 2 * tree.next_start_s)
    expected = f"no process of {tree.processes} is left within {budget_s:g} s"
    found = f"left: {', '.join(tree.left)}" if tree.left else f"the last one ended after {rounded(tree.ended_s)} s"
    expect(tree.ended_s is not None and tree.ended_s < budget_s, expected, found)
    found = "taken" if tree.port_free_s is None else f"free after {tree.port_free_s:.2f} s"
    expect(tree.port_free_s is not None and tree.port_free_s < budget_s, "the port is free in time", found)
    measure(tree.port_free_s or 0.0, "s", budget_s)


def expect_next_starts(evidence: OrphanEvidence, measure: MeasureFixture) -> None:
    """Expect that the same command has started again after each kill."""
    for name, tree in evidence.trees.items():
        if tree.reached:
            expect(not tree.next_start, "the same command is ready again", f"{name}: {tree.next_start}")
            expect(not tree.is_same_instance, "another instance than before", f"{name}: the same instance")
    measure(max(tree.next_start_s for tree in evidence.trees.values()), "s")
