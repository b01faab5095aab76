"""Let one worker after the other hang, in three ways, and observe whether it is noticed and replaced."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
import time
from dataclasses import dataclass, field

import psutil

from lumen_conformance.gateway.replies import silent
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.inject.lumen_conditions import LOCK_SIGNAL, MARK, SPIN_SIGNAL, conditions
from lumen_conformance.processes.process_tree import ProcessRef, list_running
from lumen_conformance.stages.observations import StartObservation, observe_start
from lumen_conformance.stages.stage_steps import StageStep
from lumen_conformance.stages.victims import find_victims
from lumen_conformance.targets.launch import LaunchedTarget, Launcher
from lumen_conformance.targets.target import Target
from lumen_conformance.waiting import observe

HANG_S = 1.0  # LUMEN_WATCHDOG_S of the first launch
STACK_S = 0.5  # at most: docs/behaviour.md
# A tick that comes late is skipped, because the supervisor did not run itself: on a busy machine one hang takes as long
# as two. There a loop that spins gets little of the processor and looks starved. Then the twelfth silent tick counts, a
# tick is a quarter of the limit, and the hang begins within another one: docs/adr/0022-watchdog.md.
STARVED_S = (12 + 1) * HANG_S / 4
NOTICED_S = {"stopped": 2 * HANG_S, "spinning": 2 * STARVED_S, "locked": 2 * HANG_S}
RESTART_BUDGET_S = 3.0  # scenario 1
SETTINGS = {"LUMEN_RESTART_BACKOFF_S": "0", "LUMEN_MAX_RESTARTS": "0", "LUMEN_WATCHDOG_S": f"{HANG_S:g}"}
WORDS = "Bitte sagen Sie niemandem mein Kennwort"  # of a user; no function and no file has such a name
STOPPED = ("stopped", "tracing-stop")
SIGNALS: dict[str, tuple[int, str]] = {
    "stopped": (getattr(signal, "SIGSTOP", 0), ""),
    "spinning": (SPIN_SIGNAL, "spins"),
    "locked": (LOCK_SIGNAL, "locks"),
}


@dataclass(frozen=True)
class HangObservation(StageStep):
    """What happened to a worker that hangs. Seconds count from the signal; None means: not in time.

    ``budget_s``     until another process must be ready
    ``connected``    whether the system accepted a connection meanwhile
    ``replaced_s``   when another process answered that it is ready
    ``continued``    whether the stopped worker was seen running
    ``noticed_s``    when the journal had worker_hung; the next three are fields of it
    """

    budget_s: float
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
    hangs: dict[str, HangObservation] = field(default_factory=dict)
    logs_have_text: bool = False


def hang_workers(launch: Launcher, gateway: ScriptedGateway, target: Target) -> HangEvidence:
    """Let one worker after the other hang."""
    env = SETTINGS | conditions("spins-on-signal", "locks-on-signal")
    proxy = launch(ready=False, gateway=gateway, env=env)
    start = observe_start(proxy, target.start_s)
    is_ours = "journal" in target.can
    if start.problem:
        return HangEvidence(start)
    restart_s = STACK_S + max(RESTART_BUDGET_S, start.elapsed_s)
    gateway.standing = silent
    hangs: dict[str, HangObservation] = {}
    for name in tuple(SIGNALS) if is_ours else ("stopped",):
        threading.Thread(target=proxy.chat, args=(WORDS,), daemon=True).start()
        observe("the chat is in flight", lambda: len(gateway.chats) > len(hangs), within_s=target.start_s)
        if is_ours:
            wait_next_standby(proxy, len(hangs))
        hangs[name] = hang(proxy, name, NOTICED_S[name] + restart_s if is_ours else target.hang_s)
        if hangs[name].replaced_s is None:
            break
    logs = (path.read_bytes() for path in proxy.folder.rglob("*") if path.is_file())
    has_text = is_ours and any(word.encode() in log for log in logs for word in WORDS.split()[-1:])
    return HangEvidence(start, hangs, has_text)


def wait_next_standby(proxy: LaunchedTarget, taken: int) -> None:
    """Wait until a standby is ready after so many were taken: else the time of its boot would be measured, too."""
    observe(
        "a standby is ready",
        lambda: len(proxy.journal.events(name="standby_ready")) > taken,
        within_s=proxy.target.start_s,
    )


def hang(proxy: LaunchedTarget, name: str, within_s: float) -> HangObservation:
    """Let what serves hang, and observe what follows; a hang that nobody notices is ended here."""
    victims = find_victims(proxy)
    number, condition = SIGNALS[name]
    mark, since_mono_s = proxy.journal.mark(), time.monotonic()
    for ref in victims:
        ref.send(number)
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
        return HangObservation(within_s, connected, replaced_s)
    return HangObservation(
        within_s,
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
