"""Scenario 7: the supervisor itself is killed; nothing of it may stay behind, and the next start works.

Cast: a proxy on a port of its own that both starts share, with one state directory, so that what the first one could
not tidy up (it was killed) lies in the way of the second.
"""

from __future__ import annotations

from lumen_conformance.registry import Measure, check_each
from lumen_conformance.stages.observations import is_port_free
from lumen_conformance.targets.launch import Launcher
from lumen_conformance.waiting import until

GONE_BUDGET_S = 5.0  # recovery.md, scenario 7


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
    """Worker and port are gone within five seconds, and the same command starts again."""
    same = {"port": launch.reserve_port(), "env": {"LUMEN_STATE_DIR": str(tmp_path)}}
    first = launch(**same)  # type: ignore[arg-type]
    cast = {"supervisor": first.ref, "worker": first.worker()}
    for who in order:
        cast[who].kill()
    # Both: a killed process closes its descriptors one by one, so the port may be free before the lock is.
    until("both are gone", lambda: "running" not in {ref.state() for ref in cast.values()}, within_s=GONE_BUDGET_S)
    until("port is free", lambda: is_port_free(first.port), within_s=GONE_BUDGET_S)
    second = launch(**same)  # type: ignore[arg-type]
    measure(second.ready_s, "s")
    assert second.health().status == 200
    assert second.health().instance != first.ready.instance if first.ready else False
