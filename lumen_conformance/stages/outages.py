"""Outages of a gateway: each kind begins, one chat meets it, it ends, and the next chat is sent.

The kinds that need a reply are staged at the same time: the first word of a question names its kind, and the gateway
fails for the kinds that are out. During an outage any other question is read and not answered.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

from lumen_conformance.gateway import replies
from lumen_conformance.gateway.exchange import Exchange, Reply
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http.capture import Capture
from lumen_conformance.stages.observations import describe_response, parse_json, read_text
from lumen_conformance.stages.stage_steps import StageStep
from lumen_conformance.targets.launch import Health, LaunchedTarget

BYTE_S: Final = 1.0  # between two bytes of an answer that never ends in time
PROBE_EVERY_S: Final = 0.25  # a dozen probes in an outage of three seconds; each of them costs a millisecond


def status(code: int) -> Reply:
    """Return a reply with an error status and an HTML page, as hosting providers send it."""
    return replies.respond_with(replies.HTML, code, media_type="text/html")


SLOW: Final[dict[str, Reply]] = {"silent": replies.silent, "drip": replies.drip(BYTE_S)}
REPLIES: Final[dict[str, Reply]] = {
    **SLOW,
    "garbage": replies.garbage,
    "html": replies.html,
    "truncated": replies.truncated,
    "reset-after-request": replies.reset_after_request,
    "reset-after-headers": replies.reset_after_headers,
    "status-429": status(429),
    "status-500": status(500),
    "status-503": status(503),
}
REFUSED, RESET, DNS = "refused", "reset-before-reading", "dns"
KINDS: Final = (REFUSED, *REPLIES, RESET)
"""The kinds that end; `DNS` cannot end, as no test controls the resolver of the system."""


@dataclass(frozen=True)
class ChatAnswer:
    """One chat as its client saw it; ``described`` is for reports."""

    status: int | None
    code: str
    text: str
    channel: str
    elapsed_s: float
    described: str

    @classmethod
    def of(cls, chat: Capture) -> ChatAnswer:
        """Return the parts of an answer; an answer without them has empty texts."""
        body = parse_json(chat)
        fields = body if isinstance(body, dict) else {}
        error, metadata = fields.get("error"), fields.get("lumen_metadata")
        code = error.get("code") if isinstance(error, dict) else ""
        channel = metadata.get("channel") if isinstance(metadata, dict) else ""
        return cls(
            chat.status, str(code or ""), read_text(chat), str(channel or ""), chat.elapsed_s, describe_response(chat)
        )


@dataclass(frozen=True)
class Outage(StageStep):
    """One outage: the chat that met it, the next chat after its end, and how often the gateway read the first."""

    question: str
    during: ChatAnswer
    after: ChatAnswer
    written: int = 0


@dataclass(frozen=True)
class Probe:
    """One probe of the target during the outages."""

    ready: bool
    elapsed_s: float

    @classmethod
    def of(cls, health: Health) -> Probe:
        """Return the parts of an answer that are judged."""
        return cls(health.ready, health.capture.elapsed_s)


class FailingGateway:
    """Sets the standing reply of a gateway: it fails for each question whose kind is out."""

    def __init__(self, gateway: ScriptedGateway) -> None:
        self.gateway = gateway
        self._out: set[str] = set()
        self._any = threading.Event()

    @contextmanager
    def out(self, kind: str) -> Iterator[None]:
        """Fail for this kind while inside."""
        begin, end = self._acts(kind)
        begin()
        try:
            yield
        finally:
            end()

    @contextmanager
    def others_silent(self) -> Iterator[None]:
        """Read questions without a kind, and do not answer them, while inside."""
        self._any.set()
        try:
            yield
        finally:
            self._any.clear()

    def _acts(self, kind: str) -> tuple[Callable[[], object], Callable[[], object]]:
        if kind == REFUSED:
            return self.gateway.down, self.gateway.up
        if kind == RESET:
            return lambda: self._stand(replies.reset_before_reading), lambda: self._stand(self.reply)
        return lambda: self._out.add(kind), lambda: self._out.discard(kind)

    def _stand(self, reply: Reply) -> None:
        self.gateway.standing = reply

    def reply(self, exchange: Exchange) -> None:
        """Answer one request of the gateway."""
        kind = exchange.call.message.partition(" ")[0]
        if kind in self._out:
            REPLIES[kind](exchange)
        elif kind not in KINDS and self._any.is_set():
            replies.silent(exchange)
        else:
            replies.echo(exchange)


def stage_outages(target: LaunchedTarget, gateway: ScriptedGateway) -> tuple[dict[str, Outage], tuple[Probe, ...]]:
    """Stage each kind once; return the outages by kind, and the probes of the target meanwhile."""
    failing = FailingGateway(gateway)
    gateway.standing = failing.reply

    def stage_one(kind: str) -> Outage:
        with failing.out(kind):
            during = ChatAnswer.of(target.chat(f"{kind} 질문입니다"))
        return Outage(f"{kind} 질문입니다", during, ChatAnswer.of(target.chat(f"{kind} 다음 질문입니다")))

    found = {REFUSED: stage_one(REFUSED)}
    probes = [Probe.of(target.health())]
    with ThreadPoolExecutor(len(REPLIES)) as pool, failing.others_silent():
        staged = {kind: pool.submit(stage_one, kind) for kind in REPLIES}
        probes += probe_until(target, list(staged.values()))
    found |= {kind: outage.result() for kind, outage in staged.items()}
    found[RESET] = stage_one(RESET)
    probes.append(Probe.of(target.health()))
    return {kind: count_written(outage, gateway) for kind, outage in found.items()}, tuple(probes)


def probe_until(target: LaunchedTarget, staged: list[Future[Outage]]) -> list[Probe]:
    """Probe the target until these outages have ended."""
    probes, ended = [], threading.Event()
    while not all(outage.done() for outage in staged):
        probes.append(Probe.of(target.health()))
        ended.wait(PROBE_EVERY_S)
    return probes


def count_written(outage: Outage, gateway: ScriptedGateway) -> Outage:
    """Return the outage with the number of calls that the gateway has read for its question."""
    written = sum(outage.question in call.message for call in gateway.chats)
    return replace(outage, written=written)
