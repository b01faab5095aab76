"""What a soak test does to the proxy and to its gateway, and the record of it for the oracle."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from lumen_conformance.gateway.exchange import Reply
from lumen_conformance.gateway.replies import drip, echo, garbage, reset_after_request, respond_with, silent
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.processes.process_tree import ProcessRef
from lumen_conformance.registry.journal_event import JournalEvent
from lumen_conformance.waiting import observe
from tests.soak.clients import SoakClients, ask
from tests.soak.oracle import Disturbance
from tests.soak.plan import PlannedStep
from tests.soak.proxy import BREAKER_OPEN_S, GATEWAY_DEADLINE_S, WATCHDOG_S, SoakedProxy

LAST_QUESTIONS: Final = 20
SETTLE_S: Final = 10.0  # until the proxy serves again; scenario 5 allows the worst restart as much
HANG_S: Final = 5 * WATCHDOG_S  # far above the bound that scenario 8 asserts
# After the end of a fault of the gateway: the calls that began in it have a deadline, and then the breaker is open. The
# same again for a probe of the breaker that began in the fault.
AFTER_GATEWAY_S: Final = 2 * (GATEWAY_DEADLINE_S + BREAKER_OPEN_S)
REPLACING: Final = frozenset({"worker killed", "worker crashed", "worker hangs"})
"""The disturbances after which the supervisor promotes another worker."""
GATEWAY_FAULTS: Final[dict[str, Reply]] = {
    "gateway silent": silent,
    "gateway slow": drip(0.05),
    "gateway answers 500": respond_with({"detail": "Internal Server Error"}, 500),
    "gateway resets": reset_after_request,
    "gateway sends garbage": garbage,
}


class DisturbanceRecord:
    """The disturbances so far, and the problems: what did not happen although it must."""

    def __init__(self) -> None:
        self.disturbances: list[Disturbance] = []
        self.problems: list[str] = []
        self.ended_by_us: set[int] = set()
        self.hung_by_us: set[int] = set()

    @contextmanager
    def lasting(self, name: str, after_s: float = 0.0) -> Iterator[None]:
        """Record a disturbance that lasts as long as the block, and then so many seconds."""
        position = len(self.disturbances)
        self.disturbances.append(Disturbance(name, time.monotonic()))
        try:
            yield
        finally:
            self.disturbances[position] = replace(self.disturbances[position], ended_s=time.monotonic() + after_s)

    def list_unexpected_ends(self, events: Iterable[JournalEvent]) -> tuple[str, ...]:
        """Return the events of the journal about ends and hangs that this test did not cause."""
        return tuple(
            f"{event.name} {event.fields}"
            for event in events
            if (event.name in {"worker_died", "standby_died"} and event["pid"] not in self.ended_by_us)
            or (event.name == "worker_hung" and event["pid"] not in self.hung_by_us)
            or event.name in {"gave_up", "standby_off"}
        )

    def add_drains(self, events: Iterable[JournalEvent]) -> None:
        """Record when each stop reached the proxy: the command takes some time to get there."""
        stops = [one for one in self.disturbances if one.name == "stop and start"]
        for event in (event for event in events if event.name == "draining"):
            ended_s = next((one.ended_s for one in stops if one.begun_s <= event.mono_s <= one.ended_s), None)
            if ended_s is not None:
                self.disturbances.append(Disturbance("drain", event.mono_s, ended_s))

    def rest(self, proxy: SoakedProxy) -> bool:
        """Wait until the last disturbance is over; return whether each of the next questions is answered."""
        wait(AFTER_GATEWAY_S)
        questions = [f"마지막 질문 {number}" for number in range(LAST_QUESTIONS)]
        return all(ask(proxy.url, question) == "answered" for question in questions)


class ProcessDisturbances:
    """Kills, hangs, stops and restarts."""

    def __init__(self, proxy: SoakedProxy, record: DisturbanceRecord) -> None:
        self._proxy, self._record = proxy, record
        self._acts: dict[str, Callable[[PlannedStep], None]] = {
            "worker killed": lambda step: self._end_one(step, proxy.worker(), ProcessRef.kill),
            "worker crashed": lambda step: self._end_one(step, proxy.worker(), lambda ref: ref.send(signal.SIGSEGV)),
            "standby killed": lambda step: self._end_one(step, proxy.standby(), ProcessRef.kill),
            "worker hangs": self._hang,
            "processes suspended": self._suspend,
            "restart": self._restart,
            "stop and start": self._stop_and_start,
            "supervisor killed": lambda step: self._kill_and_start(step, whole=False),
            "all processes killed": lambda step: self._kill_and_start(step, whole=True),
        }

    def act(self, step: PlannedStep) -> None:
        """Do one step, and wait until the proxy serves again."""
        mark = self._proxy.journal.mark()
        self._acts[step.name](step)
        if step.name not in REPLACING:
            return
        if self._proxy.journal.observe("ready", since=mark, within_s=SETTLE_S) is None:
            self._record.problems.append(f"no worker was ready within {SETTLE_S:g} s after: {step.name}")

    def _end_one(self, step: PlannedStep, victim: ProcessRef | None, end: Callable[[ProcessRef], None]) -> None:
        if victim is None:
            return  # a standby that is not there at the moment
        self._record.ended_by_us.add(victim.pid)
        with self._record.lasting(step.name):
            end(victim)
            self._observe_end(step, (victim,))

    def _hang(self, step: PlannedStep) -> None:
        worker = self._proxy.worker()
        if worker is None:
            return
        self._record.hung_by_us.add(worker.pid)
        self._record.ended_by_us.add(worker.pid)
        with self._record.lasting(step.name):
            worker.suspend()
            if not observe("the watchdog ends it", lambda: worker.state() == "gone", within_s=HANG_S):
                self._record.problems.append(f"a stopped worker was not replaced within {HANG_S:g} s")
                worker.kill()

    def _suspend(self, step: PlannedStep) -> None:
        processes = self._proxy.processes()
        with self._record.lasting(step.name):
            for ref in processes:
                ref.suspend()
            wait(step.length_s)
            for ref in processes:
                ref.resume()

    def _restart(self, step: PlannedStep) -> None:
        processes = self._proxy.processes()
        self._record.ended_by_us |= {ref.pid for ref in processes}
        with self._record.lasting(step.name):
            self._proxy.restart()
            if not observe("the old processes have ended", lambda: not _running(processes), within_s=SETTLE_S):
                self._record.problems.append("processes of before the restart still run")

    def _stop_and_start(self, step: PlannedStep) -> None:
        processes = self._proxy.processes()
        self._record.ended_by_us |= {ref.pid for ref in processes}
        with self._record.lasting(step.name):
            self._proxy.stop()
            if _running(processes):
                self._record.problems.append("lumen-proxy stop returned before the processes had ended")
            self._proxy.start()

    def _kill_and_start(self, step: PlannedStep, *, whole: bool) -> None:
        processes = self._proxy.processes()
        self._record.ended_by_us |= {ref.pid for ref in processes}
        with self._record.lasting(step.name):
            for ref in processes if whole else processes[:1]:
                ref.kill()
            if not self._proxy.has_ended(processes):
                self._record.problems.append(f"processes or the port remain after: {step.name}")
            self._proxy.start()

    def _observe_end(self, step: PlannedStep, processes: tuple[ProcessRef, ...]) -> None:
        if not observe("it has ended", lambda: not _running(processes), within_s=SETTLE_S):
            self._record.problems.append(f"a process still runs after: {step.name}")


class GatewayDisturbances:
    """Faults of the gateway, and more clients than the proxy admits."""

    def __init__(self, gateway: ScriptedGateway, clients: SoakClients, record: DisturbanceRecord) -> None:
        self._gateway, self._clients, self._record = gateway, clients, record

    def act(self, step: PlannedStep) -> None:
        """Do one step."""
        if step.name == "more clients":
            with self._record.lasting(step.name):
                self._clients.crowd()
        elif step.name == "gateway down":
            with self._record.lasting(step.name, AFTER_GATEWAY_S):
                self._gateway.down()
                wait(step.length_s)
                self._gateway.up()
        else:
            with self._record.lasting(step.name, AFTER_GATEWAY_S):
                self._gateway.standing = GATEWAY_FAULTS[step.name]
                wait(step.length_s)
                self._gateway.standing = echo


def wait(for_s: float) -> None:
    """Let time pass: a disturbance lasts as long as its plan says."""
    threading.Event().wait(for_s)


def _running(processes: tuple[ProcessRef, ...]) -> bool:
    return any(ref.state() == "running" for ref in processes)
