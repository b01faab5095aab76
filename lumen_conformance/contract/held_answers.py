"""Answers of the gateway that wait until a test releases them, and clients that leave before their answer ends."""

from __future__ import annotations

import threading
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, field

from lumen_conformance.contract.session import FIRST_CONTENT, ContractSession, question
from lumen_conformance.gateway.exchange import Exchange
from lumen_conformance.gateway.replies import echo, gated, stream_in_halves
from lumen_conformance.http.client import Capture
from lumen_conformance.targets.endpoint import CHAT
from lumen_conformance.waiting import observe


@dataclass(eq=False)
class HeldAnswer:
    """The answer to the question with this text; it waits in the middle.

    ``silent``    it waits before its first byte instead
    ``begun``     the gateway has the question
    ``released``  the answer goes on
    ``ended``     the answer is complete, or its connection is closed
    """

    text: str
    silent: bool = False
    begun: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)

    def __call__(self, exchange: Exchange) -> None:
        """Reply to the question."""
        self.begun.set()
        try:
            reply = gated(self.released) if self.silent else stream_in_halves(midway=self._wait)
            reply(exchange)
        finally:
            self.ended.set()

    def _wait(self, exchange: Exchange) -> bool:
        return exchange.hold(self.released)


class HeldAnswers:
    """A standing reply of the gateway: some answers wait, all others are echoes."""

    def __init__(self) -> None:
        self._held: list[HeldAnswer] = []

    def hold(self, text: str, *, silent: bool = False) -> HeldAnswer:
        """Hold the answer to the question with this text."""
        self._held.append(HeldAnswer(text, silent))
        return self._held[-1]

    def __call__(self, exchange: Exchange) -> None:
        """Reply to a question."""
        reply = next((held for held in reversed(self._held) if held.text in exchange.call.message), echo)
        reply(exchange)


def leave(session: ContractSession, held: HeldAnswer, pool: Executor, *, within_s: float) -> Capture:
    """Ask, and disconnect while the answer is held; the capture has the status if the target has answered.

    The client leaves after the first content, or before the first byte of a silent answer. ``within_s`` is the longest
    wait for that content, or for the question to reach the gateway.
    """
    if held.silent:
        return _leave_before_first_byte(session, held, pool, within_s)
    asked = question(held.text, stream=True)
    return session.post(asked, on_body=FIRST_CONTENT.search, timeout_s=within_s)


def release(held: HeldAnswer, *, noticed_within_s: float, within_s: float) -> None:
    """Let an answer go on whose client has left, unless the target notices that before and closes the connection."""
    held.ended.wait(noticed_within_s)
    held.released.set()
    if held.begun.is_set():
        held.ended.wait(within_s)


def _leave_before_first_byte(session: ContractSession, held: HeldAnswer, pool: Executor, within_s: float) -> Capture:
    body = session.with_target_model(question(held.text, stream=True))
    with session.server.connection() as client:
        asked = pool.submit(client.call, "POST", CHAT, json=body)
        observe("the gateway has the question", lambda: held.begun.is_set() or asked.done(), within_s=within_s)
        with suppress(OSError):  # the target has closed the connection
            client.hang_up()
        return asked.result()
