"""The evidence of a loop of crashes: what the journal says of each death, and how the loop ends."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import dataclass
from typing import Any

import psutil

from lumen_conformance.processes.process_tree import ProcessRef
from lumen_conformance.registry.journal_event import JournalEvent
from lumen_conformance.registry.measurement import rounded
from lumen_conformance.stages.observations import is_port_free
from lumen_conformance.stages.stage_steps import StageStep
from lumen_conformance.targets.launch import LaunchedTarget, Launcher
from lumen_conformance.waiting import observe

REPLACED_BY = {"worker_spawned", "ready"}  # a new worker is started, or a standby is ready


@dataclass(frozen=True)
class ScheduledRestart:
    """A restart of the journal; ``gap_s`` is the time until a worker followed, None when none did."""

    delay_s: float
    delay_cap_s: float
    gap_s: float | None


@dataclass(frozen=True)
class CrashLoop(StageStep):
    """The evidence. Without an end ``exit_status`` is None, and ``state`` is that of the running proxy.

    ``deaths``       exit statuses and signals (negative) of the workers
    ``generations``  those of the workers that were ready
    ``state``        what `lumen-proxy status` shows at the end, if it was run, and ``last_failure``
    ``cpu_s``        the processor time of the supervisor until shortly before the end
    """

    deaths: tuple[int, ...]
    spawned: int
    generations: tuple[int, ...]
    restarts: tuple[ScheduledRestart, ...]
    gave_up: tuple[int, ...]
    exit_status: int | None
    is_port_free: bool
    state: str
    last_failure: str
    log_bytes: int
    cpu_s: float
    elapsed_s: float


class LoopMonitor:
    """Observes one launch from its start; the processor time of its supervisor is that of the last look."""

    def __init__(self, launch: Launcher, proxy: LaunchedTarget) -> None:
        self._launch, self._proxy = launch, proxy
        self._started_s = time.monotonic()
        self._cpu_s = 0.0

    def wait_deaths(self, number: int, within_s: float) -> None:
        """Wait for so many deaths of workers, or for the end of the loop."""

        def has_come() -> bool:
            self._cpu_s = max(self._cpu_s, processor_s(self._proxy.ref))
            return len(self._proxy.journal.events(name="worker_died")) >= number

        observe(f"{number} deaths", has_come, within_s=within_s, give_up=self._proxy.end_reason)

    def end(self, exit_s: float, *, shown: bool = False) -> CrashLoop:
        """Wait for the end of the loop, and return what happened.

        `shown` adds what `lumen-proxy status` prints; the port has to be reserved, or it may name another program.
        """
        proxy = self._proxy
        status = proxy.observe_exit(exit_s)
        port = next((event["port"] for event in proxy.journal.events(name="started")), 0)
        is_free = bool(port) and is_port_free(port)
        elapsed_s = time.monotonic() - self._started_s
        status_shown = read_status(self._launch, proxy, port) if shown else {}
        events = proxy.journal.events()
        named = {name: [event for event in events if event.name == name] for name in {each.name for each in events}}
        return CrashLoop(
            deaths=tuple(describe_death(event) for event in named.get("worker_died", ())),
            spawned=sum(not event.fields.get("standby") for event in named.get("worker_spawned", ())),
            generations=tuple(event["generation"] for event in named.get("ready", ())),
            restarts=list_restarts(events),
            gave_up=tuple(event["deaths"] for event in named.get("gave_up", ())),
            exit_status=status,
            is_port_free=is_free,
            state=str(status_shown.get("state")),
            last_failure=str(status_shown.get("last_failure")),
            log_bytes=sum(path.stat().st_size for path in proxy.folder.rglob("*") if path.suffix in {".log", ".jsonl"}),
            cpu_s=self._cpu_s,
            elapsed_s=elapsed_s,
        )


def describe_death(event: JournalEvent) -> int:
    """Return the exit status of a worker, or minus its signal."""
    return int(-event["signal"] if "signal" in event.fields else event["exit_status"])


def list_restarts(events: tuple[JournalEvent, ...]) -> tuple[ScheduledRestart, ...]:
    """Return the restarts, each with the time until the next worker; the start of a standby is none."""
    found = []
    for number, event in enumerate(events):
        if event.name == "restart_scheduled":
            after = (each for each in events[number:] if each.name in REPLACED_BY and not each.fields.get("standby"))
            following = next(after, None)
            gap_s = rounded(following.mono_s - event.mono_s) if following else None
            found.append(ScheduledRestart(event["delay_s"], event["delay_cap_s"], gap_s))
    return tuple(found)


def read_status(launch: Launcher, proxy: LaunchedTarget, port: int) -> dict[str, Any]:
    """Return what `lumen-proxy status --json` prints about this launch; empty when it prints no JSON."""
    printed = launch.run("status", "--json", "--port", str(port), env={"LUMEN_STATE_DIR": str(proxy.state_dir)})
    try:
        shown = json.loads(printed.stdout)
    except ValueError:
        return {}
    return shown if isinstance(shown, dict) else {}


def processor_s(ref: ProcessRef) -> float:
    """Return the processor time of a process, without its children; 0 when it has ended."""
    with contextlib.suppress(psutil.Error):
        times = psutil.Process(ref.pid).cpu_times()
        return float(times.user + times.system)
    return 0.0
