"""Scenario 4: the server answers health and chats, in the right format and in time.

Setup: a server, and a scripted gateway that repeats the question. The first question has a nonce of this run, so that a
cached answer fails where the server forwards, and the gateway counts its requests. A server without a gateway only has
to answer. The warm questions have texts of every length modulo four in three scripts, as token counts are often
rounded. Checks such as ``4.1.2-schema`` are about our own proxy only.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http.capture import Capture
from lumen_conformance.registry import MeasureFixture, NotJudged, check, expect
from lumen_conformance.schemas import find_breaches
from lumen_conformance.stages.evidence import stage
from lumen_conformance.stages.observations import (
    StartObservation,
    describe_response,
    observe_start,
    parse_json,
    read_text,
)
from lumen_conformance.targets.launch import Launcher
from lumen_conformance.targets.target import Target
from lumen_conformance.waiting import observe

EXTRA_S = 5.0  # beyond the limit, so that a slow answer is measured instead of missed
WARM_CALLS = 20
# A model on a processor takes up to a minute for one answer: after this time no more of the twenty are sent.
WARM_CALLS_S = 90.0
# A supervisor that waits may be seen while it waits for a processor. It is looked at again, until the looks agree or
# this time ends; one that polls is never at rest.
REST_S = 5.0
SCRIPTS = ("latin letters ", "한글로 된 질문 ", "🙂🎉 ")
LENGTHS = range(40, 44)  # characters: each remainder of a division by four
CANARY = "canary-4f1c6e0b9d"  # a secret that must never be shown
HEALTH, CHAT = ("4.1-get-health", "4.2-post-chat")
FORWARDS = pytest.mark.needs("gateway")
OURS = pytest.mark.profile("lumen")


def text_of_length(script: str, length: int) -> str:
    """Return a text of this length in a script, without a blank at the end."""
    return (script * length)[: length - 1] + script[0]


WARM_TEXTS = tuple(text_of_length(script, length) for script in SCRIPTS for length in LENGTHS)


@dataclass(frozen=True)
class WorkEvidence:
    """The evidence; None if an earlier step failed.

    ``answer_budget_s``  seconds that an answer of this target may take
    ``free_calls``       requests to the gateway before the answer to health, without chats
    ``paid_by_health``   chats that the gateway received for one request for health
    ``paid_by_chat``     messages that the gateway received for the first chat
    ``chats``            the answers, the cold one first
    ``own_ms``           the server's own share of the time of each answer, where the answer has it
    ``events``           the names of the events in the journal before the first question
    ``at_rest``          whether the launched process waited, in looks after each answer and after the last one
    """

    start: StartObservation
    answer_budget_s: float
    nonce: str = ""
    health: Capture | None = None
    free_calls: int = 0
    paid_by_health: int = 0
    paid_by_chat: tuple[str, ...] = ()
    chats: tuple[Capture, ...] = ()
    own_ms: tuple[float | None, ...] = ()
    events: tuple[str, ...] = ()
    at_rest: tuple[bool, ...] = ()


@stage(scenario=4)
def served(launch: Launcher, gateway: ScriptedGateway, target: Target) -> WorkEvidence:
    """Send a cold question, then twenty warm ones."""
    secrets: dict[str, str | None] = {"CLOUD_AI_API_KEY": CANARY}
    proxy = launch(ready=False, gateway=gateway, env=secrets)
    start = observe_start(proxy, target.start_s)
    if start.problem:
        return WorkEvidence(start, target.answer_s)
    nonce, timeout_s = uuid.uuid4().hex, target.answer_s + EXTRA_S
    events = tuple(event.name for event in proxy.journal.events()) if "journal" in target.can else ()
    paid_before = len(gateway.chats)
    health = proxy.health().capture
    paid_by_health = len(gateway.chats) - paid_before
    free_calls, paid_before = len(gateway.calls) - len(gateway.chats), len(gateway.chats)
    chats = [proxy.chat(f"질문 {nonce}", timeout_s=timeout_s)]
    paid_by_chat = tuple(call.message for call in gateway.chats[paid_before:])
    warm_until_s, at_rest = time.monotonic() + WARM_CALLS_S, [proxy.ref.is_at_rest()]
    while len(chats) <= WARM_CALLS and (len(chats) == 1 or time.monotonic() < warm_until_s):
        chats.append(proxy.chat(WARM_TEXTS[len(chats) % len(WARM_TEXTS)], timeout_s=timeout_s))
        at_rest.append(proxy.ref.is_at_rest())

    def is_mostly_at_rest() -> bool:
        at_rest.append(proxy.ref.is_at_rest())
        return mostly(at_rest)

    observe("the launched process waits in most of the looks", is_mostly_at_rest, within_s=REST_S)
    return WorkEvidence(
        start=start,
        answer_budget_s=target.answer_s,
        nonce=nonce,
        health=health,
        free_calls=free_calls,
        paid_by_health=paid_by_health,
        paid_by_chat=paid_by_chat,
        chats=tuple(chats),
        own_ms=tuple(map(own_share, chats)),
        events=events,
        at_rest=tuple(at_rest),
    )


@check(HEALTH, title="GET /health", source="docs/guide/recovery.md: Scenario 4; CWE-209: no secret in a response")
@pytest.mark.needs("health")
def test_health(served: WorkEvidence) -> None:
    """The request for health is answered with status 200, without a secret of the environment."""
    health = health_of(served)
    expect(health.status == 200, f"GET {health.url} is answered with status 200", describe_response(health))
    expect(CANARY not in health.text, "no secret in the answer", "the value of CLOUD_AI_API_KEY is in it")


@check("4.1.1-free", source="docs/protocol/lumen.md: a chat is POST /chat, health is GET /health")
@pytest.mark.needs("health", "gateway")
def test_health_is_free(served: WorkEvidence) -> None:
    """The request for health causes no chat at the gateway."""
    health_of(served)
    expect(served.paid_by_health == 0, "no chat at the gateway", f"{served.paid_by_health} chats")


@check("4.1.2-schema", source="lumen_conformance/schemas/proxy-health.schema.json; docs/behaviour.md: /health")
@OURS
def test_health_schema(served: WorkEvidence) -> None:
    """/health has its schema and the status ok, and causes no request to the gateway at all."""
    body = parse_json(health_of(served))
    wrong = [f"{'.'.join(map(str, breach.path))}: {breach.text}" for breach in find_breaches("proxy-health", body)]
    expect(not wrong, "the schema proxy-health", "; ".join(wrong))
    status = body.get("status") if isinstance(body, dict) else None
    expect(status == "ok", "status 'ok'", f"status {status!r}")
    expect(served.free_calls == 0, "no request to the gateway before the first chat", f"{served.free_calls} requests")


@check(CHAT, title="POST /v1/chat/completions", source="docs/guide/recovery.md: Scenario 4")
def test_chat(served: WorkEvidence) -> None:
    """The launched server answers chats with status 200 and a text."""
    started = f"ready within {served.start.elapsed_s:.1f} s, then a chat is answered"
    expect(not served.start.problem, started, served.start.problem)
    for number, chat in enumerate(served.chats, 1):
        which = f"chat {number} of {len(served.chats)}"
        expect(chat.status == 200, f"{which} is answered with status 200", describe_response(chat))
    texts = [read_text(chat) for chat in served.chats]
    expect(any(texts), "a chat is answered with a text", f"no text in {len(texts)} answers, {texts[0]!r} in the first")


@check("4.2.1-forwarded", source="docs/guide/recovery.md: With a gateway")
@FORWARDS
def test_chat_is_forwarded(served: WorkEvidence) -> None:
    """A chat causes one request to the gateway, and the answer repeats the question, as the gateway does."""
    text, count = read_text(chats_of(served)[0]), len(served.paid_by_chat)
    expect(count == 1, "one request to the gateway for one chat", f"{count} requests")
    question = served.paid_by_chat[0]
    expect(served.nonce in question, f"a request to the gateway with the word {served.nonce}", repr(question))
    expect(served.nonce in text, f"an answer with the word {served.nonce}, which the gateway repeats", repr(text))


@check(
    "4.3-openai-format",
    title="OpenAI 형식 검증",
    source="openapi.yaml: CreateChatCompletionResponse and CompletionUsage",
)
def test_format(served: WorkEvidence) -> None:
    """Each answer is a chat completion by its JSON Schema, and the total of its usage is the sum of the parts."""
    for number, chat in enumerate(chats_of(served), 1):
        expect_schema(chat, f"answer {number}")
        expect_sum(chat, f"answer {number}")


@check("4.4-response-time", title="응답 시간 제한 이내", source="docs/guide/recovery.md: Scenario 4")
def test_response_time(served: WorkEvidence, measure: MeasureFixture) -> None:
    """The cold answer and the slowest of up to twenty warm ones arrive within the time limit of an answer."""
    cold_s, *warm_s = [chat.elapsed_s for chat in chats_of(served)]
    budget_s = served.answer_budget_s
    worst_s = max(cold_s, *warm_s)
    measure(worst_s, "s", budget_s)
    measure(cold_s, "s", label="cold")
    measure(max(warm_s), "s", label=f"worst of {len(warm_s)} warm ones")
    which = "the cold one" if cold_s == worst_s else f"warm answer {warm_s.index(worst_s) + 1}"
    expect(worst_s < budget_s, f"each answer within {budget_s:g} s", f"{which} took {worst_s:.2f} s")


@check("4.4.1-share", source="docs/behaviour.md: lumen_metadata, durations")
@OURS
def test_own_share(served: WorkEvidence, measure: MeasureFixture) -> None:
    """Each answer has the proxy's own share of its time."""
    chats_of(served)
    shares_ms = [share_ms for share_ms in served.own_ms if share_ms is not None]
    missing = len(served.own_ms) - len(shares_ms)
    expect(not missing, "a number in lumen_metadata.overhead_ms of each answer", f"none in {missing} answers")
    measure(shares_ms[0] / 1000, "s", label="the proxy's own share of the cold one")
    measure(max(shares_ms[1:]) / 1000, "s", label="its worst share of a warm one")


