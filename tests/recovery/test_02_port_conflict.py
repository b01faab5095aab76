"""Scenario 2: somebody else holds the port; the proxy says who, and leaves both alone.

Cast: a dummy server with a banner of its own on a port of its own, and the same command launched twice at that port,
with one state directory: first while the dummy lives, then after only the dummy was stopped.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from tests.fixtures.evidence import stage
from tests.fixtures.observations import Start, can_be_bound, observe_exit, observe_start
from tests.fixtures.processes import Launches
from tests.fixtures.report import Measure, check
from tests.fixtures.squatters import Squatters
from tests.fixtures.targets import Target

PORT_IN_USE = 75
CONFLICT_BUDGET_S = 5.0  # recovery.md 2.2: a start of the interpreter and one look at who holds the port


@dataclass(frozen=True)
class Conflict:
    """What was seen. Ports: those on which the refused launch was seen to listen until it ended, or was given up on.

    ``ours``  whether exit status, words and files are those of our own proxy; a foreign one only has to give up
    """

    ours: bool
    budget_s: float
    start_budget_s: float
    port: int
    squatter_pid: int
    banner: str
    greeting: str | None
    exit_status: int | None
    elapsed_s: float
    message: str
    stdout: str
    listened_on: tuple[int, ...]
    greeting_after: str | None
    squatter_stopped_by_us: bool
    port_was_free: bool
    again: Start
    again_ready: bool
    files_left: tuple[str, ...]


@stage(scenario=2)
def conflict(launch: Launches, squat: Squatters, folder: Path, target: Target) -> Conflict:
    """Launch at a taken port, stop the dummy, launch again, stop that."""
    squatter = squat("banner", port=launch.reserve_port())  # nobody else is given it when the dummy has gone
    port, same = squatter.port, {"LUMEN_STATE_DIR": str(folder / "state")}
    greeting, launched_at = squatter.answer(), time.monotonic()
    refused = launch(port=port, env=same, ready=False)
    budget_s = target.start_s if target.foreign else CONFLICT_BUDGET_S
    exit_status, listened_on = observe_exit(refused, budget_s)
    elapsed_s = time.monotonic() - launched_at
    greeting_after = squatter.answer()
    refused.end()
    lived_until_stopped = squatter.alive()
    squatter.end()
    port_was_free = can_be_bound(port)
    proxy = launch(port=port, env=same, ready=False)
    again = observe_start(proxy, target.start_s)
    again_ready = proxy.health().ready
    proxy.end()
    return Conflict(
        ours=target.profile == "lumen",
        budget_s=budget_s,
        start_budget_s=target.start_s,
        port=port,
        squatter_pid=squatter.pid,
        banner=squatter.banner,
        greeting=greeting,
        exit_status=exit_status,
        elapsed_s=elapsed_s,
        message=refused.stderr.read_text("utf-8"),
        stdout=refused.stdout.read_text("utf-8"),
        listened_on=listened_on,
        greeting_after=greeting_after,
        squatter_stopped_by_us=lived_until_stopped,
        port_was_free=port_was_free,
        again=again,
        again_ready=again_ready,
        files_left=tuple(sorted(path.name for path in (folder / "state").glob("*"))),
    )


@check("2.1-dummy-occupies-port", title="더미 서버가 포트 점유")
def test_squatter_answers(conflict: Conflict) -> None:
    """A dummy server holds the port and answers with its own banner."""
    assert conflict.greeting == conflict.banner


@check("2.2-conflict-detected", title="포트 충돌 감지")
def test_conflict_is_told(conflict: Conflict, measure: Measure) -> None:
    """The launch ends with 75, one line names port, owner and what to do, and the squatter is unharmed."""
    measure(conflict.elapsed_s, "s", conflict.budget_s, headline=True)
    assert conflict.listened_on == (), "it listened elsewhere meanwhile"
    assert conflict.greeting_after == conflict.greeting, "the squatter was harmed"
    if not conflict.ours:
        assert conflict.exit_status not in {0, None}
        assert conflict.again_ready, "it does not start on the free port either: that it gave up says nothing"
        return
    assert conflict.exit_status == PORT_IN_USE
    (line,) = conflict.message.splitlines()
    assert line.startswith("lumen-proxy: ")
    assert f":{conflict.port}" in line
    assert f"pid {conflict.squatter_pid}" in line
    assert "--port" in line, "the next step is missing"
    assert "ready" not in conflict.stdout


@check("2.3-dummy-gone-port-free", title="더미 종료 후 포트 해제")
def test_port_is_free_again(conflict: Conflict) -> None:
    """Only our stopping of the dummy freed the port, and now it can be bound."""
    assert conflict.squatter_stopped_by_us, "the dummy had ended before"
    assert conflict.port_was_free


@check("2.4-normal-start", title="프록시 정상 시작")
def test_same_command_works(conflict: Conflict, measure: Measure) -> None:
    """The same command now starts on that port, and leaves no lock and no state behind when it is stopped."""
    assert not conflict.again.problem
    measure(conflict.again.elapsed_s, "s", conflict.start_budget_s)
    assert (conflict.again.port, conflict.again_ready) == (conflict.port, True)
    assert conflict.files_left == () or not conflict.ours
