"""G14: clients at the same time: nobody waits for the stream of another, and a client that leaves harms nobody else.

The gateway holds an answer until the test releases it. Without a gateway, the model decides how long an answer takes.
"""

import threading
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace

import pytest

from lumen_conformance.checks.catalogue import JUDGES
from lumen_conformance.contract.exchanges import FEW_CLIENTS, STREAMED
from lumen_conformance.contract.expectations import describe, expect_response
from lumen_conformance.contract.held_answers import HeldAnswer, HeldAnswers, leave, release
from lumen_conformance.contract.limits import ask_until_served, is_at_limit
from lumen_conformance.contract.mixed_answers import make_unique
from lumen_conformance.contract.prerequisites import need_chat, need_stream
from lumen_conformance.contract.request_limits import LIMITED
from lumen_conformance.contract.session import FIRST_CONTENT, ContractSession, question
from lumen_conformance.gateway.server import CALLED_S
from lumen_conformance.http.capture import LAST_CAPTURE, Capture
from lumen_conformance.http.client import TIMEOUT_S
from lumen_conformance.http.documents import answer_json, assistant_text, finish_of
from lumen_conformance.registry.declaration import Check, check, check_each
from lumen_conformance.registry.refutation import NotJudged, expect
from lumen_conformance.waiting import observe

# More than the 100 connections of a pool of httpx, and than the 100 to 300 aborts of InternLM/lmdeploy#1788. A target
# without a gateway computes for each client, so a few leave: one blocks the next in InternLM/lmdeploy#548.
ABORTS = 320
SERVED_S = TIMEOUT_S  # for an answer that takes milliseconds unless it waits for another one
NOTICED_S = 1.0  # targets that watch the connections of their clients notice an abort within milliseconds
LEAVES_S = 0.3  # a client of a model leaves after that also without a first byte: its question may wait for the other
OTHER_MODELS = ("gpt-4o-mini", "gpt-4o")  # a gateway answers for any name, and so does a target that forwards it
MODELS = 3  # of the list: some may be unable to chat
NO_CALL = {"lumen": "G1-stream", "openai": "E9"}  # they fail when the gateway is not called for a stream
NOT_WHOLE = ("E3.3", "E6.1", "E10", "D3.1")  # one of them fails when a stream is not whole, also without other clients
INDEPENDENT = "RFC 9110, 3.3: each request is independent of other requests"
ABORTED = {"before-first-byte": True, "in-mid-stream": False}  # whether the answer has begun when the client leaves


@dataclass(frozen=True)
class ConcurrentResponses:
    """A stream with this text that the gateway holds, and what other clients get until it goes on."""

    text: str
    stream: Capture
    plain: Capture
    streamed: Capture
    probe: Capture


@pytest.fixture(scope="module")
def concurrent(proxy: ContractSession) -> ConcurrentResponses:
    """The responses while a stream is held; they are made once for all checks."""
    need_answers_and_streams(proxy)
    held = HeldAnswers()
    own = held.hold(make_unique("one stream"))
    with proxy.failing(held), ThreadPoolExecutor(4) as pool:
        stream = open_stream(proxy, own, pool)
        plain = pool.submit(proxy.ask, make_unique("one stream"), timeout_s=SERVED_S)
        streamed = pool.submit(proxy.ask, make_unique("one stream"), stream=True, timeout_s=SERVED_S)
        probe = pool.submit(proxy.call, "GET", proxy.target.probe_path, timeout_s=SERVED_S)
        wait([plain, streamed, probe])  # each has its own time-out
        own.released.set()
    need_call(proxy, own, stream.result())
    return ConcurrentResponses(own.text, stream.result(), plain.result(), streamed.result(), probe.result())


def open_stream(proxy: ContractSession, own: HeldAnswer, pool: Executor) -> Future[Capture]:
    """Ask for a stream that the gateway holds; wait until it has the question, and the client the first content."""
    came, forwarded = threading.Event(), is_forwarded(proxy)

    def look(body: bytearray) -> None:
        if FIRST_CONTENT.search(body):
            came.set()

    patience_s = CALLED_S + SERVED_S + proxy.target.answer_s
    asked = question(own.text, stream=True)
    stream = pool.submit(proxy.post, asked, on_body=look, timeout_s=patience_s)
    begun = came if forwarded else own.begun
    observe("the stream is open", lambda: begun.is_set() or stream.done(), within_s=CALLED_S)
    return stream


def need_answers_and_streams(proxy: ContractSession) -> None:
    """Raise `NotJudged` unless a plain answer and a stream have choices: fixtures of a module come before others."""
    need_chat(proxy, choices=True)
    need_stream(proxy, choices=True)


def need_call(proxy: ContractSession, held: HeldAnswer, capture: Capture) -> None:
    """Raise `NotJudged` when the gateway did not get the question, so that it could not hold the answer."""
    if not held.begun.is_set():
        raise NotJudged(f"the gateway is not called: {describe(capture)}", (NO_CALL[proxy.target.profile],))