def expect_schema(chat: Capture, which: str) -> None:
    """Expect a chat completion by its JSON Schema."""
    for breach in find_breaches("openai-chat-answer", parse_json(chat)):
        where = ".".join(map(str, breach.path)) or "the whole answer"
        expect(False, f"{which} has the JSON Schema of a chat completion", f"{where}: {breach.text}")  # noqa: FBT003


def expect_sum(chat: Capture, which: str) -> None:
    """Expect a total of the usage that is the sum of its parts."""
    usage = parse_json(chat)["usage"]
    prompt, completion, total = (usage[f"{name}_tokens"] for name in ("prompt", "completion", "total"))
    expected = f"{which} has a total_tokens of {prompt} + {completion} = {prompt + completion}, prompt and completion"
    found = f"total_tokens {total}, for {len(read_text(chat))} characters of text"
    expect(total == prompt + completion, expected, found)


@check("4.5-journal-of-a-start", source="docs/behaviour.md: Instances")
@pytest.mark.needs("journal")
def test_journal_of_a_start(served: WorkEvidence) -> None:
    """The journal of a start has started, worker_spawned and ready, in this order."""
    health_of(served)
    expected = ("started", "worker_spawned", "ready")
    expect(served.events[:3] == expected, f"the events {', '.join(expected)}", ", ".join(served.events))


