"""Cause what looks like a hang and is none: load, a slow gateway, a suspension of all processes, a clock step."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from lumen_conformance.gateway.replies import silent
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.inject.lumen_conditions import CLOCK_FILE, conditions
from lumen_conformance.processes.process_tree import list_running
from lumen_conformance.registry.journal_event import JournalEvent
from lumen_conformance.stages.hang import SETTINGS, WORDS
from lumen_conformance.stages.kill_storm import Clients, is_answered
from lumen_conformance.stages.observations import StartObservation, observe_start
from lumen_conformance.stages.stage_steps import StageStep
from lumen_conformance.stages.victims import find_supervisor, find_victims
from lumen_conformance.targets.launch import LaunchedTarget, Launcher
from lumen_conformance.targets.target import Target
from lumen_conformance.waiting import observe

# LUMEN_WATCHDOG_S of the second launch: a busy machine may keep a worker from the processor for a while.
HEALTHY_S = 1.5
PHASE_S = 1.4 * HEALTHY_S  # a hang is noticed within the limit, and the kill follows within milliseconds
FIRST_S = HEALTHY_S / 6  # two thirds of the time between two looks of the watchdog, of which three find a hang
LONGEST_PHASE_S = 60.0  # of another server, whose time limit is declared
CLIENTS = 16
STEP_S = 3_600  # from summer to winter time


@dataclass(frozen=True)
class HealthyEvidence(StageStep):
    """The evidence: the workers that were replaced in each phase, and the requests that were answered in the first."""

    start: StartObservation
    replaced: dict[str, tuple[str, ...]] = field(default_factory=dict)
    answered: int = 0


def disturb_worker(launch: Launcher, gateway: ScriptedGateway, target: Target, folder: Path) -> HealthyEvidence:
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
    """Return the processes that served before a phase and have ended in it, with what the journal says of them."""
    before, mark, since_mono_s = find_victims(proxy), proxy.journal.mark(), time.monotonic()
    phase()
    running = list_running(before)
    hung = {event.fields.get("pid"): event for event in proxy.journal.events(mark, "worker_hung")}
    return tuple(describe_end(ref.pid, hung.get(ref.pid), since_mono_s) for ref in before if ref not in running)


def describe_end(pid: int, event: JournalEvent | None, since_mono_s: float) -> str:
    """Return which process has ended, and when and why, if its supervisor says that it replaced it."""
    if event is None:
        return f"process {pid}"
    after = f"replaced as hung after {event.mono_s - since_mono_s:.1f} s"
    return f"worker {pid}, {after}: silent for {event.fields.get('silent_s')} s"


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
