"""Scenario 1: every process that answers is killed; a new one replaces it and answers on the same port.

Cast: a server that is launched, a client that asks before and after, and a scripted gateway for servers that forward.
"It works again" means a chat that is answered, not only a probe that says so. Staged once; the checks only read.

Who is killed: with several workers all of them, see `recoveries`. The claim of 1.4 is about processes (a new one is
there), that of 1.5 about answers (a new one gives them), so a replacement that never answers fails 1.5 alone. What only
our own proxy promises, it is asked for by checks of their own, such as ``1.4.generation``.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http.capture import Capture
from lumen_conformance.processes.process_tree import ProcessState
from lumen_conformance.registry import Measure, NotJudged, check, expect
from lumen_conformance.stages.evidence import stage
from lumen_conformance.stages.observations import (
    StartObservation,
    ask_chat,
    describe_response,
    observe_start,
    read_text,
)
from lumen_conformance.stages.recovery import END_S, recover
from lumen_conformance.stages.recovery_evidence import Recovery
from lumen_conformance.targets.launch import Health, Launcher
from lumen_conformance.targets.target import Target

OUR_HEALTH_BUDGET_S = 1.0  # liveness calls nobody; a foreign server may take as long as for an answer
# A cold import takes 0.3 s, and the first restart waits for nothing: ten times that. A restart is a part of a start, so
# on a machine that is too busy for it the start of a moment ago is the limit; check 1.1 holds that to ten seconds.
OUR_RESTART_BUDGET_S = 3.0
STARTED, KILLED, RESTARTED, ANSWERED = (
    "1.1-initial-start",
    "1.3-forced-kill",
    "1.4-automatic-restart",
    "1.5-health-after",
)
RESTARTS = pytest.mark.needs("restart")
FORWARDS = pytest.mark.needs("restart", "gateway")
OURS = pytest.mark.needs("journal")
OUR_RESTARTS = pytest.mark.needs("restart", "journal")
QUESTION = "안녕하세요, 다시 왔어요"


@dataclass(frozen=True)
class Killed:
    """What was seen; None if an earlier step failed. Budgets are those of this target."""

    start: StartObservation
    start_budget_s: float
    health_budget_s: float
    restart_budget_s: float
    before: Health | None = None
    recovery: Recovery | None = None
    after: Health | None = None
    chat: Capture | None = None
    launched: ProcessState = "gone"


def restart_budget(start_s: float) -> float:
    """Seconds for a restart of our own proxy, whose start took `start_s`."""
    return max(OUR_RESTART_BUDGET_S, start_s)


@stage(scenario=1)
def killed(launch: Launcher, gateway: ScriptedGateway, target: Target) -> Killed:
    """Kill whoever answers of a healthy server, then ask as a client would."""
    health_budget_s = target.answer_s if target.foreign else OUR_HEALTH_BUDGET_S
    proxy = launch(ready=False, gateway=gateway)
    start = observe_start(proxy, target.start_s)
    restart_budget_s = target.start_s if target.foreign else restart_budget(start.elapsed_s)
    budgets = (target.start_s, health_budget_s, restart_budget_s)
    if start.problem:
        return Killed(start, *budgets)
    before = proxy.health()
    if "restart" not in target.can:
        return Killed(start, *budgets, before)
    recovery = recover(proxy, restart_budget_s)
    if recovery.answered_s is None:
        return Killed(start, *budgets, before, recovery)
    after = proxy.health()
    return Killed(start, *budgets, before, recovery, after, ask_chat(proxy, QUESTION), proxy.ref.state())


@check(STARTED, title="최초 시작")
def test_it_starts(killed: Killed, measure: Measure) -> None:
    """The launched server is ready within the time for a start, and one of its own processes listens on its port."""
    start = killed.start
    budget = f"ready within {killed.start_budget_s:g} s"
    expect(not start.problem, budget, start.problem)
    measure(start.elapsed_s, "s", killed.start_budget_s)
    expect(start.elapsed_s < killed.start_budget_s, budget, f"ready after {start.elapsed_s:.2f} s")
    expect(bool(start.listener_pids), f"a process of the launch listens on port {start.port}", "none of them listens")


@check("1.1.instance")
@OURS
def test_it_names_its_worker(killed: Killed) -> None:
    """/health names the instance, and a worker that holds the listening socket."""
    start = started(killed)
    expect(bool(start.instance), "/health names the instance", "no name of an instance")
    holders = f"the PID of a process that holds the listening socket: one of {sorted(start.listener_pids)}"
    expect(start.worker_pid in start.listener_pids, f"/health gives {holders}", f"pid {start.worker_pid}")


@check("1.2-health-before", title="종료 전 상태 확인")
def test_healthy_before(killed: Killed, measure: Measure) -> None:
    """Before the kill the server says within its time limit that it is ready."""
    started(killed)
    assert killed.before  # observed whenever the start was
    answer = killed.before.capture
    measure(answer.elapsed_s, "s", killed.health_budget_s)
    expect(killed.before.ready, f"GET {answer.url} is answered with status 200", describe_response(answer))
    expect(
        answer.elapsed_s < killed.health_budget_s,
        f"an answer within {killed.health_budget_s:g} s",
        f"an answer after {answer.elapsed_s:.2f} s",
    )


@check("1.2.status")
@OURS
def test_status_before(killed: Killed) -> None:
    """Before the kill /health says the status ok."""
    started(killed)
    status = killed.before.body.get("status") if killed.before else None
    expect(status == "ok", "/health says status 'ok'", f"status {status!r}")


@check(KILLED, title="강제 종료")
@RESTARTS
def test_victims_have_ended(killed: Killed) -> None:
    """Each process that answers is found, and has ended after it was killed."""
    started(killed)
    recovery = killed.recovery
    expect(
        recovery is not None and bool(recovery.killed),
        f"a process of the launch that answers on port {killed.start.port}",
        "no process of the launch answers or listens there, so none was killed",
    )
    assert recovery  # or the claim above is refuted
    expect(recovery.ended, f"ended within {END_S:g} s", f"{recovery.name_killed()} still running after the kill")


@check("1.3.reaped", tier="S")
@RESTARTS
def test_no_zombie_is_left(killed: Killed) -> None:
    """No zombie is left of the killed processes."""
    recovery = killed_by_us(killed)
    zombies = [str(one) for one, state in zip(recovery.killed, recovery.states, strict=True) if state == "zombie"]
    expect(not zombies, "every killed process is reaped by its parent", f"zombies: {', '.join(zombies)}")


@check(RESTARTED, title="자동 재시작")
@RESTARTS
def test_a_new_process_is_started(killed: Killed, measure: Measure) -> None:
    """The server itself starts a new process in the place of the killed one, within the time for a restart."""
    recovery = killed_by_us(killed)
    if recovery.replaced_s is not None:
        measure(recovery.replaced_s, "s", killed.restart_budget_s)
    expect(
        recovery.replaced_s is not None,
        f"a new process of the launch within {killed.restart_budget_s:g} s, with no help",
        f"nobody restarts it: {recovery.describe_kill()}; {recovery.describe_wait('a new process in its place')}",
    )


@check("1.4.generation")
@OUR_RESTARTS
def test_next_generation(killed: Killed) -> None:
    """The new worker has another PID and the next generation, under the same supervisor."""
    answered(killed)
    before, after = killed.before, killed.after
    assert before  # observed whenever the start was
    assert after  # observed whenever it is answered
    expect(after.pid not in {0, before.pid}, f"a PID other than {before.pid} in /health", f"pid {after.pid}")
    expected = before.generation + 1
    expect(after.generation == expected, f"generation {expected} in /health", f"generation {after.generation}")
    same = after.supervisor_pid == before.supervisor_pid and killed.launched == "running"
    found = f"supervisor pid {after.supervisor_pid}; the launched process is {killed.launched}"
    expect(same, f"the supervisor with pid {before.supervisor_pid} still runs", found)


@check(ANSWERED, title="재시작 후 상태 확인")
@RESTARTS
def test_healthy_after(killed: Killed, measure: Measure) -> None:
    """After the restart a new process answers health and a chat on the same port, within the time for a restart."""
    recovery = killed_by_us(killed)
    if recovery.replaced_s is None:
        raise NotJudged("no new process was started", (RESTARTED,))
    if recovery.answered_s is not None:
        measure(recovery.answered_s, "s", killed.restart_budget_s, headline=True)
    new = ", ".join(map(str, recovery.replaced))
    elsewhere = f"new ports on which it listens: {', '.join(map(str, recovery.elsewhere)) or 'none'}"
    expect(
        recovery.answered_s is not None,
        f"a new process says on port {killed.start.port} that it is ready, within {killed.restart_budget_s:g} s",
        f"{recovery.describe_kill()}, {new} replaced what was killed; "
        f"{recovery.describe_wait('an answer')}; {elsewhere}",
    )
    assert killed.chat  # asked whenever it is answered
    expect(killed.chat.status == 200, "a chat is answered with status 200", describe_response(killed.chat))
    expect(
        bool(read_text(killed.chat)), "a chat is answered with a text", f"no text in {describe_response(killed.chat)}"
    )


@check("1.5.forwarded")
@FORWARDS
def test_forwards_after(killed: Killed) -> None:
    """After the restart a chat is answered with the words of the gateway, which repeats the question."""
    text = read_text(chat_after(killed))
    expect(QUESTION in text, f"an answer that has the question {QUESTION!r}", f"the answer {text!r}")


@check("1.5.counted")
@OUR_RESTARTS
def test_restart_is_counted(killed: Killed) -> None:
    """After the restart /health says the status ok and counts one restart."""
    answered(killed)
    assert killed.after  # observed whenever it is answered
    found = (killed.after.body.get("status"), killed.after.restarts)
    expect(found == ("ok", 1), "/health says status 'ok' and restarts 1", f"status {found[0]!r}, restarts {found[1]}")


def started(killed: Killed) -> StartObservation:
    """How it started; without a start nothing that follows can be judged."""
    if killed.start.problem:
        raise NotJudged("the server was never ready", (STARTED,))
    return killed.start


def killed_by_us(killed: Killed) -> Recovery:
    """What followed the kill; without a kill nothing of it can be judged."""
    started(killed)
    recovery = killed.recovery
    if recovery is None or not recovery.ended:
        raise NotJudged("the processes that answer were not killed", (KILLED,))
    return recovery


def answered(killed: Killed) -> None:
    """Nothing to say when a new process answers; else what it says cannot be judged."""
    recovery = killed_by_us(killed)
    if recovery.replaced_s is None:
        raise NotJudged("no new process was started", (RESTARTED,))
    if recovery.answered_s is None:
        raise NotJudged("the new process never answers", (ANSWERED,))


def chat_after(killed: Killed) -> Capture:
    """The chat after the restart, where it has a text."""
    answered(killed)
    if killed.chat is None or killed.chat.status != 200 or not read_text(killed.chat):
        raise NotJudged("the chat has no answer with a text", (ANSWERED,))
    return killed.chat
