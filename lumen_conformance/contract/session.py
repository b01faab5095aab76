"""A contract session: the requests of contract tests to one launched target, and the exchanges that tests share."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import cached_property, partial
from typing import Any, Protocol
from urllib.parse import quote

from lumen_conformance.checks.preconditions import require_choices
from lumen_conformance.checks.verdict import Judge, JudgeContext
from lumen_conformance.contract.request_limits import ask_within_limit
from lumen_conformance.gateway.exchange import Exchange, Reply
from lumen_conformance.gateway.replies import echo, gated, stream_in_halves
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http.capture import LAST_CAPTURE
from lumen_conformance.http.client import Capture, Connection, call, send
from lumen_conformance.http.documents import answer_json, assistant_text, choices_in, documents, finish_of, is_stream
from lumen_conformance.targets.endpoint import CHAT, Endpoint
from lumen_conformance.targets.launch import LaunchedTarget
from lumen_conformance.targets.target import MODELS, Target

MODEL = MODELS["lumen"]  # in request bodies; a session replaces it by the model of its target
CANARY = "canary-8d51f0c2"  # a configured secret that no response may contain
# Text that breaks some servers: Korean, a joined emoji, characters that are not line ends, markers of the protocol.
AWKWARD_TEXT = '안녕하세요 👩‍👩‍👧‍👦, "quotes" \\ and\u2028lines\u0085of text: [DONE]\ndata: {"error": null}\n\n: end'
PLAIN_TEXT = "Say hello."  # for servers that fail on `AWKWARD_TEXT`, so that other claims can be tested
SECOND_QUESTION = "What is the capital of France?"  # for models that give no text to the first question
KEY = "sk-lumen-6b1e77"  # the key of the launched proxy with a key
DEADLINE_S = 3.0  # of the proxy with a short deadline: a call takes milliseconds, on a busy machine up to a second
BUFFERED_S = 1.5  # a target that has not forwarded the first content by then buffers; one hop takes milliseconds
FIRST_CONTENT = re.compile(rb'"content"\s*:\s*"[^"]')
OVERSIZE_BYTES = 1_048_576  # of text: the request is larger than the limit of 1 MiB


class ClaimAssertion(Protocol):
    """Assert that a claim holds for a capture.

    ``about``        is appended to what was found
    ``said_mono_s``  see `JudgeContext`
    """

    def __call__(self, judge: Judge, capture: Capture, *, about: str = "", said_mono_s: float | None = None) -> None:
        """Raise `Refuted` or `NotJudged` unless the claim holds; skip the check when the claim does not apply."""
        ...


def fail_after_first_byte(started: threading.Event, reply: Reply) -> Callable[[Exchange], bool]:
    """A callback for `stream_in_halves`: wait until the client has the first byte, at most `BUFFERED_S`, then fail."""

    def midway(exchange: Exchange) -> bool:
        if exchange.hold(started, at_most_s=BUFFERED_S):
            reply(exchange)
        return False

    return midway


def shared_exchange(make: Callable[["ContractSession"], Capture]) -> property:
    """An exchange that is made once for a session; a failed test shows the shared exchange that it has read last."""

    def read(session: "ContractSession") -> Capture:
        return session.once(make.__name__, lambda: make(session))

    return property(read, doc=make.__doc__)


class ContractSession:
    """A launched target with its gateway. Shared exchanges are made when a test first reads them."""

    def __init__(self, server: Endpoint, gateway: ScriptedGateway) -> None:
        self.server = server
        self.gateway = gateway
        self.captures: dict[str, Capture] = {}

    @property
    def target(self) -> Target:
        """The description of the target."""
        return self.server.target

    def call(self, method: str, path: str, **how: Any) -> Capture:  # noqa: ANN401 -- passed on as they are
        """Send one request for the model of the target, within its limit; see ``call`` of the server."""
        return self.call_on(self.server, method, path, **how)

    def call_on(self, server: Endpoint | Connection, method: str, path: str, **how: Any) -> Capture:  # noqa: ANN401 -- same
        """The same on a connection that stays open."""
        sent = {name: self.with_target_model(value) for name, value in how.items()}
        return self.ask_within_limit(partial(server.call, method, path, **sent))

    def ask_within_limit(self, ask: Callable[[], Capture]) -> Capture:
        """Ask; ask again where a foreign target refuses for its limit."""
        return ask() if self.target.profile == "lumen" else ask_within_limit(ask, calls=lambda: len(self.gateway.calls))

    def with_target_model(self, body: Any) -> Any:  # noqa: ANN401 -- any body, any other argument
        """Replace `MODEL` in a request body by the model of the target; return other values unchanged."""
        if isinstance(body, dict) and body.get("model") == MODEL:
            return body | {"model": self.target.model}
        if isinstance(body, bytes):
            return body.replace(f'"{MODEL}"'.encode(), f'"{self.target.model}"'.encode())
        return body

    def post(self, body: object, path: str = CHAT, **how: Any) -> Capture:  # noqa: ANN401 -- same
        """POST a JSON body."""
        return self.call("POST", path, json=body, **how)

    def ask(self, text: str = AWKWARD_TEXT, *, timeout_s: float | None = None, **fields: object) -> Capture:
        """Ask one question; ``fields`` are added to the body."""
        return self.post(question(text, **fields), timeout_s=timeout_s)

    def is_answered(self, capture: Capture, text: str) -> bool:
        """Whether a question is answered: with its text if the gateway of the suite echoes it, else with any choice."""
        if "gateway" in self.target.can:
            return (capture.status, assistant_text(capture)) == (200, text)
        chosen = any(True for document in documents(capture) for _ in choices_in(document))
        return (capture.status, capture.ended) == (200, "complete") and chosen

    def retry_empty_answer(self, capture: Capture) -> Capture:
        """Ask a second question when a model has given no text; otherwise return the capture."""
        if "gateway" in self.target.can or capture.status != 200 or assistant_text(capture):
            return capture
        return self.ask(SECOND_QUESTION, stream=is_stream(capture))

    def with_key(self, authorization: str) -> Capture:
        """Ask with this Authorization header; ``{key}`` is the key, ``{cut}`` the key without its last character."""
        key = self.target.api_key or KEY
        others = [pair for pair in self.target.headers if pair[0].lower() != "authorization"]
        own = [("Authorization", authorization.format(key=key, cut=key[:-1]))] if authorization else []
        body, patience_s = self.with_target_model(question("안녕")), self.target.answer_s
        headers = [*own, *others]
        return self.ask_within_limit(
            partial(call, self.server.url, "POST", CHAT, json=body, headers=headers, timeout_s=patience_s)
        )

    def failing(self, reply: Reply) -> AbstractContextManager[None]:
        """Let the gateway fail with this reply for every request."""
        return self.gateway.replying(reply)

    def report_sections(self) -> Iterator[tuple[str, str]]:
        """Additional sections for the report of a failure: title and text."""
        if isinstance(self.server, LaunchedTarget):
            yield "end of the server's log", self.server.log_tails()

    @property
    def judge_context(self) -> JudgeContext:
        """The secrets and addresses that no answer may contain, and the text that every answer must have."""
        shown = partial(JudgeContext, secrets=(CANARY, *filter(None, [self.target.api_key])), model=self.target.model)
        if "gateway" not in self.target.can:  # a model gives different answers to the same question
            return shown()
        upstream, chat = (self.gateway.url.removeprefix("http://"),), self.chat
        if require_choices(chat):  # without an answer, its text is not known
            return shown(upstream=upstream)
        finish = finish_of(chat)
        return shown(
            upstream=upstream, text=assistant_text(chat) or None, finish=None if finish is None else str(finish)
        )

    def once(self, name: str, make: Callable[[], Capture]) -> Capture:
        """Make an exchange when it is first read, and keep it."""
        if name not in self.captures:
            self.captures[name] = make()
        return LAST_CAPTURE.record(self.captures[name])

    @shared_exchange
    def awkward(self) -> Capture:
        """The answer to `AWKWARD_TEXT`."""
        return self.ask()

    @shared_exchange
    def awkward_stream(self) -> Capture:
        """The same answer as a stream."""
        return self.ask(stream=True)

    @shared_exchange
    def plainer(self) -> Capture:
        """The answer to `PLAIN_TEXT`."""
        return self.ask(PLAIN_TEXT)

    @shared_exchange
    def plainer_stream(self) -> Capture:
        """The same answer as a stream."""
        return self.ask(PLAIN_TEXT, stream=True)

    @cached_property
    def question_text(self) -> str:
        """The question of the shared exchanges: `AWKWARD_TEXT`, or `PLAIN_TEXT` if the target answers only that."""
        awkward = [self.awkward.status == 200, self.awkward_stream.status == 200]
        if all(awkward):
            return AWKWARD_TEXT
        plainer = [self.plainer.status == 200, self.plainer_stream.status == 200]
        return PLAIN_TEXT if sum(plainer) > sum(awkward) else AWKWARD_TEXT

    @property
    def chat(self) -> Capture:
        """A plain answer."""
        found: Capture = self.awkward if self.question_text == AWKWARD_TEXT else self.plainer
        return found

    @property
    def stream(self) -> Capture:
        """The same answer as a stream."""
        found: Capture = self.awkward_stream if self.question_text == AWKWARD_TEXT else self.plainer_stream
        return found

    @shared_exchange
    def usage_stream(self) -> Capture:
        """The same answer as a stream with usage."""
        return self.ask(self.question_text, stream=True, stream_options={"include_usage": True})

    def ask_and_wait(self, reply: Reply, text: str = AWKWARD_TEXT) -> Capture:
        """Ask for a stream; the gateway replies only after the client has the first byte.

        Our own proxy starts a stream before its gateway answers. Other targets forward the first content of the
        gateway's stream, and may retry: the gateway fails every attempt, because a successful retry is no failure.
        """
        started = threading.Event()
        ours = self.target.profile == "lumen"
        whole = gated(started, reply) if ours else stream_in_halves(midway=fail_after_first_byte(started, reply))
        with self.gateway.scripted(whole) if ours else self.failing(whole):
            return self.post(question(text, stream=True), on_body=lambda _: started.set())

    @cached_property
    def slow_stream(self) -> tuple[Capture, float | None]:
        """See `ask_slow_gateway`."""
        return self.ask_slow_gateway()

    def ask_slow_gateway(self, **fields: object) -> tuple[Capture, float | None]:
        """A stream whose gateway sends its last content late, and the monotonic time of that (None: no request)."""
        started = threading.Event()
        said_mono_s: list[float] = []

        def midway(exchange: Exchange) -> bool:
            goes_on = exchange.hold(started, at_most_s=BUFFERED_S)
            said_mono_s.append(time.monotonic())
            return goes_on

        def look(body: bytes) -> None:
            if FIRST_CONTENT.search(body):
                started.set()

        with self.gateway.scripted(stream_in_halves(midway=midway)):
            capture = self.post(question(self.question_text, stream=True, **fields), on_body=look)
        return capture, next(iter(said_mono_s), None)

    @shared_exchange
    def waited(self) -> Capture:
        """A stream that waits for its gateway."""
        return self.ask_and_wait(echo, self.question_text) if self.target.profile == "lumen" else self.slow_stream[0]

    @shared_exchange
    def refusal(self) -> Capture:
        """The response to a bad request."""
        return self.post({"model": MODEL, "messages": []})

    @shared_exchange
    def refused_stream(self) -> Capture:
        """The response to a bad request for a stream."""
        return self.post({"model": MODEL, "messages": [], "stream": True})

    @shared_exchange
    def lost(self) -> Capture:
        """The response to an unknown path."""
        return self.call("GET", "/v1/nothing-here")

    @shared_exchange
    def oversize(self) -> Capture:
        """The response to a request that is too large: most servers refuse it before they call the application."""
        return self.ask("x" * OVERSIZE_BYTES)

    @shared_exchange
    def malformed(self) -> Capture:
        """The response to a request that is not HTTP."""
        return send(self.server.url, b"GET /health HTTP/1.1\r\nHost: localhost\r\nno colon here\r\n\r\n")

    @shared_exchange
    def models(self) -> Capture:
        """The list of models."""
        return self.call("GET", "/v1/models")

    @shared_exchange
    def model(self) -> Capture:
        """One model: the first in the list, because the requested model may not be listed."""
        asked, data = LAST_CAPTURE.capture, answer_json(self.models).get("data")
        first = data[0].get("id") if isinstance(data, list) and data and isinstance(data[0], dict) else None
        LAST_CAPTURE.capture = asked
        return self.call("GET", model_path(first if isinstance(first, str) else self.target.model))

    @shared_exchange
    def health(self) -> Capture:
        """The health of the target."""
        return self.call("GET", self.target.probe_path)


def model_path(name: str) -> str:
    """The path of a model; its name may contain spaces and slashes."""
    return f"/v1/models/{quote(name, safe='', errors='surrogatepass')}"


def question(text: str = AWKWARD_TEXT, **fields: object) -> dict[str, object]:
    """A request with one message of a user, without `stream: false`, which is the default."""
    return {"model": MODEL, "messages": [{"role": "user", "content": text}], **without_default(fields)}


def without_default(fields: dict[str, Any]) -> dict[str, Any]:
    """These fields without `stream: false`: a target that refuses it fails the checks that send it, and no others."""
    return {name: value for name, value in fields.items() if name != "stream" or value is not False}
