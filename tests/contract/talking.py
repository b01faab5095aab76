"""A conversation with one launch: how contract tests ask, and exchanges that many checks read."""

import threading
from collections.abc import Callable
from functools import cached_property

from tests.fixtures.capture import TIMEOUT_S, Capture, call, send
from tests.fixtures.exchange import Reply
from tests.fixtures.gateway import Gateway
from tests.fixtures.judges.documents import finish_of, said
from tests.fixtures.judges.verdict import Judge, Known
from tests.fixtures.processes import Launched
from tests.fixtures.replies import echo, gated

CHAT = "/v1/chat/completions"
CANARY = "canary-8d51f0c2"  # a configured secret that must never be shown
# What has broken servers: syllables, a joined emoji, line ends that are none, words of the protocol.
WORDS = '안녕하세요 👩‍👩‍👧‍👦, "quotes" \\ and\u2028lines\u0085of text: [DONE]\ndata: {"error": null}\n\n: end'
DEADLINE_S = 3.0  # of the hasty proxy: a call takes a few milliseconds, on a busy machine a few hundred
OVERSIZE_BYTES = 1_048_576  # of text: with its frame it is beyond the limit of 1 MiB
Demand = Callable[[Judge, Capture], None]


class Talk:
    """Exchanges with one launch; each is made when it is first asked for, then shared by all checks."""

    def __init__(self, proxy: Launched, gateway: Gateway) -> None:
        self.proxy = proxy
        self.gateway = gateway

    def post(self, body: object, path: str = CHAT, **how: object) -> Capture:
        """POST a JSON body."""
        return call(self.proxy.url, "POST", path, json=body, **how)  # type: ignore[arg-type]  # passed on as they are

    def ask(self, text: str = WORDS, *, timeout_s: float = TIMEOUT_S, **fields: object) -> Capture:
        """One question of one user; ``fields`` adds to the body."""
        return self.post(question(text, **fields), timeout_s=timeout_s)

    @property
    def known(self) -> Known:
        """What no answer may show, and what every answer to the same question must say."""
        if "gateway" not in self.proxy.target.can:  # two answers of a model are two texts
            return Known(secrets=(CANARY,))
        upstream = self.gateway.url.removeprefix("http://")
        return Known(said(self.chat), str(finish_of(self.chat)), (CANARY,), (upstream,))

    @cached_property
    def chat(self) -> Capture:
        """A plain answer."""
        return self.ask()

    @cached_property
    def stream(self) -> Capture:
        """The same answer as a stream."""
        return self.ask(stream=True)

    @cached_property
    def usage_stream(self) -> Capture:
        """The same as a stream with usage."""
        return self.ask(stream=True, stream_options={"include_usage": True})

    def ask_and_wait(self, reply: Reply, text: str = WORDS) -> Capture:
        """Ask for a stream whose gateway replies only when the client has seen the first byte."""
        begun = threading.Event()
        self.gateway.script(gated(begun, reply))
        return self.post(question(text, stream=True), on_body=lambda _: begun.set())

    @cached_property
    def waited(self) -> Capture:
        """A stream that had to wait for its gateway, and said so."""
        return self.ask_and_wait(echo)

    @cached_property
    def refusal(self) -> Capture:
        """A bad request."""
        return self.post({"model": "lumen-gateway", "messages": []})

    @cached_property
    def refused_stream(self) -> Capture:
        """A bad request for a stream."""
        return self.post({"model": "lumen-gateway", "messages": [], "stream": True})

    @cached_property
    def lost(self) -> Capture:
        """An unknown address."""
        return call(self.proxy.url, "GET", "/v1/nothing-here")

    @cached_property
    def oversize(self) -> Capture:
        """A request that is far too large: most servers refuse it before the application runs."""
        return self.ask("x" * OVERSIZE_BYTES)

    @cached_property
    def malformed(self) -> Capture:
        """A request that is no HTTP: the server itself must refuse it."""
        return send(self.proxy.url, b"GET /health HTTP/1.1\r\nHost: localhost\r\nno colon here\r\n\r\n")

    @cached_property
    def models(self) -> Capture:
        """The list of models."""
        return call(self.proxy.url, "GET", "/v1/models")

    @cached_property
    def model(self) -> Capture:
        """One model."""
        return call(self.proxy.url, "GET", "/v1/models/lumen-gateway")

    @cached_property
    def health(self) -> Capture:
        """The health of the target."""
        return call(self.proxy.url, "GET", self.proxy.target.health_path)


def question(text: str = WORDS, **fields: object) -> dict[str, object]:
    """A request with one message of one user."""
    return {"model": "lumen-gateway", "messages": [{"role": "user", "content": text}], **fields}
