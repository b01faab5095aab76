"""Stop a launch while a question is in flight, and observe how it ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from lumen_conformance.gateway.exchange import Exchange
from lumen_conformance.gateway.replies import echo, gated
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http.capture import Capture
from lumen_conformance.processes.process_tree import kill_all
from lumen_conformance.registry.journal_event import JournalEvent
from lumen_conformance.stages.observations import is_port_free, parse_json, read_text
from lumen_conformance.stages.stage_steps import StageStep
from lumen_conformance.targets.launch import LaunchedTarget
from lumen_conformance.waiting import observe

# An end takes 0.1 s here when no work is left. Below the 30 s of LUMEN_DRAIN_S, so that its deadline is no such end.
STOP_BUDGET_S = 10.0
SEEN_S = 5.0  # a worker notices a drain within milliseconds; the rest is for a busy machine
FOREIGN_SEEN_S = 1.0  # a server that is stopped closes its socket within milliseconds, or never
UNAVAILABLE = 503
HELD = "아직 듣고 있어요?"


@dataclass(frozen=True)
class Ending(StageStep):
    """How a launch ended: `exit_status` is None if it did not end in time; `events` are those of its journal."""

    exit_status: int | None
    processes_left: int
    is_port_free: bool
    events: tuple[JournalEvent, ...]

    def list_events(self, name: str) -> list[JournalEvent]:
        """Return the events of one name."""
        return [event for event in self.events if event.name == name]

    def describe(self) -> str:
        """Return the exit status as text."""
        return "it still runs" if self.exit_status is None else f"exit status {self.exit_status}"


@dataclass(frozen=True)
class DrainEvidence(StageStep):
    """One drain: what new requests were answered meanwhile, what the held question was, and the end.

    ``ready_status``, ``chat_status`` and ``chat_code`` are of a target with a journal.
    """

    ready_status: int | None
    chat_status: int | None
    chat_code: str
    answer_status: int | None
    answer: str
    end: Ending


def drain(proxy: LaunchedTarget, gateway: ScriptedGateway, stop: Callable[[LaunchedTarget], None]) -> DrainEvidence:
    """Stop a launch with a question in flight, and send new requests before the question is answered."""
    with held_question(proxy.chat, gateway) as (gate, answer):
        stop(proxy)
        ready_status, chat = _ask_meanwhile(proxy)
        gate.set()
        held = answer.result()
    chat_status, code = (chat.status, error_code(chat)) if chat else (None, "")
    return DrainEvidence(ready_status, chat_status, code, held.status, read_text(held), observe_end(proxy))


@contextmanager
def held_question(
    chat: Callable[[str], Capture], gateway: ScriptedGateway
) -> Iterator[tuple[threading.Event, Future[Capture]]]:
    """Send a question that the gateway holds until the gate opens; other questions are answered at once."""
    gate, calls_before = threading.Event(), len(gateway.chats)

    def reply(exchange: Exchange) -> None:
        (gated(gate) if HELD in exchange.call.message else echo)(exchange)

    gateway.standing = reply
    with ThreadPoolExecutor(1) as client:
        try:
            answer = client.submit(chat, HELD)
            gateway.until_called(calls_before + 1)
            yield gate, answer
        finally:
            gate.set()


def _ask_meanwhile(proxy: LaunchedTarget) -> tuple[int | None, Capture | None]:
    """Wait until the drain can be seen; return the status of /ready and the answer to a new chat."""
    if "journal" not in proxy.target.can:
        observe("it is not ready any more", lambda: not proxy.health().ready, within_s=FOREIGN_SEEN_S)
        return None, None
    proxy.journal.observe("draining", within_s=SEEN_S)
    statuses: list[int | None] = []

    def is_refused() -> bool:
        statuses.append(proxy.call("GET", "/ready").status)
        return statuses[-1] == UNAVAILABLE

    observe("/ready refuses", is_refused, within_s=SEEN_S, give_up=proxy.end_reason)
    return statuses[-1], proxy.chat("Are you still there?")


def observe_end(proxy: LaunchedTarget, within_s: float = STOP_BUDGET_S) -> Ending:
    """Wait for the end of a launch and of its processes; kill what is left."""
    exit_status = proxy.observe_exit(within_s)
    observe(
        "all processes have ended", lambda: not proxy.processes(), within_s=SEEN_S if exit_status is not None else 0
    )
    left, is_free = proxy.processes(), is_port_free(proxy.port)
    ending = Ending(exit_status, len(left), is_free, proxy.journal.events())
    kill_all(left)
    return ending


def error_code(answer: Capture) -> str:
    """Return the code of an error; empty where there is none."""
    body = parse_json(answer)
    error = body.get("error") if isinstance(body, dict) else None
    return str(error.get("code")) if isinstance(error, dict) else ""
