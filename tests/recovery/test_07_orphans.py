"""Scenario 7: the supervisor itself is killed; no process of it may stay, and the next start works.

Setup: two starts with one port and one state directory, so that the second finds the files that the killed supervisor
could not remove.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lumen_conformance.processes.process_tree import list_running
from lumen_conformance.registry import MeasureFixture, check_each
from lumen_conformance.stages.observations import is_port_free
from lumen_conformance.targets.launch import Launcher
from lumen_conformance.waiting import observe

END_BUDGET_S = 5.0  # an orphan would hold the port against the next start of a service manager
ORDERS = {
    "7.1-supervisor-killed": ("supervisor",),
    "7.2-supervisor-then-worker": ("supervisor", "worker"),
    "7.3-worker-then-supervisor": ("worker", "supervisor"),
}


@dataclass(frozen=True)
class RestartEvidence:
    """The evidence: what was left `END_BUDGET_S` after the kill, and how the same command started again."""

    processes_left: int
    is_port_free: bool
    start_s: float
    health_status: int | None
    instances: tuple[str, str]


def kill_and_start_again(launch: Launcher, folder: Path, order: tuple[str, ...]) -> RestartEvidence:
    """Kill supervisor and worker in this order, and launch the same command again."""
    port, env = launch.reserve_port(), {"LUMEN_STATE_DIR": str(folder)}
    first = launch(port=port, env=env)
    processes = {"supervisor": first.ref, "worker": first.worker()}
    before = first.health().instance
    for role in order:
        processes[role].kill()
    # Both are awaited: a killed process closes its descriptors one by one, so the port may be free before the lock is.
    observe("both have ended", lambda: not list_running(processes.values()), within_s=END_BUDGET_S)
    is_free = bool(observe("the port is free", lambda: is_port_free(port), within_s=END_BUDGET_S))
    left = len(list_running(processes.values()))
    second = launch(port=port, env=env)
    health = second.health()
    return RestartEvidence(left, is_free, second.ready_s, health.status, (before, health.instance))


@check_each(
    "order",
    ORDERS,
    source="docs/adr/0003-supervisor-holds-the-socket.md: when the supervisor is killed, its worker ends",
)
def test_nothing_outlives_the_supervisor(
    launch: Launcher, measure: MeasureFixture, tmp_path: Path, order: tuple[str, ...]
) -> None:
    """After a kill ({row}) the worker ends and the port is free within 5 s, and the same command starts again."""
    evidence = kill_and_start_again(launch, tmp_path, order)
    assert (evidence.processes_left, evidence.is_port_free) == (0, True)
    measure(evidence.start_s, "s")
    assert evidence.health_status == 200
    assert evidence.instances[0] != evidence.instances[1]
