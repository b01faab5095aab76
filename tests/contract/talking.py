"""A conversation with one launch: how contract tests ask, and exchanges that many checks read."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property
from typing import Any
from urllib.parse import quote

import pytest

from tests.fixtures.capture import Capture, send
from tests.fixtures.captured import WITNESS
from tests.fixtures.exchange import Exchange, Reply
from tests.fixtures.gateway import Gateway
from tests.fixtures.judges.documents import finish_of, said
from tests.fixtures.judges.verdict import Judge, Known
from tests.fixtures.processes import Launched
from tests.fixtures.replies import echo, gated, streams
from tests.fixtures.served import CHAT, Served
from tests.fixtures.targets import MODELS, Target

MODEL = MODELS["lumen"]  # in the rows; a talk puts the model of its target there
CANARY = "canary-8d51f0c2"  # a configured secret that must never be shown
# What has broken servers: syllables, a joined emoji, line ends that are none, words of the protocol.
WORDS = '안녕하세요 👩‍👩‍👧‍👦, "quotes" \\ and\u2028lines\u0085of text: [DONE]\ndata: {"error": null}\n\n: end'
DEADLINE_S = 3.0  # of the hasty proxy: a call takes a few milliseconds, on a busy machine a few hundred
BUFFERED_S = 1.5  # whoever has not passed on the first words by then waits for the last; one hop takes milliseconds
FIRST_WORDS = re.compile(rb'"content"\s*:\s*"[^"]')
OVERSIZE_BYTES = 1_048_576  # of text: with its frame it is beyond the limit of 1 MiB
Demand = Callable[[Judge, Capture], None]


def after(begun: threading.Event, reply: Reply) -> Callable[[Exchange], bool]:
    """Midway: wait until the client has seen the first byte (of whoever collects a stream, not for ever), then fail."""

    def midway(exchange: Exchange) -> bool:
        if exchange.hold(begun, at_most_s=BUFFERED_S):
            reply(exchange)
        return False

    return midway


def shared(make: Callable[["Talk"], Capture]) -> property:
    """An exchange that is made once; whoever reads it again is about it, too, and shows it when it fails."""

    def read(talk: "Talk") -> Capture:
        if make.__name__ not in talk.made:
            talk.made[make.__name__] = make(talk)
        return WITNESS.saw(talk.made[make.__name__])

    return property(read, doc=make.__doc__)


class Talk:
    """Exchanges with one launch; each is made when it is first asked for, then shared by all checks."""

    def __init__(self, proxy: Served, gateway: Gateway) -> None:
        self.proxy = proxy
        self.gateway = gateway
        self.made: dict[str, Capture] = {}

    @property
    def target(self) -> Target:
        """What is judged."""
        return self.proxy.target

    def call(self, method: str, path: str, **how: Any) -> Capture:  # noqa: ANN401 -- passed on as they are
        """One request, as `Served.call`, asking for the model of the target."""
        return self.proxy.call(method, path, **{name: self.own(value) for name, value in how.items()})

    def own(self, body: Any) -> Any:  # noqa: ANN401 -- any body, any other argument
        """A body with the target's own model in the place of `MODEL`; anything else as it is."""
        if isinstance(body, dict) and body.get("model") == MODEL:
            return body | {"model": self.target.model}
        if isinstance(body, bytes):
            return body.replace(f'"{MODEL}"'.encode(), f'"{self.target.model}"'.encode())
        return body

    def post(self, body: object, path: str = CHAT, **how: Any) -> Capture:  # noqa: ANN401 -- same
        """POST a JSON body."""
        return self.call("POST", path, json=body, **how)

    def ask(self, text: str = WORDS, *, timeout_s: float | None = None, **fields: object) -> Capture:
        """One question of one user; ``fields`` adds to the body."""
        return self.post(question(text, **fields), timeout_s=timeout_s)

    def answered(self, seen: Capture, text: str) -> bool:
        """Whether a question was answered: by its echo, where our gateway gives one, else by any words."""
        if "gateway" in self.target.can:
            return (seen.status, said(seen)) == (200, text)
        return seen.status == 200 and bool(said(seen))

    def told(self) -> Iterator[tuple[str, str]]:
        """What a failure is to show of this talk beside its exchange: title and text."""
        if isinstance(self.proxy, Launched):
            yield "end of the server's log", self.proxy.tails()

    @property
    def known(self) -> Known:
        """What no answer may show, and what every answer to the same question must say."""
        shown = Known(secrets=(CANARY, *filter(None, [self.target.api_key])), model=self.target.model)
        if "gateway" not in self.target.can:  # two answers of a model are two texts
            return shown
        upstream = self.gateway.url.removeprefix("http://")
        return replace(shown, text=said(self.chat), finish=str(finish_of(self.chat)), upstream=(upstream,))

    @shared
    def chat(self) -> Capture:
        """A plain answer."""
        return self.ask()

    @shared
    def stream(self) -> Capture:
        """The same answer as a stream."""
        return self.ask(stream=True)

    @shared
    def usage_stream(self) -> Capture:
        """The same as a stream with usage."""
        return self.ask(stream=True, stream_options={"include_usage": True})

    def ask_and_wait(self, reply: Reply, text: str = WORDS) -> Capture:
        """Ask for a stream whose gateway goes on to reply only when the client has seen the first byte.

        Our own proxy begins a stream before its gateway does; others pass on the first words of their gateway's stream.
        Whoever asks its gateway plainly, or waits for its end, learns of the failure before it begins: not judged here.
        """
        begun = threading.Event()
        whole = gated(begun, reply) if self.target.profile == "lumen" else streams(midway=after(begun, reply))
        with self.gateway.scripted(whole):
            seen = self.post(question(text, stream=True), on_body=lambda _: begun.set())
        if self.target.profile != "lumen" and (seen.status or 0) >= 400:
            pytest.skip(f"status {seen.status} before the stream: no late failure; checks G3.forwarded-* judge it")
        return seen

    @cached_property
    def overheard(self) -> tuple[Capture, float | None]:
        """A stream whose gateway says its last words late, and ``time.monotonic()`` then; None: it was not asked."""
        begun = threading.Event()
        said_mono_s: list[float] = []

        def midway(exchange: Exchange) -> bool:
            goes_on = exchange.hold(begun, at_most_s=BUFFERED_S)
            said_mono_s.append(time.monotonic())
            return goes_on

        def look(body: bytes) -> None:
            if FIRST_WORDS.search(body):
                begun.set()

        with self.gateway.scripted(streams(midway=midway)):
            seen = self.post(question(stream=True), on_body=look)
        return seen, next(iter(said_mono_s), None)

    @shared
    def waited(self) -> Capture:
        """A stream that had to wait for its gateway, and said so."""
        return self.ask_and_wait(echo) if self.target.profile == "lumen" else self.overheard[0]

    @shared
    def refusal(self) -> Capture:
        """A bad request."""
        return self.post({"model": MODEL, "messages": []})

    @shared
    def refused_stream(self) -> Capture:
        """A bad request for a stream."""
        return self.post({"model": MODEL, "messages": [], "stream": True})

    @shared
    def lost(self) -> Capture:
        """An unknown address."""
        return self.call("GET", "/v1/nothing-here")

    @shared
    def oversize(self) -> Capture:
        """A request that is far too large: most servers refuse it before the application runs."""
        return self.ask("x" * OVERSIZE_BYTES)

    @shared
    def malformed(self) -> Capture:
        """A request that is no HTTP: the server itself must refuse it."""
        return send(self.proxy.url, b"GET /health HTTP/1.1\r\nHost: localhost\r\nno colon here\r\n\r\n")

    @shared
    def models(self) -> Capture:
        """The list of models."""
        return self.call("GET", "/v1/models")

    @shared
    def model(self) -> Capture:
        """One model."""
        return self.call("GET", model_path(self.target.model))

    @shared
    def health(self) -> Capture:
        """The health of the target."""
        return self.call("GET", self.target.probe_path)


def model_path(name: str) -> str:
    """Where a model is looked up; its name may have spaces and slashes."""
    return f"/v1/models/{quote(name, safe='')}"


def question(text: str = WORDS, **fields: object) -> dict[str, object]:
    """A request with one message of one user."""
    return {"model": MODEL, "messages": [{"role": "user", "content": text}], **fields}
