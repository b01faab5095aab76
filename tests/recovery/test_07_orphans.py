"""Scenario 7: the supervisor itself is killed; no process of it may stay, and the next start works.

Setup: two starts with one port and one state directory, so that the second finds the files that the killed supervisor
could not remove.
"""

from __future__ import annotations

from lumen_conformance.registry import Measure, check_each
from lumen_conformance.stages.observations import is_port_free
from lumen_conformance.targets.launch import Launcher
from lumen_conformance.waiting import until

END_BUDGET_S = 5.0  # an orphan would hold the port against the next start of a service manager


@check_each(
    "order",
    {
        "7.1.supervisor-killed": ("supervisor",),
        "7.2.supervisor-then-worker": ("supervisor", "worker"),
        "7.3.worker-then-supervisor": ("worker", "supervisor"),
    },
)
def test_nothing_outlives_the_supervisor(
    launch: Launcher, measure: Measure, tmp_path: object, order: tuple[str, ...]
) -> None:
    """The worker ends and the port is free within five seconds, and the same command starts again."""
    same = {"port": launch.reserve_port(), "env": {"LUMEN_STATE_DIR": str(tmp_path)}}
    first = launch(**same)  # type: ignore[arg-type]
    processes = {"supervisor": first.ref, "worker": first.worker()}
    for role in order:
        processes[role].kill()
    # Both are awaited: a killed process closes its descriptors one by one, so the port may be free before the lock is.
    until(
        "both have ended", lambda: "running" not in {ref.state() for ref in processes.values()}, within_s=END_BUDGET_S
    )
    until("port is free", lambda: is_port_free(first.port), within_s=END_BUDGET_S)
    second = launch(**same)  # type: ignore[arg-type]
    measure(second.ready_s, "s")
    assert second.health().status == 200
    assert second.health().instance != first.ready.instance if first.ready else False