def is_forwarded(proxy: ContractSession) -> bool:
    """Whether the content of a stream is forwarded as it arrives; the Lumen Gateway has no streams."""
    if proxy.target.profile == "lumen":
        return False
    capture, said_mono_s = proxy.slow_stream
    verdict = JUDGES["E9"](capture, replace(proxy.judge_context, said_mono_s=said_mono_s))
    return said_mono_s is not None and not (verdict.failure or verdict.unjudged)


def need_forwarding(proxy: ContractSession) -> None:
    """Raise `NotJudged` when a stream of the gateway is not forwarded as it arrives: no client can leave amid it."""
    if not is_forwarded(proxy):
        raise NotJudged("a stream of the gateway is not forwarded before its end", ("E9",))


def find_lacking(capture: Capture, text: str) -> str:
    """What a stream with this text lacks; empty when it is whole."""
    found = {
        f"status 200, but {capture.status}": capture.status == 200,
        "an end": capture.ended == "complete",
        f"the end of its text {text!r}": text in assistant_text(capture),
        "a finish_reason": finish_of(capture) is not None,
    }
    return ", ".join(name for name, holds in found.items() if not holds)


def expect_undisturbed(proxy: ContractSession, capture: Capture, text: str, *, at: str) -> None:
    """A stream is whole; not judged when the stream of a single client is not whole either."""
    LAST_CAPTURE.record(capture)
    echoed = "gateway" in proxy.target.can  # a model says what it wants
    lacking = find_lacking(capture, text if echoed else "")
    if lacking and find_lacking(proxy.stream, proxy.question_text if echoed else ""):
        raise NotJudged("the stream of a single client is not whole", NOT_WHOLE)
    LAST_CAPTURE.record(capture)
    expect(
        not lacking, "the whole stream, as a single client gets it", f"it lacks {lacking}; {describe(capture)}", at=at
    )


def expect_answered(capture: Capture, *, at: str) -> None:
    """A question is answered; other checks read the answer."""
    answered = capture.status == 200 and capture.ended != "timeout"
    expect(answered, "an answer with status 200", describe(capture), at=at)


def skip_limited(capture: Capture) -> None:
    """Skip a check when the target refuses a question while another client is served."""
    if is_at_limit(capture):
        pytest.skip(f"the target refuses another request with {capture.status}: it has a limit")


@check(
    "G14-health",
    tier="S",
    marks=(pytest.mark.needs("gateway"), pytest.mark.needs("health")),
    source="waybarrios/vllm-mlx#261: no health while a stream runs, and a monitor restarts the server",
)
def test_health_during_a_stream(concurrent: ConcurrentResponses, proxy: ContractSession) -> None:
    """The health is answered while another client's stream is open; a limit of all requests answers 429."""
    alone = proxy.health.status
    found = LAST_CAPTURE.record(concurrent.probe)
    if found.status == LIMITED:  # a 503 would tell a monitor that the server is down
        skip_limited(found)
    expect_response(found, found.status == alone, f"status {alone} within {SERVED_S:g} s, as without a stream")


@STREAMED
@check("G14-chat", tier="S", marks=(pytest.mark.needs("gateway"),), source=f"{INDEPENDENT}; waybarrios/vllm-mlx#261")
def test_chat_during_a_stream(stream: bool, concurrent: ConcurrentResponses) -> None:  # noqa: FBT001 -- a row
    """A question is answered while another client's stream is open; a limit answers 429 or 503."""
    capture = LAST_CAPTURE.record(concurrent.streamed if stream else concurrent.plain)
    skip_limited(capture)
    expect_answered(capture, at="while another client's stream is open")


@check("G14-stream-goes-on", marks=(pytest.mark.needs("gateway"),), source=INDEPENDENT)
def test_stream_goes_on(concurrent: ConcurrentResponses, proxy: ContractSession) -> None:
    """A stream is whole although other clients ask until it goes on."""
    expect_undisturbed(proxy, concurrent.stream, concurrent.text, at="after two other questions")


def find_other_model(proxy: ContractSession) -> str:
    """Another model that answers; skips the check when there is none."""
    data = answer_json(proxy.models).get("data") if "models" in proxy.target.can else None
    listed = [str(one.get("id")) for one in data if isinstance(one, dict)] if isinstance(data, list) else []
    for name in [each for each in (*listed[:MODELS], *OTHER_MODELS) if each != proxy.target.model]:
        if proxy.post({**question(make_unique("another model")), "model": name}).status == 200:
            return name
    pytest.skip("no other model answers")


