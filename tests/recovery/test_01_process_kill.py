"""Scenario 1: a worker is killed; the supervisor keeps the socket and replaces it.

Cast: a supervisor that owns the listening socket, a worker that serves on it, a client that asks before and after,
and a scripted gateway, needed because "it works again" means a question that is answered, not only a probe that says
so. A client may notice latency, never a refusal. Staged once; the checks only read.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from tests.fixtures.captured import Capture
from tests.fixtures.evidence import stage
from tests.fixtures.gateway import Gateway
from tests.fixtures.observations import Start, observe_start, told, worker_of
from tests.fixtures.processes import Health, Launches
from tests.fixtures.proctree import State
from tests.fixtures.report import Measure, check
from tests.fixtures.waiting import seen

START_BUDGET_S = 10.0  # recovery.md 1.1: a cold start takes 0.3 s here, and a virus scanner may look at every file
HEALTH_BUDGET_S = 1.0  # recovery.md 1.2: liveness calls nobody
GONE_BUDGET_S = 2.0  # the kernel ends a killed process within milliseconds; the rest is for a busy machine
RESTART_BUDGET_S = 3.0  # cold import 0.25 s, twice for a busy machine, and the first back-off 0.25 s, tripled
QUESTION = "안녕하세요, 다시 왔어요"


@dataclass(frozen=True)
class Killed:
    """What was seen; None where the story ended before."""

    start: Start
    before: Health | None = None
    victim: State | None = None
    recovery_s: float = 0.0
    after: Health | None = None
    after_port: int = 0
    supervisor: State | None = None
    chat: Capture | None = None


@stage(scenario=1)
def killed(launch: Launches, gateway: Gateway) -> Killed:
    """Kill the worker of a healthy proxy, then ask as a client would."""
    proxy = launch(ready=False, gateway=gateway)
    start = observe_start(proxy, START_BUDGET_S)
    if start.problem:
        return Killed(start)
    before, victim = proxy.health(), worker_of(proxy)
    mark, killed_at = proxy.journal.mark(), time.monotonic()
    if victim is not None:
        victim.kill()
        seen("the victim is gone", lambda: victim.state() == "gone", within_s=GONE_BUDGET_S)
    ready = proxy.journal.seen("ready", since=mark, within_s=RESTART_BUDGET_S)
    after = proxy.health()
    return Killed(
        start=start,
        before=before,
        victim=victim.state() if victim else None,
        recovery_s=time.monotonic() - killed_at,
        after=after,
        after_port=ready["port"] if ready else 0,
        supervisor=proxy.ref.state(),
        chat=proxy.chat(QUESTION) if after.status else None,
    )


@check("1.1-initial-start", title="최초 시작")
def test_it_starts(killed: Killed, measure: Measure) -> None:
    """The proxy is proven ready within its budget, and the listening socket is its own."""
    start = killed.start
    assert not start.problem
    measure(start.elapsed_s, "s", START_BUDGET_S)
    assert start.instance
    assert start.port
    assert start.worker_pid in start.listener_pids
    assert start.elapsed_s < START_BUDGET_S


@check("1.2-health-before", title="종료 전 상태 확인")
def test_healthy_before(killed: Killed, measure: Measure) -> None:
    """Before the kill, /health is 200 and says ok in under a second."""
    before = told(killed.before, killed.start.problem)
    measure(before.capture.elapsed_s, "s", HEALTH_BUDGET_S)
    assert (before.status, before.body.get("status")) == (200, "ok")
    assert before.capture.elapsed_s < HEALTH_BUDGET_S


@check("1.3-forced-kill", title="강제 종료")
def test_victim_is_gone(killed: Killed) -> None:
    """The very process that answered is gone after SIGKILL, told by PID and start time, and no zombie is left."""
    assert told(killed.victim, killed.start.problem or "there was no such process") == "gone"


@check("1.4-automatic-restart", title="자동 재시작")
def test_successor_is_a_new_process(killed: Killed, measure: Measure) -> None:
    """A new worker answers although nobody asked for one, under the same supervisor."""
    before, after = told(killed.before, killed.start.problem), told(killed.after, killed.start.problem)
    measure(killed.recovery_s, "s", RESTART_BUDGET_S, headline=True)
    assert after.status == 200
    assert after.pid not in {0, before.pid}
    assert after.generation == before.generation + 1
    assert (killed.supervisor, after.supervisor_pid) == ("running", before.supervisor_pid)
    assert killed.recovery_s < RESTART_BUDGET_S


@check("1.5-health-after", title="재시작 후 상태 확인")
def test_healthy_after(killed: Killed) -> None:
    """After the restart the same port answers health and a chat call, and counts one restart."""
    after, chat = told(killed.after, killed.start.problem), told(killed.chat, killed.start.problem or "no health")
    assert (after.status, after.body.get("status")) == (200, "ok")
    assert after.restarts == 1
    assert killed.after_port == killed.start.port
    assert chat.status == 200
    assert QUESTION in chat.json()["choices"][0]["message"]["content"]
