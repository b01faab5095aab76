"""Scenario 12: more chats at once than the limit of gateway calls.

Setup: two hundred clients that send a chat at the same time, a proxy with a limit of eight gateway calls and a queue of
sixteen, and a gate at the gateway. The gate opens after all other chats were refused and /health was answered, so the
proxy is certainly full then.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from lumen_conformance.gateway.replies import gated
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http.capture import Capture
from lumen_conformance.registry import MeasureFixture, check
from lumen_conformance.stages.evidence import stage
from lumen_conformance.stages.observations import StartObservation, observe_start
from lumen_conformance.targets.launch import Health, Launcher
from lumen_conformance.waiting import observe

CROWD = 200
LIMIT, QUEUE = 8, 16
START_BUDGET_S = 10.0  # check 1.1
HEALTH_BUDGET_S = 1.0  # check 1.2: liveness calls no gateway and waits for no other request
CLIENT_TIMEOUT_S = 30.0  # above the 20 s for which a chat may wait in the queue here
LIMITS = {"LUMEN_MAX_CONCURRENCY": str(LIMIT), "LUMEN_MAX_QUEUE": str(QUEUE), "LUMEN_QUEUE_TIMEOUT_S": "20"}


@dataclass(frozen=True)
class CrowdEvidence:
    """The evidence; `health` was requested while the limit and the queue were full."""

    start: StartObservation
    answers: tuple[Capture, ...] = ()
    health: Health | None = None
    full: bool = False
    asked_at_once: int = 0
    asked: int = 0


@stage(scenario=12)
def crowd(launch: Launcher, gateway: ScriptedGateway) -> CrowdEvidence:
    """Send two hundred chats; when the proxy is full and the rest is refused, request /health, then open the gate."""
    proxy = launch(ready=False, gateway=gateway, env=LIMITS)
    start = observe_start(proxy, START_BUDGET_S)
    if start.problem:
        return CrowdEvidence(start)
    gate = threading.Event()
    gateway.standing = gated(gate)
    answers: list[Capture] = []

    def ask(number: int) -> None:
        answers.append(proxy.chat(f"{number}번째 질문", timeout_s=CLIENT_TIMEOUT_S))

    with ThreadPoolExecutor(CROWD) as pool:
        for number in range(CROWD):
            pool.submit(ask, number)
        try:
            full = observe(
                "all but limit and queue are refused",
                lambda: len(answers) >= CROWD - LIMIT - QUEUE,
                within_s=CLIENT_TIMEOUT_S,
            )
            health, asked_at_once = proxy.health(), len(gateway.chats)
        finally:
            gate.set()
    return CrowdEvidence(start, tuple(answers), health, bool(full), asked_at_once, len(gateway.chats))


@check(
    "12.1-answered-or-refused",
    title="정상 응답 또는 429",
    source="RFC 6585, 4; RFC 9110, 10.2.3; docs/behaviour.md: Gateway calls",
)
def test_nobody_hangs(crowd: CrowdEvidence, measure: MeasureFixture) -> None:
    """Each of two hundred chats is answered, or refused with 429 and Retry-After; none hangs and none is lost."""
    by_status = {status: [c for c in crowd.answers if c.status == status] for status in (200, 429)}
    measure(len(by_status[200]), "answered", label="answered")
    assert len(by_status[200]) + len(by_status[429]) == len(crowd.answers) == CROWD
    assert all((answer.header("retry-after") or "").isdigit() for answer in by_status[429])
    assert len(by_status[200]) == LIMIT + QUEUE


@check("12.2-limit-holds", title="동시 호출 한도 준수", source="docs/behaviour.md: Gateway calls")
def test_limit_holds(crowd: CrowdEvidence, measure: MeasureFixture) -> None:
    """The gateway gets at most eight chats at once, and none for a request that is refused."""
    assert crowd.full
    measure(crowd.asked_at_once, "at once", LIMIT)
    assert (crowd.asked_at_once, crowd.asked) == (LIMIT, LIMIT + QUEUE)


@check(
    "12.3-health-when-full",
    title="포화 상태에서의 /health 응답",
    source="docs/behaviour.md: /health; Kubernetes, liveness probes: timeoutSeconds is 1 by default",
)
def test_health_when_full(crowd: CrowdEvidence, measure: MeasureFixture) -> None:
    """While limit and queue are full, /health answers within one second."""
    assert crowd.full
    assert crowd.health
    measure(crowd.health.capture.elapsed_s, "s", HEALTH_BUDGET_S, headline=True)
    assert crowd.health.status == 200
    assert crowd.health.capture.elapsed_s < HEALTH_BUDGET_S
