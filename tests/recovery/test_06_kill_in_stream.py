"""Scenario 6: the worker is killed while it streams answers; each client must see that its answer is incomplete.

Setup: two streams that cannot end before the kill. Of the first the gateway holds back the second half. The second is
an answer of our own proxy that is larger than all buffers between worker and client, which reads only its beginning; a
server that has no journal gets the same request as the first. A client that takes a cut answer for a complete one
stores half a text as the whole.
"""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from lumen_conformance.gateway.exchange import Exchange
from lumen_conformance.gateway.replies import answer_with, reset_mid_body, stream_in_halves
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http.capture import Capture
from lumen_conformance.registry import NotJudged, check, expect
from lumen_conformance.stages.evidence import stage
from lumen_conformance.stages.observations import (
    StartObservation,
    ask_chat,
    describe_response,
    observe_start,
    read_text,
)
from lumen_conformance.stages.stage_steps import StageStep
from lumen_conformance.stages.victims import find_victims
from lumen_conformance.targets.launch import LaunchedTarget, Launcher
from lumen_conformance.targets.target import Target

pytestmark = pytest.mark.needs("restart")

CHAT = "/v1/chat/completions"
QUESTION = "처음부터 끝까지 이야기해 주세요"
LONG_QUESTION = f"Count from 1 to 2000 in words. {QUESTION}"  # for a model: an answer of minutes
# Linux keeps at most 10 MB between two sockets by default (tcp_wmem 4 MB, tcp_rmem 6 MB: tcp(7)). Our own proxy makes
# about 60 bytes of events of one character, so this answer has 24 MB; the kill comes within its first megabyte.
LONG_TEXT = "긴 대답. " * 66_000
# Our own proxy sends the head of a stream at once, and not only with the answer of the gateway.
SETTINGS = {"LUMEN_STREAM_COMMIT_S": "0", "LUMEN_RESTART_BACKOFF_S": "0"}
# Our own proxy has nothing to stream before the gateway has answered: it sends comments (HTML, 9.2.5: lines with ":").
BEGINNINGS = {"held": b":", "long": b"data:"}
OK = 200
KILLED = "6.1-error-visible"


@dataclass(frozen=True)
class CutStream:
    """What a client received of a stream: ``streamed`` says whether its first byte came before the kill."""

    name: str
    streamed: bool
    status: int | None
    ended: str
    body_bytes: int
    finish_reasons: tuple[str, ...]
    has_done: bool
    has_error_event: bool


@dataclass(frozen=True)
class StreamKillEvidence(StageStep):
    """The evidence: the streams, the chat after them, and a stream whose gateway fails, if there is a gateway.

    ``chat_text`` is empty without an answer.
    """

    start: StartObservation
    restart_budget_s: float
    streams: tuple[CutStream, ...] = ()
    chat: str = ""
    chat_text: str = ""
    failed: CutStream | None = None


class StreamClient:
    """A client of one stream: it stops to read when it has the `beginning` until `resume` is called."""

    def __init__(self, name: str, beginning: bytes, proxy: LaunchedTarget) -> None:
        self.name = name
        self.has_begun, self._is_resumed = threading.Event(), threading.Event()
        self._beginning, self._proxy = beginning, proxy

    def run(self) -> Capture:
        """Send the request, and read the answer to its end."""
        body = {
            "model": self._proxy.target.model,
            "messages": [{"role": "user", "content": LONG_QUESTION}],
            "stream": True,
        }
        # The waits for both streams to begin, then the rest.
        timeout_s = (1 + len(BEGINNINGS)) * self._proxy.target.answer_s
        return self._proxy.call("POST", CHAT, json=body, timeout_s=timeout_s, on_body=self._pause)

    def resume(self) -> None:
        """Read on."""
        self._is_resumed.set()

    def _pause(self, body: bytearray) -> bool:
        if self._beginning in body and not self.has_begun.is_set():
            self.has_begun.set()
            self._is_resumed.wait()
        return False


@stage(scenario=6)
def cut(launch: Launcher, gateway: ScriptedGateway, target: Target) -> StreamKillEvidence:
    """Kill what serves while two clients read streams; then ask again."""
    proxy = launch(ready=False, gateway=gateway, env=SETTINGS)
    start = observe_start(proxy, target.start_s)
    if start.problem:
        return StreamKillEvidence(start, target.start_s)
    gate, is_held = threading.Event(), threading.Event()

    def hold_second_half(exchange: Exchange) -> bool:
        is_held.set()
        return exchange.hold(gate)

    held = stream_in_halves(midway=hold_second_half)
    gateway.script(held, answer_with(LONG_TEXT) if "journal" in target.can else held)
    streams = cut_streams(proxy, target.answer_s, is_held if "gateway" in target.can else None)
    gate.set()
    proxy.health(within_s=target.start_s)
    chat = ask_chat(proxy, QUESTION)
    failed = None
    if "gateway" in target.can:
        gateway.script(reset_mid_body)
        failed = describe_stream("failed", proxy.chat(QUESTION, stream=True), streamed=True)
    return StreamKillEvidence(start, target.start_s, streams, describe_response(chat), read_text(chat), failed)


