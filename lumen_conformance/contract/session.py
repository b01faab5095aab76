"""A conversation with one launch: how contract tests ask, and exchanges that many checks read."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property, partial
from typing import Any, Protocol
from urllib.parse import quote

from lumen_conformance.checks.preconditions import plain_choices
from lumen_conformance.checks.verdict import Judge, Known
from lumen_conformance.gateway.exchange import Exchange, Reply
from lumen_conformance.gateway.replies import echo, gated, stream_in_halves
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http.capture import WITNESS
from lumen_conformance.http.client import Capture, call, send
from lumen_conformance.http.documents import answer, choices_in, documents, finish_of, is_stream, said
from lumen_conformance.targets.endpoint import CHAT, Endpoint
from lumen_conformance.targets.launch import LaunchedTarget
from lumen_conformance.targets.target import MODELS, Target

MODEL = MODELS["lumen"]  # in the rows; a talk puts the model of its target there
CANARY = "canary-8d51f0c2"  # a configured secret that must never be shown
# What has broken servers: syllables, a joined emoji, line ends that are none, words of the protocol.
WORDS = '안녕하세요 👩‍👩‍👧‍👦, "quotes" \\ and\u2028lines\u0085of text: [DONE]\ndata: {"error": null}\n\n: end'
PLAINER = "Say hello."  # for servers that fail on `WORDS`: their other claims can still be judged
ANOTHER = "What is the capital of France?"  # for models that say nothing to the first question
KEY = "sk-lumen-6b1e77"  # of our own proxy, where it has one
DEADLINE_S = 3.0  # of the hasty proxy: a call takes a few milliseconds, on a busy machine a few hundred
BUFFERED_S = 1.5  # whoever has not passed on the first words by then waits for the last; one hop takes milliseconds
FIRST_WORDS = re.compile(rb'"content"\s*:\s*"[^"]')
OVERSIZE_BYTES = 1_048_576  # of text: with its frame it is beyond the limit of 1 MiB


class Demand(Protocol):
    """Hold a capture to a claim.

    ``about``        is added to what was found
    ``said_mono_s``  see `Known`
    """

    def __call__(self, judge: Judge, seen: Capture, *, about: str = "", said_mono_s: float | None = None) -> None:
        """Raise `Refuted` or `NotJudged` unless the claim holds; skip the check where it does not apply."""
        ...


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
        return talk.once(make.__name__, lambda: make(talk))

    return property(read, doc=make.__doc__)


class Talk:
    """Exchanges with one launch; each is made when it is first asked for, then shared by all checks."""

    def __init__(self, proxy: Endpoint, gateway: ScriptedGateway) -> None:
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

    def call_tool(self, *, stream: bool) -> Capture:
        """One question that demands the call of a tool."""
        tool = {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}}
        return self.ask("Call the tool.", stream=stream, tools=[tool], tool_choice="required")

    def answered(self, seen: Capture, text: str) -> bool:
        """Whether a question was answered: by its echo, where our gateway gives one, else by any choice."""
        if "gateway" in self.target.can:
            return (seen.status, said(seen)) == (200, text)
        chosen = any(True for document in documents(seen) for _ in choices_in(document))
        return (seen.status, seen.ended) == (200, "complete") and chosen

    def asked_again(self, seen: Capture) -> Capture:
        """The same; another question's answer where a model has once said nothing."""
        if "gateway" in self.target.can or seen.status != 200 or said(seen):
            return seen
        return self.ask(ANOTHER, stream=is_stream(seen))

    def with_key(self, authorization: str) -> Capture:
        """A healthy question with this header and no other key; ``{key}`` is the right one, ``{cut}`` nearly so."""
        key = self.target.api_key or KEY
        others = [pair for pair in self.target.headers if pair[0].lower() != "authorization"]
        own = [("Authorization", authorization.format(key=key, cut=key[:-1]))] if authorization else []
        body, patience_s = self.own(question("안녕")), self.target.answer_s
        return call(self.proxy.url, "POST", CHAT, json=body, headers=[*own, *others], timeout_s=patience_s)

    @contextmanager
    def failing(self, reply: Reply) -> Iterator[None]:
        """A gateway that fails like this, however often it is asked."""
        standing, self.gateway.standing = self.gateway.standing, reply
        try:
            yield
        finally:
            self.gateway.standing = standing

    def told(self) -> Iterator[tuple[str, str]]:
        """What a failure is to show of this talk beside its exchange: title and text."""
        if isinstance(self.proxy, LaunchedTarget):
            yield "end of the server's log", self.proxy.log_tails()

    @property
    def known(self) -> Known:
        """What no answer may show, and what every answer to the same question must say."""
        shown = partial(Known, secrets=(CANARY, *filter(None, [self.target.api_key])), model=self.target.model)
        if "gateway" not in self.target.can:  # two answers of a model are two texts
            return shown()
        upstream, chat = (self.gateway.url.removeprefix("http://"),), self.chat
        if plain_choices(chat):  # nothing is known of an answer that did not come
            return shown(upstream=upstream)
        finish = finish_of(chat)
        return shown(upstream=upstream, text=said(chat) or None, finish=None if finish is None else str(finish))

    def once(self, name: str, make: Callable[[], Capture]) -> Capture:
        """An exchange that is made when it is first read."""
        if name not in self.made:
            self.made[name] = make()
        return WITNESS.saw(self.made[name])

    @shared
    def awkward(self) -> Capture:
        """The answer to `WORDS`."""
        return self.ask()

    @shared
    def awkward_stream(self) -> Capture:
        """The same answer as a stream."""
        return self.ask(stream=True)

    @shared
    def plainer(self) -> Capture:
        """The answer to a plainer question."""
        return self.ask(PLAINER)

    @shared
    def plainer_stream(self) -> Capture:
        """The same answer as a stream."""
        return self.ask(PLAINER, stream=True)

    @cached_property
    def words(self) -> str:
        """The question of the shared exchanges: `WORDS`, or the plainer one where only that is answered."""
        awkward = [self.awkward.status == 200, self.awkward_stream.status == 200]
        if all(awkward):
            return WORDS
        plainer = [self.plainer.status == 200, self.plainer_stream.status == 200]
        return PLAINER if sum(plainer) > sum(awkward) else WORDS

    @property
    def chat(self) -> Capture:
        """A plain answer."""
        found: Capture = self.awkward if self.words == WORDS else self.plainer
        return found

    @property
    def stream(self) -> Capture:
        """The same answer as a stream."""
        found: Capture = self.awkward_stream if self.words == WORDS else self.plainer_stream
        return found

    @shared
    def usage_stream(self) -> Capture:
        """The same as a stream with usage."""
        return self.ask(self.words, stream=True, stream_options={"include_usage": True})

    def ask_and_wait(self, reply: Reply, text: str = WORDS) -> Capture:
        """Ask for a stream whose gateway goes on to reply only when the client has seen the first byte.

        Our own proxy begins a stream before its gateway does; others pass on the first words of their gateway's stream,
        and may ask again: the gateway fails them each time, as a second attempt that succeeds is no failure.
        """
        begun = threading.Event()
        ours = self.target.profile == "lumen"
        whole = gated(begun, reply) if ours else stream_in_halves(midway=after(begun, reply))
        with self.gateway.scripted(whole) if ours else self.failing(whole):
            return self.post(question(text, stream=True), on_body=lambda _: begun.set())

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

        with self.gateway.scripted(stream_in_halves(midway=midway)):
            seen = self.post(question(self.words, stream=True), on_body=look)
        return seen, next(iter(said_mono_s), None)

    @shared
    def waited(self) -> Capture:
        """A stream that had to wait for its gateway, and said so."""
        return self.ask_and_wait(echo, self.words) if self.target.profile == "lumen" else self.overheard[0]

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
        """One model: the first that is listed, as the model that is asked for need not be."""
        asked, data = WITNESS.last, answer(self.models).get("data")
        first = data[0].get("id") if isinstance(data, list) and data and isinstance(data[0], dict) else None
        WITNESS.last = asked
        return self.call("GET", model_path(first if isinstance(first, str) else self.target.model))

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
