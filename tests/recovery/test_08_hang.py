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

import contextlib
import json
import signal
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from lumen_conformance.gateway.replies import silent
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.inject.lumen_conditions import CLOCK_FILE, LOCK_SIGNAL, MARK, SPIN_SIGNAL, conditions
from lumen_conformance.processes.process_tree import ProcessRef, list_running
from lumen_conformance.registry import MeasureFixture, NotJudged, check, check_each, expect
from lumen_conformance.stages.crash_loop import read_status
from lumen_conformance.stages.evidence import stage
from lumen_conformance.stages.kill_storm import Clients, is_answered
from lumen_conformance.stages.observations import StartObservation, observe_start
from lumen_conformance.stages.victims import find_supervisor, find_victims
from lumen_conformance.targets.launch import LaunchedTarget, Launcher
from lumen_conformance.targets.target import Target
from lumen_conformance.waiting import observe

pytestmark = pytest.mark.needs("watchdog")

OURS = pytest.mark.needs("journal")
HANG_S = 1.0  # LUMEN_WATCHDOG_S of the first launch
# A tick that comes late is skipped, because the supervisor did not run itself: on a busy machine one hang takes as long
# as two. The stack takes 0.5 s at most (docs/behaviour.md), the restart as long as in scenario 1.
NOTICED_S = 2 * HANG_S + 0.5
RESTART_BUDGET_S = 3.0
HEALTHY_S = (
    1.5  # LUMEN_WATCHDOG_S of the second launch: a busy machine may keep a worker from the processor for a while
)
PHASE_S = 1.4 * HEALTHY_S  # a hang is noticed within the limit, and the kill follows within milliseconds
FIRST_S = HEALTHY_S / 6  # two thirds of the time between two looks of the watchdog, of which three find a hang
LONGEST_PHASE_S = 60.0  # of another server, whose time limit is declared
# The state is shown after two of the four ticks in LUMEN_WATCHDOG_S, 10 s; four seconds later the worker is replaced.
SHOWN_S = 6.0
CLIENTS = 16
SETTINGS = {"LUMEN_RESTART_BACKOFF_S": "0", "LUMEN_MAX_RESTARTS": "0", "LUMEN_WATCHDOG_S": f"{HANG_S:g}"}
WORDS = "Bitte sagen Sie niemandem mein Kennwort"  # of a user; no function and no file has such a name
STOPPED = ("stopped", "tracing-stop")
STEP_S = 3_600  # from summer to winter time
SIGNALS: dict[str, tuple[int, str]] = {
    "stopped": (getattr(signal, "SIGSTOP", 0), ""),
    "spinning": (SPIN_SIGNAL, "spins"),
    "locked": (LOCK_SIGNAL, "locks"),
}
FUNCTIONS = {"spinning": "spin_in_the_serving_loop", "locked": "hold_the_interpreter"}
NOTICED = "8.1-stopped"


@dataclass(frozen=True)
class Hang:
    """What happened to a worker that hangs. Seconds count from the signal; None means: not in time.

    ``connected``    whether the system accepted a connection meanwhile
    ``replaced_s``   when another process answered that it is ready
    ``continued``    whether the stopped worker was seen running
    ``noticed_s``    when the journal had worker_hung; the next three are fields of it
    """

    connected: bool = False
    replaced_s: float | None = None
    continued: bool = False
    noticed_s: float | None = None
    process_state: str = ""
    stack: tuple[str, ...] = ()
    names_the_worker: bool = False


@dataclass(frozen=True)
class HangEvidence:
    """The evidence by kind of hang, and whether a word of a user is in the logs."""

    start: StartObservation
    budget_s: float
    hangs: dict[str, Hang] = field(default_factory=dict)
    logs_have_words: bool = False


@dataclass(frozen=True)
class HealthyEvidence:
    """The evidence: the workers that were replaced in each phase, and the requests that were answered in the first."""

    start: StartObservation
    replaced: dict[str, tuple[str, ...]] = field(default_factory=dict)
    answered: int = 0


@dataclass(frozen=True)
class StatusEvidence:
    """The evidence: what `lumen-proxy status` shows of a worker that is stopped; ``is_late`` if it was replaced."""

    state: str
    worker_pid: int
    shown_pid: int
    is_late: bool