@check("4.6-supervisor-waits", source="proc_pid_stat(5): state S sleeps, R runs or waits for a processor")
@pytest.mark.needs("journal")
def test_supervisor_waits(served: WorkEvidence) -> None:
    """The supervisor waits for events, also while chats are answered: in most of the looks it does not run."""
    health_of(served)
    rested, looks = sum(served.at_rest), len(served.at_rest)
    expect(mostly(served.at_rest), f"it waits in more than half of {looks} looks", f"in {rested} of them")


def mostly(looks: Sequence[bool]) -> bool:
    """Return whether more than half of them are true."""
    return sum(looks) > len(looks) / 2


def health_of(served: WorkEvidence) -> Capture:
    """Return the answer to the request for health; without a start it is not judged."""
    if served.health is None:
        raise NotJudged("the server was never ready", (CHAT,))
    return served.health


def chats_of(served: WorkEvidence) -> tuple[Capture, ...]:
    """Return the answers to the chats; errors, or answers without any text, are not judged further."""
    if not served.chats or {chat.status for chat in served.chats} != {200} or not any(map(read_text, served.chats)):
        raise NotJudged("chats are not answered", (CHAT,))
    return served.chats


def own_share(answer: Capture) -> float | None:
    """Return the time that the proxy took for itself, in milliseconds."""
    try:
        share_ms = parse_json(answer)["lumen_metadata"]["overhead_ms"]
    except (KeyError, TypeError):
        return None
    return float(share_ms)
