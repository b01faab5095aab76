"""The circuit breaker of a proxy, as its clients see it: it opens, lets one probe through, opens again, and closes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from lumen_conformance.gateway.exchange import Reply
from lumen_conformance.gateway.replies import echo, gated
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.stages.outages import ChatAnswer, status
from lumen_conformance.stages.stage_steps import StageStep
from lumen_conformance.targets.launch import LaunchedTarget
from lumen_conformance.waiting import observe

CIRCUIT_OPEN = "circuit_open"
AT_MOST = 10  # failing chats until a refusal is given up; the breaker opens after three
CROWD = 6
WITHIN_S = 20.0  # until a probe is allowed, one second here; and until each of a crowd is answered or forwarded


@dataclass(frozen=True)
class Failing(StageStep):
    """Chats one after the other until one is refused by an open breaker.

    ``forwarded``     the chats before, which the gateway has answered with an error
    ``refusal``       the refused chat; None when none was refused
    ``asked_by_it``   how many calls it made
    """

    forwarded: int
    refusal: ChatAnswer | None
    asked_by_it: int = 0


@dataclass(frozen=True)
class Crowd(StageStep):
    """Chats at the same time: how many the gateway got while it answered none, and the answers to the others."""

    allowed: bool
    forwarded: int
    others: tuple[ChatAnswer, ...]
    statuses: tuple[int | None, ...]


def fail_until_refused(target: LaunchedTarget, gateway: ScriptedGateway) -> Failing:
    """Send chats to a gateway that fails, until one is refused."""
    gateway.standing = status(500)
    for forwarded in range(AT_MOST):
        asked = len(gateway.chats)
        answer = ChatAnswer.of(target.chat(f"{forwarded}번째 실패"))
        if answer.code == CIRCUIT_OPEN:
            return Failing(forwarded, answer, len(gateway.chats) - asked)
    return Failing(AT_MOST, None)


def ask_crowd(target: LaunchedTarget, gateway: ScriptedGateway, then: Reply = echo) -> Crowd:
    """When a chat is allowed again, send several at the same time; then the gateway answers with `then`."""
    gate = threading.Event()
    gateway.standing = gated(gate, then)
    allowed = observe("a chat is allowed", lambda: target.call("GET", "/ready").status == 200, within_s=WITHIN_S)
    asked, answers = len(gateway.chats), list[ChatAnswer]()

    def forwarded() -> int:
        return len(gateway.chats) - asked

    with ThreadPoolExecutor(CROWD) as pool:
        chats = [pool.submit(ask, target, number, answers) for number in range(CROWD)]
        try:
            observe("each is forwarded or answered", settled(answers, forwarded), within_s=WITHIN_S)
            held, others = forwarded(), tuple(answers)
        finally:
            gate.set()
    for chat in chats:
        chat.result()
    return Crowd(bool(allowed), held, others, tuple(answer.status for answer in answers))


def settled(answers: list[ChatAnswer], forwarded: Callable[[], int]) -> Callable[[], bool]:
    """Return a probe: whether each chat of the crowd was forwarded or answered."""
    return lambda: len(answers) + forwarded() >= CROWD


def ask(target: LaunchedTarget, number: int, answers: list[ChatAnswer]) -> None:
    """Send one chat of a crowd, which may wait for the gate; add its answer."""
    answers.append(ChatAnswer.of(target.chat(f"{number}번째 질문", timeout_s=2 * WITHIN_S)))