@stage(scenario=8, needs=("watchdog",))
def hung(launch: Launcher, gateway: ScriptedGateway, target: Target) -> HangEvidence:
    """Let one worker after the other hang."""
    env = SETTINGS | conditions("spins-on-signal", "locks-on-signal")
    proxy = launch(ready=False, gateway=gateway, env=env)
    start = observe_start(proxy, target.start_s)
    is_ours = "journal" in target.can
    budget_s = NOTICED_S + max(RESTART_BUDGET_S, start.elapsed_s) if is_ours else target.hang_s
    if start.problem:
        return HangEvidence(start, budget_s)
    gateway.standing = silent
    hangs: dict[str, Hang] = {}
    for name in tuple(SIGNALS) if is_ours else ("stopped",):
        threading.Thread(target=proxy.chat, args=(WORDS,), daemon=True).start()
        observe("the chat is in flight", lambda: len(gateway.chats) > len(hangs), within_s=target.start_s)
        hangs[name] = hang(proxy, name, budget_s)
        if hangs[name].replaced_s is None:
            break
    logs = (path.read_bytes() for path in proxy.folder.rglob("*") if path.is_file())
    has_words = is_ours and any(word.encode() in log for log in logs for word in WORDS.split()[-1:])
    return HangEvidence(start, budget_s, hangs, has_words)


def hang(proxy: LaunchedTarget, name: str, within_s: float) -> Hang:
    """Let what serves hang, and observe what follows; a hang that nobody notices is ended here."""
    victims = find_victims(proxy)
    number, condition = SIGNALS[name]
    mark, since_mono_s = proxy.journal.mark(), time.monotonic()
    for ref in victims:
        if process := ref.process():
            process.send_signal(number)
    if condition:
        text = f"{MARK} {condition}".encode()
        observe(condition, lambda: text in proxy.stderr.read_bytes(), within_s=within_s)
    else:
        observe("stopped", lambda: set(list_states(victims)) <= {*STOPPED}, within_s=within_s)
    connected = can_connect(proxy.port)
    states: list[tuple[float, str]] = []
    replaced_s = observe_replaced(proxy, victims, within_s, states)
    event = next(iter(proxy.journal.events(mark, "worker_hung")), None)
    for ref in victims:
        ref.kill()
    if event is None:
        return Hang(connected, replaced_s)
    return Hang(
        connected,
        replaced_s,
        # A stopped process runs for its end: only what was seen before the supervisor has killed it counts.
        continued=any(state not in STOPPED for at_mono_s, state in states if at_mono_s < event.mono_s),
        noticed_s=event.mono_s - since_mono_s,
        process_state=event["process_state"],
        stack=tuple(event["stack"] or ()),
        names_the_worker=event["pid"] in {ref.pid for ref in victims},
    )


def observe_replaced(
    proxy: LaunchedTarget, victims: tuple[ProcessRef, ...], within_s: float, states: list[tuple[float, str]]
) -> float | None:
    """Wait until the victims have ended and the server is ready; return the seconds, and add what was seen of them."""
    started_s = time.monotonic()

    def have_ended() -> bool:
        states.extend((time.monotonic(), state) for state in list_states(victims))
        return not list_running(victims)

    ended = observe("they have ended", have_ended, within_s=within_s)
    is_ready = ended and observe("another one answers", lambda: proxy.health().ready, within_s=within_s)
    return time.monotonic() - started_s if is_ready else None


def list_states(victims: tuple[ProcessRef, ...]) -> list[str]:
    """Return the states of the processes that are there, as the system names them."""
    states: list[str] = []
    for process in filter(None, (ref.process() for ref in victims)):
        with contextlib.suppress(psutil.Error):
            states.append(process.status())
    return states


