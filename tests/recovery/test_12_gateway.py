"""Scenario 12: the gateway fails in every way, and more chats come than it may get; the proxy recovers by itself.

Setup of the outages: a scripted gateway that fails in one way for one chat, and answers the next. Of the breaker: a
gateway that answers with 500, then holds what it gets, so that the number of calls at the same time is known. Of the
fallback: a second gateway that answers as Cloud AI.

Setup of the crowd: two hundred clients that send a chat at the same time, a proxy with a limit of eight gateway calls
and a queue of sixteen, and a gate at the gateway. The gate opens after all other chats were refused and /health was
answered, so the proxy is certainly full then.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.registry import MeasureFixture, NotJudged, check, check_each, expect
from lumen_conformance.stages.breaker import CROWD as PROBES
from lumen_conformance.stages.breaker import Crowd, Failing, ask_crowd, fail_until_refused
from lumen_conformance.stages.crowd import CROWD, LIMIT, QUEUE, CrowdEvidence, send_crowd
from lumen_conformance.stages.evidence import stage
from lumen_conformance.stages.fallback import FallbackEvidence, ask_with_fallback
from lumen_conformance.stages.outages import DNS, KINDS, SLOW, ChatAnswer, Outage, Probe, stage_outages, status
from lumen_conformance.stages.stage_steps import StageStep
from lumen_conformance.targets.launch import Launcher
from lumen_conformance.targets.target import Target

OURS = pytest.mark.needs("journal")
FORWARDS = pytest.mark.needs("gateway")
FORWARDS_HEALTHY = pytest.mark.needs("gateway", "health")
HEALTH_BUDGET_S = 1.0  # check 1.2: liveness calls no gateway and waits for no other request
DEADLINE_S = 3.0  # of a call: long for an answer of this gateway, which takes milliseconds, and short for a test
LATE_S = 5.0  # from a deadline to its answer, on a machine that is busy with other workers
NO_BREAKER = {"LUMEN_BREAKER_FAILURES": "1000"}
ALONE = {"LUMEN_STANDBY": "0"}  # no worker is killed here
OUTAGES = {"LUMEN_TIMEOUT_S": f"{DEADLINE_S:g}", "LUMEN_MAX_CONCURRENCY": "16", **NO_BREAKER}
BREAKER = {"LUMEN_BREAKER_FAILURES": "3", "LUMEN_BREAKER_OPEN_S": "1", **ALONE}
FAILURES = 3


@stage(scenario=12, needs=("journal",))
def crowd(launch: Launcher, gateway: ScriptedGateway) -> CrowdEvidence:
    """Send two hundred chats; when the proxy is full and the rest is refused, request /health, then open the gate."""
    return send_crowd(launch, gateway)


@check(
    "12.1-answered-or-refused",
    title="정상 응답 또는 429",
    source="RFC 6585, 4; RFC 9110, 10.2.3; docs/behaviour.md: Gateway calls",
)
@OURS
def test_nobody_hangs(crowd: CrowdEvidence, measure: MeasureFixture) -> None:
    """Each of two hundred chats is answered, or refused with 429 and Retry-After; none hangs and none is lost."""
    by_status = {status: [c for c in crowd.answers if c.status == status] for status in (200, 429)}
    measure(len(by_status[200]), "answered", label="answered")
    assert len(by_status[200]) + len(by_status[429]) == len(crowd.answers) == CROWD
    assert all((answer.header("retry-after") or "").isdigit() for answer in by_status[429])
    assert len(by_status[200]) == LIMIT + QUEUE


@check("12.2-limit-holds", title="동시 호출 한도 준수", source="docs/behaviour.md: Gateway calls")
@OURS
def test_limit_holds(crowd: CrowdEvidence, measure: MeasureFixture) -> None:
    """The gateway gets at most eight chats at once, and none for a request that is refused."""
    assert crowd.full
    measure(crowd.asked_at_once, "at once", LIMIT)
    assert (crowd.asked_at_once, crowd.asked) == (LIMIT, LIMIT + QUEUE)


@check(
    "12.3-health-when-full",
    title="포화 상태에서의 /health 응답",
    source="docs/behaviour.md: /health; Kubernetes, liveness probes: timeoutSeconds is 1 by default",
)
@OURS
def test_health_when_full(crowd: CrowdEvidence, measure: MeasureFixture) -> None:
    """While limit and queue are full, /health answers within one second."""
    assert crowd.full
    assert crowd.health
    measure(crowd.health.capture.elapsed_s, "s", HEALTH_BUDGET_S, headline=True)
    assert crowd.health.status == 200
    assert crowd.health.capture.elapsed_s < HEALTH_BUDGET_S


@dataclass(frozen=True)
class OutageEvidence(StageStep):
    """The evidence: the outages by kind, the probes meanwhile, and which worker answered before and after."""

    health_budget_s: float
    outages: dict[str, Outage]
    probes: tuple[Probe, ...]
    unresolved: ChatAnswer
    pids: tuple[int, int]
    restarts: int


@stage(scenario=12, needs=("gateway",))
def outages(launch: Launcher, gateway: ScriptedGateway, target: Target) -> OutageEvidence:
    """Let the gateway fail in each way and work again, beside a launch whose gateway has an unknown name."""
    proxy = launch(gateway=gateway, env=OUTAGES)
    before = proxy.health().pid
    found, probes = stage_outages(proxy, gateway)
    health = proxy.health()
    unresolved = launch(gateway="http://gateway.invalid", env=OUTAGES | ALONE)
    return OutageEvidence(
        health_budget_s=target.answer_s if target.foreign else HEALTH_BUDGET_S,
        outages=found,
        probes=probes,
        unresolved=ChatAnswer.of(unresolved.chat("이름을 찾을 수 없는 게이트웨이")),
        pids=(before, health.pid),
        restarts=health.restarts,
    )


@check_each(
    "kind",
    {f"12.4-error-{kind}": kind for kind in (*KINDS, DNS)},
    source="RFC 9110, 15.6: the server is aware that it has erred; docs/guide/recovery.md: Scenario 12",
)
@FORWARDS
def test_outage_is_an_error(outages: OutageEvidence, target: Target, kind: str) -> None:
    """While the gateway fails ({row}), a chat ends with an error status, and never with an answer."""
    answer = outages.unresolved if kind == DNS else outages.outages[kind].during
    expect(not answer.text, "no answer that the gateway has not given", answer.described)
    if kind not in SLOW or not target.foreign:  # other servers have longer deadlines
        expect((answer.status or 0) >= 400, "an error status", answer.described)


@check_each(
    "kind",
    {f"12.5-back-{kind}": kind for kind in KINDS},
    source="docs/behaviour.md: Gateway calls; docs/guide/recovery.md: Scenario 12",
)
@FORWARDS
def test_next_chat_is_answered(outages: OutageEvidence, kind: str) -> None:
    """After the gateway has failed ({row}) and works again, the next chat is answered with its text."""
    after = outages.outages[kind].after
    expect(after.status == 200 and kind in after.text, "status 200 and the text of the gateway", after.described)


@check("12.6-at-once", source="docs/behaviour.md: Gateway calls, LUMEN_TIMEOUT_S")
@OURS
def test_errors_come_at_once(outages: OutageEvidence, measure: MeasureFixture) -> None:
    """An error of the gateway is forwarded before the deadline of the call, and a slow gateway ends at it."""
    slowest_s = max(outages.outages[kind].during.elapsed_s for kind in SLOW)
    measure(slowest_s, "s", DEADLINE_S + LATE_S)
    for kind, outage in outages.outages.items():
        budget_s = DEADLINE_S + LATE_S if kind in SLOW else DEADLINE_S
        found = f"{kind}: {outage.during.elapsed_s:.2f} s"
        expect(outage.during.elapsed_s < budget_s, f"an error within {budget_s:g} s", found)


@check("12.7-written-once", source="docs/behaviour.md: Gateway calls: what may have been answered is never sent twice")
@OURS
def test_nothing_is_sent_twice(outages: OutageEvidence) -> None:
    """Each chat is written to the gateway at most once, whatever the gateway does with it."""
    twice = {kind: outage.written for kind, outage in outages.outages.items() if outage.written > 1}
    expect(not twice, "at most one call of the gateway for each chat", f"calls: {twice}")
    if not any(outage.written for outage in outages.outages.values()):
        raise NotJudged("no chat was written to the gateway", ("12.5-back-refused",))


@check(
    "12.8-health-throughout",
    source="docs/behaviour.md: /health; Kubernetes, liveness probes: timeoutSeconds is 1 by default",
)
@FORWARDS_HEALTHY
def test_health_throughout(outages: OutageEvidence, measure: MeasureFixture) -> None:
    """During all outages the probe is answered that the server is ready, within its time limit."""
    budget_s = outages.health_budget_s
    measure(max(probe.elapsed_s for probe in outages.probes), "s", budget_s, headline=True)
    bad = [f"ready {probe.ready} after {probe.elapsed_s:.2f} s" for probe in outages.probes]
    bad = [text for text, probe in zip(bad, outages.probes, strict=True) if not is_healthy(probe, budget_s)]
    expect(not bad, f"{len(outages.probes)} probes answered within {budget_s:g} s", "; ".join(bad))


def is_healthy(probe: Probe, budget_s: float) -> bool:
    """Return whether a probe was answered in time that the server is ready."""
    return probe.ready and probe.elapsed_s < budget_s


@check("12.9-same-worker", source="docs/adr/0003-supervisor-holds-the-socket.md: only the end of a worker is a restart")
@OURS
def test_no_restart(outages: OutageEvidence) -> None:
    """The worker that answered before the outages answers after them, without a restart."""
    before, after = outages.pids
    expect(after == before, f"the worker with pid {before}", f"pid {after}")
    expect(outages.restarts == 0, "no restart", f"{outages.restarts} restarts")


@dataclass(frozen=True)
class BreakerEvidence:
    """The evidence: chats to a gateway that fails, its probe, which fails too, and chats when it works again."""

    opened: Failing
    half_open: Crowd
    reopened: Failing
    recovered: Crowd
    closed: Crowd


@stage(scenario=12, needs=("journal",))
def breaker(launch: Launcher, gateway: ScriptedGateway) -> BreakerEvidence:
    """Let the gateway fail until the breaker opens, fail its probe, then let it work again."""
    proxy = launch(gateway=gateway, env=BREAKER)
    opened = fail_until_refused(proxy, gateway)
    half_open = ask_crowd(proxy, gateway, then=status(500))
    reopened = fail_until_refused(proxy, gateway)
    return BreakerEvidence(opened, half_open, reopened, ask_crowd(proxy, gateway), ask_crowd(proxy, gateway))


BREAKER_RULE = "docs/behaviour.md: the breaker opens after failures in a row; exactly one call decides"


@check("12.10-breaker-opens", source=BREAKER_RULE)
@OURS
def test_breaker_opens(breaker: BreakerEvidence) -> None:
    """After three failures in a row a chat is refused with 503 and circuit_open, without a call of the gateway."""
    refusal = breaker.opened.refusal
    expect(
        refusal is not None, "a refusal with circuit_open", f"{breaker.opened.forwarded} failing chats, none refused"
    )
    assert refusal  # it is there when the claim above holds
    expect(refusal.status == 503, "status 503", refusal.described)
    found = f"after {breaker.opened.forwarded} failures, with {breaker.opened.asked_by_it} calls"
    expect(breaker.opened.forwarded >= FAILURES and not breaker.opened.asked_by_it, "a refusal without a call", found)


@check("12.11-one-probe", source=BREAKER_RULE)
@OURS
def test_one_probe(breaker: BreakerEvidence) -> None:
    """When a probe is allowed, exactly one of several chats at the same time reaches the gateway."""
    require_open(breaker)
    crowd = breaker.half_open
    expect(crowd.allowed, "/ready says that a chat is allowed again", "it does not")
    expect(crowd.forwarded == 1, f"one of {PROBES} chats at the gateway", f"{crowd.forwarded} at the same time")
    codes = sorted({answer.code for answer in crowd.others})
    expect(codes == ["circuit_open"], "the others are refused with circuit_open", f"codes {codes}")


@check("12.12-failed-probe", source=BREAKER_RULE)
@OURS
def test_failed_probe_opens_again(breaker: BreakerEvidence) -> None:
    """After a failed probe chats are refused again, without three more failures."""
    require_open(breaker)
    again = breaker.reopened
    found = f"{again.forwarded} failing chats at the gateway, refusal: {again.refusal is not None}"
    expect(again.refusal is not None and again.forwarded < FAILURES, f"a refusal before {FAILURES} failures", found)


@check("12.13-breaker-closes", source=BREAKER_RULE)
@OURS
def test_breaker_closes(breaker: BreakerEvidence) -> None:
    """After a probe that is answered all chats at the same time reach the gateway and are answered."""
    require_open(breaker)
    crowd = breaker.closed
    found = f"{crowd.forwarded} at the gateway, statuses {crowd.statuses}"
    is_closed = crowd.forwarded == PROBES and set(crowd.statuses) == {200}
    expect(200 in breaker.recovered.statuses, "a probe with status 200", f"statuses {breaker.recovered.statuses}")
    expect(is_closed, f"{PROBES} chats at the gateway at the same time, all answered with 200", found)


def require_open(breaker: BreakerEvidence) -> None:
    """Do not judge a breaker that was never open."""
    if breaker.opened.refusal is None:
        raise NotJudged("no chat was refused", ("12.10-breaker-opens",))


@stage(scenario=12, needs=("journal",))
def fallback(launch: Launcher, gateway: ScriptedGateway) -> FallbackEvidence:
    """Give the proxy Cloud AI as a fallback; send one chat in each state of the gateway."""
    return ask_with_fallback(launch, gateway, {**NO_BREAKER, **ALONE})


FALLBACK_RULE = (
    "docs/behaviour.md: Cloud AI answers only with LUMEN_FALLBACK=cloud_ai, only for a call that was not sent"
)


@check("12.14-fallback-answers", source=FALLBACK_RULE)
@OURS
def test_fallback_answers(fallback: FallbackEvidence) -> None:
    """With a fallback a chat is answered by Cloud AI while the gateway refuses connections."""
    answer = fallback.refused
    expect(answer.status == 200 and "첫 질문" in answer.text, "an answer of Cloud AI", answer.described)


@check("12.15-fallback-disclosed", source=FALLBACK_RULE)
@OURS
def test_fallback_is_disclosed(fallback: FallbackEvidence) -> None:
    """An answer of Cloud AI names its channel."""
    if fallback.refused.status != 200:
        raise NotJudged("the fallback gave no answer", ("12.14-fallback-answers",))
    expect(fallback.refused.channel == "cloud_ai", "channel 'cloud_ai'", f"channel {fallback.refused.channel!r}")


@check("12.16-fallback-not-twice", source=FALLBACK_RULE)
@OURS
def test_no_fallback_after_a_write(fallback: FallbackEvidence) -> None:
    """A chat that the gateway has read is not sent to Cloud AI, too: it may be paid for already."""
    if not fallback.read_by_gateway:
        raise NotJudged("the gateway has not read the chat", ("12.17-fallback-ends",))
    expect(fallback.asked_after_write == 0, "no call of Cloud AI", f"{fallback.asked_after_write} calls")
    expect((fallback.written.status or 0) >= 500, "an error status", fallback.written.described)


@check("12.17-fallback-ends", source=FALLBACK_RULE)
@OURS
def test_fallback_ends(fallback: FallbackEvidence) -> None:
    """When the gateway works again, it answers the next chat, without a restart."""
    back = fallback.back
    found = f"status {back.status}, channel {back.channel!r}"
    expect((back.status, back.channel) == (200, "gateway"), "status 200 and channel 'gateway'", found)
