"""Scenario 1: a worker is killed; the supervisor keeps the socket and replaces it.

Cast: a supervisor that owns the listening socket, a worker that serves on it, a client that asks before and after,
and a scripted gateway, needed because "it works again" means a question that is answered, not only a probe that says
so. A client may notice latency, never a refusal. Staged once; the checks only read.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytest

from tests.fixtures.captured import Capture
from tests.fixtures.evidence import stage
from tests.fixtures.gateway import Gateway
from tests.fixtures.observations import Start, observe_start, told, victims_of, worst_of
from tests.fixtures.processes import Health, Launched, Launches
from tests.fixtures.proctree import ProcessRef, State
from tests.fixtures.report import Measure, check
from tests.fixtures.targets import Target
from tests.fixtures.waiting import seen

HEALTH_BUDGET_S = 1.0  # recovery.md 1.2: liveness calls nobody
GONE_BUDGET_S = 2.0  # the kernel ends a killed process within milliseconds; the rest is for a busy machine
RESTART_BUDGET_S = 3.0  # cold import 0.25 s, twice for a busy machine, and the first back-off 0.25 s, tripled
RESTARTS = pytest.mark.needs("restart")
QUESTION = "안녕하세요, 다시 왔어요"


@dataclass(frozen=True)
class Killed:
    """What was seen; None where the story ended before.

    ``journalled``  whether the target tells of generations, instances and restarts at all
    ``successors``  who holds the socket afterwards and was not killed
    """

    start: Start
    journalled: bool
    start_budget_s: float
    restart_budget_s: float
    before: Health | None = None
    victim: State | None = None
    recovery_s: float = 0.0
    after: Health | None = None
    after_port: int = 0
    supervisor: State | None = None
    successors: tuple[int, ...] = ()
    chat: Capture | None = None


@stage(scenario=1)
def killed(launch: Launches, gateway: Gateway, target: Target) -> Killed:
    """Kill whoever serves of a healthy proxy, then ask as a client would."""
    journalled = "journal" in target.can
    restart_budget_s = target.start_s if target.foreign else RESTART_BUDGET_S
    proxy = launch(ready=False, gateway=gateway)
    start = observe_start(proxy, target.start_s)
    if start.problem:
        return Killed(start, journalled, target.start_s, restart_budget_s)
    before, victims = proxy.health(), victims_of(proxy)
    mark, killed_at = proxy.journal.mark(), time.monotonic()
    for victim in victims:
        victim.kill()
    seen("they are gone", lambda: {victim.state() for victim in victims} <= {"gone"}, within_s=GONE_BUDGET_S)
    if journalled:
        ready = proxy.journal.seen("ready", since=mark, within_s=restart_budget_s)
        after_port = ready["port"] if ready else 0
    else:
        within_s = restart_budget_s if victims else 0.0  # who killed nobody need not wait for a successor
        others = seen("others serve", lambda: successors_of(proxy, victims), within_s=within_s)
        after_port = proxy.port if others else 0
    after = proxy.health()
    recovery_s = time.monotonic() - killed_at  # with at most two pauses of a wait, 0.05 s each
    return Killed(
        start=start,
        journalled=journalled,
        start_budget_s=target.start_s,
        restart_budget_s=restart_budget_s,
        before=before,
        victim=worst_of(tuple(victim.state() for victim in victims)),
        recovery_s=recovery_s,
        after=after,
        after_port=after_port,
        supervisor=proxy.ref.state(),
        successors=successors_of(proxy, victims),
        chat=proxy.chat(QUESTION) if after.status else None,
    )


def successors_of(proxy: Launched, victims: tuple[ProcessRef, ...]) -> tuple[int, ...]:
    """Who holds the socket, is a child of the launch and was not killed; nobody before the target is ready."""
    others = [ref.pid for ref in proxy.listeners() if ref not in {*victims, proxy.ref}]
    return tuple(others) if others and proxy.health().ready else ()


@check("1.1-initial-start", title="최초 시작")
def test_it_starts(killed: Killed, measure: Measure) -> None:
    """The proxy is proven ready within its budget, and the listening socket is its own."""
    start = killed.start
    assert not start.problem
    measure(start.elapsed_s, "s", killed.start_budget_s)
    assert start.port
    assert start.listener_pids
    assert start.elapsed_s < killed.start_budget_s
    if killed.journalled:
        assert start.instance
        assert start.worker_pid in start.listener_pids


@check("1.2-health-before", title="종료 전 상태 확인")
def test_healthy_before(killed: Killed, measure: Measure) -> None:
    """Before the kill, /health is 200 and says ok in under a second."""
    before = told(killed.before, killed.start.problem)
    measure(before.capture.elapsed_s, "s", HEALTH_BUDGET_S)
    assert before.ready
    assert before.body.get("status") == "ok" or not killed.journalled
    assert before.capture.elapsed_s < HEALTH_BUDGET_S


@check("1.3-forced-kill", title="강제 종료")
@RESTARTS
def test_victim_is_gone(killed: Killed) -> None:
    """The very process that answered is gone after SIGKILL, told by PID and start time, and no zombie is left."""
    assert told(killed.victim, killed.start.problem or "there was no such process") == "gone"


@check("1.4-automatic-restart", title="자동 재시작")
@RESTARTS
def test_successor_is_a_new_process(killed: Killed, measure: Measure) -> None:
    """A new worker answers although nobody asked for one, under the same supervisor."""
    before, after = told(killed.before, killed.start.problem), told(killed.after, killed.start.problem)
    measure(killed.recovery_s, "s", killed.restart_budget_s, headline=True)
    assert after.ready
    assert killed.successors
    assert killed.supervisor == "running"
    assert killed.recovery_s < killed.restart_budget_s
    if killed.journalled:
        assert after.pid not in {0, before.pid}
        assert after.generation == before.generation + 1
        assert after.supervisor_pid == before.supervisor_pid


@check("1.5-health-after", title="재시작 후 상태 확인")
@RESTARTS
def test_healthy_after(killed: Killed) -> None:
    """After the restart the same port answers health and a chat call, and counts one restart."""
    after, chat = told(killed.after, killed.start.problem), told(killed.chat, killed.start.problem or "no health")
    assert after.ready
    if killed.journalled:
        assert (after.body.get("status"), after.restarts) == ("ok", 1)
    assert killed.after_port == killed.start.port
    assert chat.status == 200
    assert QUESTION in chat.json()["choices"][0]["message"]["content"]
