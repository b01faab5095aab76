"""Scenario 1: every process that answers is killed; a new one replaces it and answers on the same port.

Setup: a launched server, a client that sends requests before and after the kill, and a scripted gateway for servers
that forward. "It works again" means that a chat is answered, not only the probe. The stage runs once; the checks read
its evidence.

With several workers all of them are killed, see `lumen_conformance.stages.recovery`. Check 1.4 is about processes
(another one takes its place), check 1.5 about answers (that one answers), so a replacement that never answers fails 1.5
alone. Checks such as ``1.4.1-generation`` are about our own proxy only.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http.capture import Capture
from lumen_conformance.processes.process_tree import ProcessState
from lumen_conformance.registry import MeasureFixture, NotJudged, check, expect
from lumen_conformance.stages.evidence import stage
from lumen_conformance.stages.observations import (
    StartObservation,
    ask_chat,
    count_ready_lines,
    describe_response,
    observe_start,
    read_text,
)
from lumen_conformance.stages.recovery import END_S, recover
from lumen_conformance.stages.recovery_evidence import Recovery
from lumen_conformance.targets.launch import Health, Launcher
from lumen_conformance.targets.target import Target

OUR_HEALTH_BUDGET_S = 1.0  # liveness calls no gateway; a foreign server may take as long as for an answer
# A cold import takes 0.3 s, and the first restart has no delay: ten times that. A restart is a part of a start, so on a
# busy machine the time of the start before is the limit; check 1.1 limits that to ten seconds.
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
class KillEvidence:
    """The evidence; None if an earlier step failed. The budgets are those of this target."""

    start: StartObservation
    start_budget_s: float
    health_budget_s: float
    restart_budget_s: float
    before: Health | None = None
    recovery: Recovery | None = None
    after: Health | None = None
    chat: Capture | None = None
    launched: ProcessState = "gone"
    ready_lines: int = 0
    standby_pid: int = 0  # of the standby that was ready before the kill


def restart_budget(start_s: float) -> float:
    """Return the seconds for a restart of our own proxy, whose start took `start_s`."""
    return max(OUR_RESTART_BUDGET_S, start_s)


@stage(scenario=1)
def killed(launch: Launcher, gateway: ScriptedGateway, target: Target) -> KillEvidence:
    """Kill the processes of a healthy server that answer, then send requests as a client does."""
    health_budget_s = target.answer_s if target.foreign else OUR_HEALTH_BUDGET_S
    proxy = launch(ready=False, gateway=gateway)
    start = observe_start(proxy, target.start_s)
    restart_budget_s = target.start_s if target.foreign else restart_budget(start.elapsed_s)
    budgets = (target.start_s, health_budget_s, restart_budget_s)
    if start.problem:
        return KillEvidence(start, *budgets)
    before = proxy.health()
    if "restart" not in target.can:
        return KillEvidence(start, *budgets, before)
    standby_pid = 0
    if "journal" in target.can:  # with a standby that is ready, as in a server that has run for a second
        standby = proxy.journal.observe("standby_ready", within_s=restart_budget_s)
        standby_pid = standby["pid"] if standby else 0
    recovery = recover(proxy, restart_budget_s)
    if recovery.answered_s is None:
        return KillEvidence(start, *budgets, before, recovery)
    after = proxy.health()
    lines = count_ready_lines(proxy, restart_budget_s)
    chat, launched = ask_chat(proxy, QUESTION), proxy.ref.state()
    return KillEvidence(start, *budgets, before, recovery, after, chat, launched, lines, standby_pid)


@check(STARTED, title="최초 시작", source="docs/guide/recovery.md: Scenario 1")
def test_it_starts(killed: KillEvidence, measure: MeasureFixture) -> None:
    """The launched server is ready within the time for a start, and one of its own processes listens on its port."""
    start = killed.start
    expect_ready(start, killed.start_budget_s)
    measure(start.elapsed_s, "s", killed.start_budget_s)
    expect(bool(start.listener_pids), f"a process of the launch listens on port {start.port}", "none of them listens")


@check("1.1.1-instance", source="docs/behaviour.md: /health")
@OURS
def test_it_names_its_worker(killed: KillEvidence) -> None:
    """/health has the name of the instance, and the PID of a worker that holds the listening socket."""
    start = started(killed)
    expect(bool(start.instance), "a name of the instance in /health", "no name of an instance")
    expected = f"a PID in /health that holds the listening socket: one of {sorted(start.listener_pids)}"
    expect(start.worker_pid in start.listener_pids, expected, f"pid {start.worker_pid}")


@check(
    "1.2-health-before", title="종료 전 상태 확인", source="Kubernetes, liveness probes: timeoutSeconds is 1 by default"
)
def test_healthy_before(killed: KillEvidence, measure: MeasureFixture) -> None:
    """Before the kill the probe is answered within its time limit, and the answer says that the server is ready."""
    started(killed)
    assert killed.before  # observed whenever the start was
    answer = killed.before.capture
    measure(answer.elapsed_s, "s", killed.health_budget_s)
    expect(killed.before.ready, f"GET {answer.url} is answered with status 200", describe_response(answer))
    expect_in_time(answer, killed.health_budget_s)


@check("1.2.1-status", source="docs/behaviour.md: /health")
@OURS
def test_status_before(killed: KillEvidence) -> None:
    """Before the kill the status in /health is ok."""
    started(killed)
    status = killed.before.body.get("status") if killed.before else None
    expect(status == "ok", "status 'ok' in /health", f"status {status!r}")


@check(KILLED, title="강제 종료", source="signal(7): SIGKILL cannot be caught, blocked or ignored")
@RESTARTS
def test_killed_processes_have_ended(killed: KillEvidence) -> None:
    """Each process that answers is found, and ends when it is killed."""
    port, recovery = started(killed).port, killed.recovery
    is_killed, found = (
        bool(recovery and recovery.killed),
        "no process of the launch answers or listens there, so none was killed",
    )
    expect(is_killed, f"a process of the launch that answers on port {port}", found)
    assert recovery  # it is there when the claim above holds
    expect(recovery.ended, f"ended within {END_S:g} s", f"{recovery.name_killed()} still running after the kill")


@check("1.3.1-reaped", tier="S", source="wait(2): a child that has ended stays a zombie until its parent waits for it")
@RESTARTS
def test_no_zombie_is_left(killed: KillEvidence) -> None:
    """No killed process stays a zombie."""
    recovery = after_kill(killed)
    zombies = [str(one) for one, state in zip(recovery.killed, recovery.states, strict=True) if state == "zombie"]
    expect(not zombies, "every killed process is reaped by its parent", f"zombies: {', '.join(zombies)}")


@check(
    RESTARTED,
    title="자동 재시작",
    source="docs/guide/recovery.md: Scenario 1; gunicorn docs/source/design.rst (0a3508fc7fb5): Master",
)
@RESTARTS
def test_a_new_process_is_started(killed: KillEvidence, measure: MeasureFixture) -> None:
    """The server itself replaces the killed process by another one, within the time for a restart."""
    recovery = after_kill(killed)
    if recovery.replaced_s is not None:
        measure(recovery.replaced_s, "s", killed.restart_budget_s)
    found = f"no restart: {recovery.describe_kill()}; {recovery.describe_wait('a new process in its place')}"
    budget = f"another process of the launch within {killed.restart_budget_s:g} s, without help"
    expect(recovery.replaced_s is not None, budget, found)


@check("1.4.1-generation", source="docs/adr/0003-supervisor-holds-the-socket.md: a promotion is a generation")
@OUR_RESTARTS
def test_next_generation(killed: KillEvidence) -> None:
    """The new worker has another PID and the next generation, under the same supervisor."""
    before, after = before_and_after(killed)
    expect(after.pid not in {0, before.pid}, f"a PID other than {before.pid} in /health", f"pid {after.pid}")
    expected = before.generation + 1
    expect(after.generation == expected, f"generation {expected} in /health", f"generation {after.generation}")
    same = after.supervisor_pid == before.supervisor_pid and killed.launched == "running"
    found = f"supervisor pid {after.supervisor_pid}; the launched process is {killed.launched}"
    expect(same, f"the supervisor with pid {before.supervisor_pid} still runs", found)


@check("1.4.2-standby", source="docs/adr/0021-standby.md: a standby that is ready is promoted")
@OUR_RESTARTS
def test_standby_takes_over(killed: KillEvidence) -> None:
    """A standby is ready before the kill, and serves after it."""
    before, after = before_and_after(killed)
    if after.pid in {0, before.pid} or after.generation != before.generation + 1:
        raise NotJudged("/health does not name the next worker", ("1.4.1-generation",))
    expect(killed.standby_pid != 0, "standby_ready in the journal before the kill", "no standby")
    expect(after.pid == killed.standby_pid, f"the standby with pid {killed.standby_pid} serves", f"pid {after.pid}")


@check(ANSWERED, title="재시작 후 상태 확인", source="docs/guide/recovery.md: Scenario 1")
@RESTARTS
def test_healthy_after(killed: KillEvidence, measure: MeasureFixture) -> None:
    """After the restart another process answers the probe and a chat on the same port within the time for a restart."""
    recovery = after_restart(killed)
    if recovery.answered_s is not None:
        measure(recovery.answered_s, "s", killed.restart_budget_s, headline=True)
    budget = f"a new process is ready on port {killed.start.port} within {killed.restart_budget_s:g} s"
    expect(recovery.answered_s is not None, budget, describe_silence(recovery))
    assert killed.chat  # observed when the probe is answered
    expect_text(killed.chat)


@check("1.5.1-forwarded", source="docs/guide/recovery.md: With a gateway")
@FORWARDS
def test_forwards_after(killed: KillEvidence) -> None:
    """After the restart a chat is answered with the text of the gateway, which repeats the question."""
    text = read_text(chat_after(killed))
    expect(QUESTION in text, f"an answer that has the question {QUESTION!r}", f"the answer {text!r}")


@check("1.5.2-counted", source="lumen_conformance/schemas/proxy-health.schema.json: restarts")
@OUR_RESTARTS
def test_restart_is_counted(killed: KillEvidence) -> None:
    """After the restart /health has the status ok and counts one restart."""
    _, after = before_and_after(killed)
    found = (after.body.get("status"), after.restarts)
    expect(found == ("ok", 1), "status 'ok' and restarts 1 in /health", f"status {found[0]!r}, restarts {found[1]}")


@check("1.6-ready-line", source="docs/behaviour.md: Instances")
@OUR_RESTARTS
def test_ready_line_is_printed_once(killed: KillEvidence) -> None:
    """The ready line is printed once, and not again for the new worker."""
    before_and_after(killed)
    expect(killed.ready_lines == 1, "one line with 'ready on' and the address", f"{killed.ready_lines} of them")


def expect_ready(start: StartObservation, budget_s: float) -> None:
    """Expect a start within its budget."""
    expected = f"ready within {budget_s:g} s"
    expect(not start.problem, expected, start.problem)
    expect(start.elapsed_s < budget_s, expected, f"ready after {start.elapsed_s:.2f} s")


def expect_in_time(answer: Capture, budget_s: float) -> None:
    """Expect an answer within its budget."""
    found = f"an answer after {answer.elapsed_s:.2f} s"
    expect(answer.elapsed_s < budget_s, f"an answer within {budget_s:g} s", found)


def expect_text(chat: Capture) -> None:
    """Expect a chat with an answer that has a text."""
    expect(chat.status == 200, "a chat is answered with status 200", describe_response(chat))
    expect(bool(read_text(chat)), "a chat is answered with a text", f"no text in {describe_response(chat)}")


def started(killed: KillEvidence) -> StartObservation:
    """Return the start; without one the rest is not judged."""
    if killed.start.problem:
        raise NotJudged("the server was never ready", (STARTED,))
    return killed.start


def after_kill(killed: KillEvidence) -> Recovery:
    """Return what followed the kill; without a kill it is not judged."""
    started(killed)
    recovery = killed.recovery
    if recovery is None or not recovery.ended:
        raise NotJudged("the processes that answer were not killed", (KILLED,))
    return recovery


def after_restart(killed: KillEvidence) -> Recovery:
    """Return what followed the restart; without a restart it is not judged."""
    recovery = after_kill(killed)
    if recovery.replaced_s is None:
        raise NotJudged("no new process was started", (RESTARTED,))
    return recovery


def describe_silence(recovery: Recovery) -> str:
    """Return a text about a new process that does not answer on the port."""
    new, ports = ", ".join(map(str, recovery.replaced)), ", ".join(map(str, recovery.elsewhere)) or "none"
    wait = recovery.describe_wait("an answer")
    return f"{recovery.describe_kill()}, {new} replaced what was killed; {wait}; new ports on which it listens: {ports}"


def before_and_after(killed: KillEvidence) -> tuple[Health, Health]:
    """Return health before and after the kill; without an answer of the new process it is not judged."""
    if after_restart(killed).answered_s is None:
        raise NotJudged("the new process never answers", (ANSWERED,))
    assert killed.before  # observed after the start
    assert killed.after  # observed after the answer
    return killed.before, killed.after


def chat_after(killed: KillEvidence) -> Capture:
    """Return the chat after the restart; without a text it is not judged."""
    before_and_after(killed)
    if killed.chat is None or killed.chat.status != 200 or not read_text(killed.chat):
        raise NotJudged("the chat has no answer with a text", (ANSWERED,))
    return killed.chat