def can_connect(port: int) -> bool:
    """Return whether the system accepts a connection."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
    except OSError:
        return False
    return True


@stage(scenario=8, needs=("watchdog",))
def healthy(launch: Launcher, gateway: ScriptedGateway, target: Target, folder: Path) -> HealthyEvidence:
    """Cause what looks like a hang and is none, and see whether the processes that serve remain the same."""
    clock = folder / "clock"
    env = SETTINGS | {"LUMEN_WATCHDOG_S": f"{HEALTHY_S:g}", CLOCK_FILE: str(clock)}
    proxy = launch(ready=False, gateway=gateway, env=env | conditions("clock-follows-a-file"))
    start = observe_start(proxy, target.start_s)
    if start.problem:
        return HealthyEvidence(start)
    phase_s = PHASE_S if "journal" in target.can else min(1.4 * target.hang_s, LONGEST_PHASE_S)
    clients = Clients(proxy, CLIENTS, phase_s + target.answer_s)

    def wait() -> None:
        observe("it has ended", proxy.end_reason, within_s=phase_s)

    def serve_clients() -> None:
        with clients.running():
            wait()

    def wait_for_gateway() -> None:
        gateway.standing = silent
        threading.Thread(target=proxy.chat, args=(WORDS,), daemon=True).start()
        wait()

    def step_clock() -> None:
        for step_s in (STEP_S, -STEP_S):
            clock.write_text(str(step_s), "ascii")
            wait()

    phases: dict[str, Callable[[], None]] = {
        "8.7-busy": serve_clients,
        "8.8-slow-gateway": wait_for_gateway,
        "8.9-suspended": lambda: suspend_all(proxy, wait),
    } | ({"8.10-clock-step": step_clock} if "journal" in target.can else {})
    replaced = {name: list_replaced(proxy, phase) for name, phase in phases.items()}
    return HealthyEvidence(start, replaced, sum(map(is_answered, clients.captures)))


def list_replaced(proxy: LaunchedTarget, phase: Callable[[], None]) -> tuple[str, ...]:
    """Return the processes that served before a phase and have ended in it."""
    before = find_victims(proxy)
    phase()
    running = list_running(before)
    return tuple(f"pid {ref.pid}" for ref in before if ref not in running)


def suspend_all(proxy: LaunchedTarget, wait: Callable[[], None]) -> None:
    """Suspend worker and supervisor for longer than the limit; the supervisor runs first again."""
    workers = find_victims(proxy)
    supervisor = find_supervisor(proxy, workers[0])
    for ref in (*workers, supervisor):
        ref.suspend()
    wait()
    supervisor.resume()
    observe("it has ended", proxy.end_reason, within_s=FIRST_S)  # it looks at its workers before they run again
    for ref in workers:
        ref.resume()
    wait()


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
        in_time = hang.noticed_s is not None and hang.noticed_s < hung.budget_s
        expect(in_time, f"worker_hung within {hung.budget_s:g} s ({kind})", f"after {hang.noticed_s} s")
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
def test_no_words_of_users_are_logged(hung: HangEvidence) -> None:
    """No log has a word of the chats that were in flight when the workers hung."""
    started(hung)
    expect(not hung.logs_have_words, "no log with a word of the chat", "a log has one")


@check_each(
    "phase", {name: name for name in ("8.7-busy", "8.8-slow-gateway", "8.9-suspended")},
    source="docs/behaviour.md: Hangs; Kubernetes, liveness probes: a restart under load makes an overload worse",
)  # fmt: skip
def test_what_is_no_hang_replaces_nothing(healthy: HealthyEvidence, phase: str) -> None:
    """What is no hang ({row}) replaces no worker, although it lasts longer than the limit."""
    expect_kept(healthy, phase)


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


def noticed(hung: HangEvidence, kind: str) -> Hang:
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
    expected = f"another process is ready within {hung.budget_s:.1f} s"
    expect(hang.replaced_s is not None, expected, "the worker that hangs still runs, or nothing answers")
    measure(hang.replaced_s or 0.0, "s", hung.budget_s, headline=kind == "stopped")
    expect((hang.replaced_s or 0.0) < hung.budget_s, expected, f"after {hang.replaced_s or 0.0:.1f} s")


def expect_kept(healthy: HealthyEvidence, phase: str) -> None:
    """Expect that the processes that serve were the same before and after a phase."""
    if healthy.start.problem:
        raise NotJudged("the server was never ready", ("1.1-initial-start",))
    replaced = healthy.replaced.get(phase, ())
    expect(not replaced, "the same processes serve before and after", f"ended: {', '.join(replaced)}")