def cut_streams(proxy: LaunchedTarget, begin_s: float, is_held: threading.Event | None) -> tuple[CutStream, ...]:
    """Begin the streams one after the other, kill what serves, and read to the ends of the streams.

    The second stream begins when the gateway holds the first (`is_held`): a comment may reach the client before the
    gateway has the request, and the gateway answers in the order of arrival.
    """
    clients = [StreamClient(name, beginning, proxy) for name, beginning in BEGINNINGS.items()]
    with ThreadPoolExecutor(len(clients)) as pool:
        captures = []
        for client in clients:
            captures.append(pool.submit(client.run))
            client.has_begun.wait(begin_s)
            if is_held:
                is_held.wait(begin_s)
        begun = [client.has_begun.is_set() for client in clients]
        try:
            for ref in find_victims(proxy):
                ref.kill()
        finally:
            for client in clients:
                client.resume()
        received = [capture.result() for capture in captures]
    return tuple(
        describe_stream(client.name, capture, streamed=has_begun)
        for client, capture, has_begun in zip(clients, received, begun, strict=True)
    )


def describe_stream(name: str, capture: Capture, *, streamed: bool) -> CutStream:
    """Return what a client can know of a stream."""
    lines = capture.body.split(b"\n")
    data = [line[len(b"data:") :].strip() for line in lines if line.startswith(b"data:")]
    events = [event for event in map(parse_event, data) if isinstance(event, dict)]
    choices = [choice for event in events for choice in event.get("choices") or [] if isinstance(choice, dict)]
    return CutStream(
        name, streamed, capture.status, capture.ended, len(capture.body),
        finish_reasons=tuple(str(choice["finish_reason"]) for choice in choices if choice.get("finish_reason")),
        has_done=b"[DONE]" in data,
        has_error_event=any("error" in event for event in events),
    )  # fmt: skip


def parse_event(data: bytes) -> object:
    """Return the JSON of an event; None for anything else, such as the last event of a cut stream."""
    try:
        return json.loads(data)
    except ValueError:
        return None


@check(KILLED, source="RFC 9112, 8: a message is incomplete when the connection closes before its end")
def test_the_client_sees_an_error(cut: StreamKillEvidence) -> None:
    """A client whose stream is cut by a kill sees an error: a reset, or a body without its end."""
    for stream in list_cut(cut):
        visible = stream.ended in {"reset", "aborted"} or stream.has_error_event
        expect(visible, "a reset, an incomplete body or an error event", describe(stream))


@check("6.2-no-finish-reason", source="openapi.yaml: finish_reason is null until the model has stopped")
def test_no_finish_reason(cut: StreamKillEvidence) -> None:
    """A stream that is cut by a kill has no finish_reason."""
    for stream in list_cut(cut):
        expect(not stream.finish_reasons, "no chunk with a finish_reason", describe(stream))


@check("6.3-no-done", source="openapi.yaml: a stream is terminated by data: [DONE]")
def test_no_done(cut: StreamKillEvidence) -> None:
    """A stream that is cut by a kill has no [DONE]."""
    for stream in list_cut(cut):
        expect(not stream.has_done, "no event [DONE]", describe(stream))


@check("6.4-next-chat", source="docs/guide/recovery.md: Scenario 6")
def test_next_chat_is_answered(cut: StreamKillEvidence) -> None:
    """After the kill the next chat is answered with a text."""
    list_cut(cut)
    expect(bool(cut.chat_text), "a chat is answered with status 200 and a text", cut.chat)


@check(
    "6.5-late-error",
    marks=(pytest.mark.needs("gateway"),),
    source="openapi.yaml: finish_reason stop is a natural stop point; a stream is terminated by data: [DONE]",
)
def test_a_late_error_is_no_stop(cut: StreamKillEvidence) -> None:
    """A stream whose gateway resets the connection is no complete one: it has an error, no finish_reason, no [DONE]."""
    if cut.failed is None:
        raise NotJudged("the server was never ready", ("1.1-initial-start",))
    stream = cut.failed
    visible = stream.status != OK or stream.ended in {"reset", "aborted"} or stream.has_error_event
    expect(visible, "an error event, a reset or an error status", describe(stream))
    expect(not (stream.has_done or stream.finish_reasons), "no finish_reason and no [DONE]", describe(stream))


def list_cut(cut: StreamKillEvidence) -> tuple[CutStream, ...]:
    """Return the streams; without a start, or without a stream that has begun, nothing is judged."""
    if cut.start.problem:
        raise NotJudged("the server was never ready", ("1.1-initial-start",))
    begun = tuple(stream for stream in cut.streams if stream.streamed)
    if not begun:
        raise NotJudged("no stream had begun before the kill", ())
    return begun


def describe(stream: CutStream) -> str:
    """Return a text about a stream."""
    details = (
        f"status {stream.status}, {stream.body_bytes} bytes of body, ended {stream.ended}",
        f"finish reasons {', '.join(stream.finish_reasons) or 'none'}",
        f"[DONE] {'received' if stream.has_done else 'not received'}",
    )
    return f"the stream {stream.name!r}: {'; '.join(details)}"
