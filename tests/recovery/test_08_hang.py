"""Scenario 8: a worker that hangs is replaced, although the system still accepts connections for it; no other one is.

Setup: in the first launch the worker is stopped by a signal, then its serving loop spins, then a library in C holds the
interpreter, each after the last hang has been replaced. A chat is in flight at the gateway at each time: its words must
not be in the stack that the proxy logs. In the second launch nothing hangs, but a watchdog that is not careful would
think so: the gateway does not answer, clients send more than the worker can serve, supervisor and worker are suspended
together for longer than the time limit, and the clock of the machine steps. The third launch asks `lumen-proxy status`
while the worker is stopped.

Of other servers only the stopped worker is judged, and what is no hang, within the declared time (--hang-timeout).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.registry import MeasureFixture, NotJudged, check, check_each, expect
from lumen_conformance.registry.measurement import rounded
from lumen_conformance.stages.crash_loop import read_status
from lumen_conformance.stages.evidence import stage
from lumen_conformance.stages.hang import STOPPED, HangEvidence, HangObservation, hang_workers
from lumen_conformance.stages.no_hang import HealthyEvidence, disturb_worker
from lumen_conformance.stages.stage_steps import StageStep
from lumen_conformance.targets.launch import LaunchedTarget, Launcher
from lumen_conformance.targets.target import Target
from lumen_conformance.waiting import observe

pytestmark = pytest.mark.needs("watchdog")

OURS = pytest.mark.needs("journal")
# The state is shown after two of the four ticks in LUMEN_WATCHDOG_S, 10 s; four seconds later the worker is replaced.
SHOWN_S = 6.0
FUNCTIONS = {"spinning": "spin_in_the_serving_loop", "locked": "hold_the_interpreter"}
NOTICED, BUSY = "8.1-stopped", "8.7-busy"


@dataclass(frozen=True)
class StatusEvidence(StageStep):
    """The evidence: what `lumen-proxy status` shows of a worker that is stopped; ``is_late`` if it was replaced."""

    state: str
    worker_pid: int
    shown_pid: int
    is_late: bool


@stage(scenario=8, needs=("watchdog",))
def hung(launch: Launcher, gateway: ScriptedGateway, target: Target) -> HangEvidence:
    """Let one worker after the other hang."""
    return hang_workers(launch, gateway, target)


@stage(scenario=8, needs=("watchdog",))
def healthy(launch: Launcher, gateway: ScriptedGateway, target: Target, folder: Path) -> HealthyEvidence:
    """Cause what looks like a hang and is none, and see whether the processes that serve remain the same."""
    return disturb_worker(launch, gateway, target, folder)


@stage(scenario=8, needs=("watchdog", "journal"))
def shown(launch: Launcher, gateway: ScriptedGateway) -> StatusEvidence:
    """Ask `lumen-proxy status` while a worker is stopped, with the usual time limit."""
    proxy = launch(gateway=gateway)
    worker, mark = proxy.worker(), proxy.journal.mark()
    worker.suspend()
    observe("the supervisor has noticed", lambda: is_silent(proxy), within_s=SHOWN_S)
    status = read_status(launch, proxy, proxy.port)
    is_late = bool(proxy.journal.events(mark, "worker_hung"))
    worker.kill()  # a drain would wait for it
    proxy.journal.observe("ready", since=mark, within_s=proxy.target.start_s)
    shown_hang = status.get("hang") or {}
    return StatusEvidence(str(status.get("state")), worker.pid, int(shown_hang.get("worker_pid", 0)), is_late)


def is_silent(proxy: LaunchedTarget) -> bool:
    """Return whether the state file says that the worker is silent."""
    state = json.loads((proxy.state_dir / f"proxy-{proxy.port}.json").read_text("utf-8"))
    return bool(state.get("phase") == "hung")


@check_each(
    "kind",
    {"8.1-stopped": "stopped"},
    source="docs/adr/0022-watchdog.md; signal(7): the default action of SIGSTOP is to stop the process",
)
def test_a_stopped_worker_is_replaced(hung: HangEvidence, measure: MeasureFixture, kind: str) -> None:
    """A worker that is stopped is replaced in time by another one that answers, although its system connects."""
    expect_replaced(hung, kind, measure)


@check_each(
    "kind",
    {"8.2-spinning": "spinning", "8.3-locked": "locked"},
    marks=(OURS,),
    source="docs/adr/0022-watchdog.md: the heartbeat comes from the serving loop",
)
def test_a_worker_that_does_not_serve_is_replaced(hung: HangEvidence, measure: MeasureFixture, kind: str) -> None:
    """A worker whose serving loop does not go on ({row}) is replaced in time by another one that answers."""
    expect_replaced(hung, kind, measure)


@check("8.4-journal", marks=(OURS,), source="docs/behaviour.md: Hangs")
def test_hangs_are_in_the_journal(hung: HangEvidence) -> None:
    """The journal has worker_hung in time, with the PID of the worker; of a stopped one also its process state."""
    for kind, hang in started(hung).hangs.items():
        in_time = hang.noticed_s is not None and hang.noticed_s < hang.budget_s
        expect(in_time, f"worker_hung within {hang.budget_s:g} s ({kind})", f"after {rounded(hang.noticed_s)} s")
        expect(hang.names_the_worker, "the PID of the worker that hangs", f"another one ({kind})")
    state = hung.hangs["stopped"].process_state
    expect(state in STOPPED, "the process state 'stopped'", repr(state))


@check_each(
    "kind", {"8.5-stack-spinning": "spinning", "8.5-stack-locked": "locked"}, marks=(OURS,),
    source="docs/behaviour.md: Hangs; Python library, faulthandler.register",
)  # fmt: skip
def test_the_stack_names_the_function(hung: HangEvidence, kind: str) -> None:
    """The journal has the stack of a worker that does not serve: it names the function in which it is."""
    stack = noticed(hung, kind).stack
    found = "; ".join(stack) or "no stack"
    expect(any(FUNCTIONS[kind] in line for line in stack), f"a stack with {FUNCTIONS[kind]}", found)


@check("8.6-not-continued", marks=(OURS,), source="docs/adr/0022-watchdog.md: a stopped worker is not continued")
def test_a_stopped_worker_is_not_continued(hung: HangEvidence) -> None:
    """A worker that is stopped is killed without being continued."""
    expect(not noticed(hung, "stopped").continued, "a process that is stopped until it is killed", "it ran again")


@check("8.12-no-words", marks=(OURS,), source="docs/behaviour.md: Hangs")
def test_no_text_of_users_is_logged(hung: HangEvidence) -> None:
    """No log has a word of the chats that were in flight when the workers hung."""
    started(hung)
    expect(not hung.logs_have_text, "no log with a word of the chat", "a log has one")


@check_each(
    "phase", {name: name for name in (BUSY, "8.8-slow-gateway", "8.9-suspended")},
    source="docs/behaviour.md: Hangs; Kubernetes, liveness probes: a restart under load makes an overload worse",
)  # fmt: skip
def test_what_is_no_hang_replaces_nothing(healthy: HealthyEvidence, phase: str) -> None:
    """A worker that is busy, slow or suspended, but not hung ({row}), is not replaced."""
    expect_kept(healthy, phase)
    if phase == BUSY and not healthy.answered:
        raise NotJudged("no client was answered, so there was no load", ())


@check("8.10-clock-step", marks=(OURS,), source="clock_settime(2): CLOCK_MONOTONIC is not affected by a step")
def test_a_step_of_the_clock_replaces_nothing(healthy: HealthyEvidence) -> None:
    """A step of the clock by an hour, forward and back, replaces no worker."""
    expect_kept(healthy, "8.10-clock-step")


@check("8.11-status", marks=(OURS,), source="docs/behaviour.md: Hangs")
def test_status_shows_the_hang(shown: StatusEvidence) -> None:
    """While a worker hangs `lumen-proxy status` shows the state hung, with the PID of that worker."""
    if shown.is_late:
        raise NotJudged("the worker was replaced before the command had ended", ())
    expect(shown.state == "hung", "the state 'hung'", shown.state)
    expect(shown.shown_pid == shown.worker_pid, f"the worker with pid {shown.worker_pid}", f"pid {shown.shown_pid}")


def started(hung: HangEvidence) -> HangEvidence:
    """Return the evidence; without a start nothing is judged."""
    if hung.start.problem:
        raise NotJudged("the server was never ready", ("1.1-initial-start",))
    return hung


def noticed(hung: HangEvidence, kind: str) -> HangObservation:
    """Return a hang that the journal has; any other one is not judged here."""
    hang = started(hung).hangs.get(kind)
    if hang is None or hang.noticed_s is None:
        raise NotJudged(f"the journal does not have this hang ({kind})", ("8.4-journal",))
    return hang


def expect_replaced(hung: HangEvidence, kind: str, measure: MeasureFixture) -> None:
    """Expect that a worker that hangs was replaced in time."""
    hang = started(hung).hangs.get(kind)
    if hang is None:
        raise NotJudged("an earlier hang was not replaced", (NOTICED,))
    expect(hang.connected, "the system accepts a connection meanwhile", "it was refused")
    expected = f"another process is ready within {hang.budget_s:.1f} s"
    expect(hang.replaced_s is not None, expected, "the worker that hangs still runs, or nothing answers")
    measure(hang.replaced_s or 0.0, "s", hang.budget_s, headline=kind == "stopped")
    expect((hang.replaced_s or 0.0) < hang.budget_s, expected, f"after {hang.replaced_s or 0.0:.1f} s")


def expect_kept(healthy: HealthyEvidence, phase: str) -> None:
    """Expect that the processes that serve were the same before and after a phase."""
    if healthy.start.problem:
        raise NotJudged("the server was never ready", ("1.1-initial-start",))
    replaced = healthy.replaced.get(phase, ())
    expect(not replaced, "the same processes serve before and after", f"ended: {', '.join(replaced)}")
