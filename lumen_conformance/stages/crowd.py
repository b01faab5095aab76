"""Two hundred clients that send a chat at the same time, to a proxy with a limit of gateway calls and a short queue."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from lumen_conformance.gateway.replies import gated
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http.capture import Capture
from lumen_conformance.stages.observations import StartObservation, observe_start
from lumen_conformance.stages.stage_steps import StageStep
from lumen_conformance.targets.launch import Health, Launcher
from lumen_conformance.waiting import observe

START_BUDGET_S = 10.0  # check 1.1
CROWD = 200
LIMIT, QUEUE = 8, 16
CLIENT_TIMEOUT_S = 30.0  # above the 20 s for which a chat may wait in the queue here
LIMITS = {
    "LUMEN_STANDBY": "0",  # no worker is killed here
    "LUMEN_MAX_CONCURRENCY": str(LIMIT),
    "LUMEN_MAX_QUEUE": str(QUEUE),
    "LUMEN_QUEUE_TIMEOUT_S": "20",
}


@dataclass(frozen=True)
class CrowdEvidence(StageStep):
    """The evidence; `health` was requested while the limit and the queue were full."""

    start: StartObservation
    answers: tuple[Capture, ...] = ()
    health: Health | None = None
    full: bool = False
    asked_at_once: int = 0
    asked: int = 0


def send_crowd(launch: Launcher, gateway: ScriptedGateway) -> CrowdEvidence:
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
