"""Scenario 12: more questions at once than the gateway may be asked.

Cast: two hundred clients that ask at the same moment, a proxy that may ask the gateway eight questions at once and
lets sixteen wait, and a gate at the gateway that is opened only after all others were refused and /health was asked:
"full" is a fact then.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from lumen_conformance.gateway.replies import gated
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http.capture import Capture
from lumen_conformance.registry import Measure, check
from lumen_conformance.stages.evidence import stage
from lumen_conformance.stages.observations import StartObservation, observe_start
from lumen_conformance.targets.launch import Health, Launcher
from lumen_conformance.waiting import observe

CROWD = 200
LIMIT, QUEUE = 8, 16
START_BUDGET_S = 10.0  # recovery.md 1.1
HEALTH_BUDGET_S = 1.0  # recovery.md 1.2: liveness calls nobody and waits for nobody
PATIENCE_S = 30.0  # of a client; the queue's own patience is 20 s here, so that whoever waits is answered
LIMITS = {"LUMEN_MAX_CONCURRENCY": str(LIMIT), "LUMEN_MAX_QUEUE": str(QUEUE), "LUMEN_QUEUE_TIMEOUT_S": "20"}


@dataclass(frozen=True)
class Crowd:
    """What the clients got; `health` was asked while every place and the whole queue were taken."""

    start: StartObservation
    answers: tuple[Capture, ...] = ()
    health: Health | None = None
    full: bool = False
    asked_at_once: int = 0
    asked: int = 0


@stage(scenario=12)
def crowd(launch: Launcher, gateway: ScriptedGateway) -> Crowd:
    """Two hundred ask; once the places are taken and the rest is refused, look at /health, then open the gate."""
    proxy = launch(ready=False, gateway=gateway, env=LIMITS)
    start = observe_start(proxy, START_BUDGET_S)
    if start.problem:
        return Crowd(start)
    gate = threading.Event()
    gateway.standing = gated(gate)
    answers: list[Capture] = []

    def ask(number: int) -> None:
        answers.append(proxy.chat(f"{number}번째 질문", timeout_s=PATIENCE_S))

    with ThreadPoolExecutor(CROWD) as pool:
        for number in range(CROWD):
            pool.submit(ask, number)
        try:
            full = observe(
                "all but the places are refused", lambda: len(answers) >= CROWD - LIMIT - QUEUE, within_s=PATIENCE_S
            )
            health, asked_at_once = proxy.health(), len(gateway.chats)
        finally:
            gate.set()
    return Crowd(start, tuple(answers), health, bool(full), asked_at_once, len(gateway.chats))


@check("12.1-answered-or-refused", title="응답 또는 429")
def test_nobody_hangs(crowd: Crowd, measure: Measure) -> None:
    """Each of two hundred is answered, or is told 429 with Retry-After; none hangs and none is lost."""
    by_status = {status: [c for c in crowd.answers if c.status == status] for status in (200, 429)}
    measure(len(by_status[200]), "answered", label="answered")
    assert len(by_status[200]) + len(by_status[429]) == len(crowd.answers) == CROWD
    assert all((answer.header("retry-after") or "").isdigit() for answer in by_status[429])
    assert len(by_status[200]) == LIMIT + QUEUE


@check("12.2-limit-holds", title="동시 호출 한도")
def test_limit_holds(crowd: Crowd, measure: Measure) -> None:
    """The gateway is never asked more than eight questions at once, and never for a request that is refused."""
    assert crowd.full
    measure(crowd.asked_at_once, "at once", LIMIT)
    assert (crowd.asked_at_once, crowd.asked) == (LIMIT, LIMIT + QUEUE)


@check("12.3-health-when-full", title="포화 상태의 /health")
def test_health_when_full(crowd: Crowd, measure: Measure) -> None:
    """With all places and the queue taken, /health answers in under a second."""
    assert crowd.full
    assert crowd.health
    measure(crowd.health.capture.elapsed_s, "s", HEALTH_BUDGET_S, headline=True)
    assert crowd.health.status == 200
    assert crowd.health.capture.elapsed_s < HEALTH_BUDGET_S