@check(
    "G14-other-model",
    marks=(pytest.mark.needs("gateway"), pytest.mark.profile("openai")),
    source=f"{INDEPENDENT}; lemonade-sdk/lemonade#1836: answers are cut when another model is loaded",
)
def test_stream_beside_another_model(proxy: ContractSession) -> None:
    """A stream is whole although another client asks another model while it is open."""
    need_answers_and_streams(proxy)
    other, held = find_other_model(proxy), HeldAnswers()
    own, asked = held.hold(make_unique("one model")), question(make_unique("another model"))
    with proxy.failing(held), ThreadPoolExecutor(1) as pool:
        stream = open_stream(proxy, own, pool)
        proxy.post({**asked, "model": other}, timeout_s=SERVED_S)
        own.released.set()
    need_call(proxy, own, stream.result())
    expect_undisturbed(proxy, stream.result(), own.text, at=f"after a question to the model {other}")


@check_each("silent", {f"G14-abort-{name}": silent for name, silent in ABORTED.items()}, source=(
    f"{INDEPENDENT}; ikawrakow/ik_llama.cpp#1929: a client that leaves ends the answer of another"
))  # fmt: skip
def test_stream_during_an_abort(silent: bool, proxy: ContractSession) -> None:  # noqa: FBT001 -- a row
    """A stream is whole although another client leaves ({row}) while it is open."""
    need_answers_and_streams(proxy)
    if "gateway" in proxy.target.can:
        capture, text = hold_during_an_abort(proxy, silent=silent)
    else:
        capture, text = ask_during_an_abort(proxy), ""
    expect_undisturbed(proxy, capture, text, at="after another client has left")


def hold_during_an_abort(proxy: ContractSession, *, silent: bool) -> tuple[Capture, str]:
    """A stream that the gateway holds until another client has left, and its text."""
    if not silent:
        need_forwarding(proxy)
    held = HeldAnswers()
    own, other = held.hold(make_unique("stay")), held.hold(make_unique("leave"), silent=silent)
    with proxy.failing(held), ThreadPoolExecutor(2) as pool:
        stream = open_stream(proxy, own, pool)
        left = leave(proxy, other, pool, within_s=SERVED_S)
        release(other, noticed_within_s=NOTICED_S if silent else 0, within_s=SERVED_S)
        proxy.call("GET", proxy.target.probe_path, timeout_s=SERVED_S)  # after it, most targets have noticed the abort
        own.released.set()
    need_call(proxy, own, stream.result())
    skip_limited(left)
    return stream.result(), own.text


def ask_during_an_abort(proxy: ContractSession) -> Capture:
    """A stream of a model; when its first content has come, another client asks and leaves."""
    left: list[Capture] = []

    def leave_once(body: bytearray) -> None:
        if not left and FIRST_CONTENT.search(body):
            left.append(proxy.post(question(stream=True), on_body=bool, timeout_s=LEAVES_S))

    return proxy.post(question(proxy.question_text, stream=True), on_body=leave_once)


AFTER_ABORTS = f"The next question is answered after {ABORTS} clients have left ({{}}), {FEW_CLIENTS} without a gateway"


@check_each("silent", {
    Check(f"G14-after-aborts-{name}", claim=AFTER_ABORTS.format(name.replace("-", " "))): silent
    for name, silent in ABORTED.items()
}, source=(
    "InternLM/lmdeploy#1788 stalls after 100 to 300 aborts, #548 after one; "
    "opensandbox-group/OpenSandbox#1488 loses its connections"
))  # fmt: skip
def test_after_aborts(silent: bool, proxy: ContractSession) -> None:  # noqa: FBT001 -- a row
    """The next question is answered after many clients have left ({row})."""
    need_answers_and_streams(proxy)
    left = abort_held(proxy, silent=silent) if "gateway" in proxy.target.can else abort_some(proxy)
    capture = ask_until_served(proxy, make_unique("next"), within_s=SERVED_S)  # others may still be in progress
    if proxy.target.url:
        skip_limited(capture)
    expect_answered(capture, at=f"after {left} clients that have left")


def abort_held(proxy: ContractSession, *, silent: bool) -> int:
    """Let clients leave until `ABORTS` have left, or one waits in vain; return their number."""
    if not silent:
        need_forwarding(proxy)
    with ThreadPoolExecutor(1) as pool:
        for number in range(ABORTS):
            held = HeldAnswer(make_unique("leave"), silent)
            with proxy.failing(held):
                capture = leave(proxy, held, pool, within_s=CALLED_S)
                release(held, noticed_within_s=0, within_s=SERVED_S)
            if capture.ended == "timeout" or (not held.begun.is_set() and not is_at_limit(capture)):
                LAST_CAPTURE.record(capture)
                return number
    return ABORTS


def abort_some(proxy: ContractSession) -> int:
    """Let a few clients of a model leave at their first content."""
    for _ in range(FEW_CLIENTS):
        proxy.post(question(proxy.question_text, stream=True), on_body=FIRST_CONTENT.search)
    return FEW_CLIENTS
