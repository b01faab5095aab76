"""The standby: a second worker process that has imported its modules and waits for its promotion.

The loop takes the standby when its worker has ended. The standby has a back-off of its own: its exits never count as
exits of the worker, and never close the port.

    state               event                          action                                        next state
    ------------------  -----------------------------  --------------------------------------------  ----------
    WAITING             a worker serves                set the deadline to the end of the back-off   WAITING
    WAITING             timeout (back-off)             start a process                               BOOTING
    BOOTING             message imported               write standby_ready                           READY
    BOOTING             timeout (BOOT_S)               kill the process; its exit is the next event  KILLED
    KILLED              timeout (KILL_S)               kill the process again                        KILLED
    BOOTING to KILLED   exit, limit reached            write standby_died and standby_off            OFF
    BOOTING to KILLED   exit, permanent status         write standby_died and standby_off            OFF
    BOOTING to KILLED   exit, any other                write standby_died, set the deadline          WAITING
    BOOTING, READY      the loop takes the process     forget the process                            WAITING
    any                 the supervisor stops           kill the process, wait for its exit           OFF

"A to B" is each state from A to B in the order of `StandbyState`. Any other event is ignored.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from lumen_proxy.errors import PERMANENT
from lumen_proxy.ipc import Imported
from lumen_proxy.supervisor import time_limits
from lumen_proxy.supervisor.backoff import Backoff, GiveUp
from lumen_proxy.supervisor.reporter import cause_of, describe_limit, describe_status
from lumen_proxy.supervisor.spawn import WorkerExit, WorkerMessage, WorkerProcess
from lumen_proxy.supervisor.states import StandbyTimeout

if TYPE_CHECKING:
    from lumen_proxy.supervisor.context import SupervisorContext


class StandbyState(Enum):
    """The state of the standby."""

    WAITING = auto()
    BOOTING = auto()
    READY = auto()
    KILLED = auto()
    OFF = auto()


@dataclass(frozen=True)
class Taken:
    """A process that becomes the worker. `pid` is None while it imports, until `boot_by` at the latest."""

    worker: WorkerProcess
    pid: int | None
    boot_by: float | None


class Standby:
    """The standby of a supervisor, or the wait for one."""

    def __init__(self, context: SupervisorContext) -> None:
        self._context = context
        self._backoff = Backoff.of(context.settings)
        self.state = StandbyState.WAITING if context.settings.standby else StandbyState.OFF
        self.deadline: float | None = None
        self._worker: WorkerProcess | None = None
        self._pid: int | None = None  # as the process itself knows it, when it has imported
        self._start_at = 0.0  # the end of the back-off

    def owns(self, event: object) -> bool:
        """Whether the event is of the standby, and not of the worker."""
        if isinstance(event, WorkerMessage | WorkerExit):
            return event.worker is self._worker
        return isinstance(event, StandbyTimeout)

    def start(self) -> None:
        """Start a process soon: a worker serves."""
        if self.state is StandbyState.WAITING:
            self.deadline = self._start_at

    def take(self) -> Taken | None:
        """Give the process to the loop, if there is one that will serve."""
        if self.state is StandbyState.WAITING:
            self.deadline = None  # until a worker serves
        if self._worker is None or self.state not in {StandbyState.BOOTING, StandbyState.READY}:
            return None
        taken = Taken(self._worker, self._pid, self.deadline)
        self._worker = None
        self._backoff.record_taken()
        self._move(StandbyState.WAITING)
        return taken

    def end(self) -> None:
        """Kill the process, if there is one, and wait for its end. No other is started."""
        self._move(StandbyState.OFF)
        if self._worker:
            self._worker.end(time_limits.KILL_S)
            self._worker.close()
            self._worker = None

    def handle(self, event: object) -> None:
        """Handle one event that it `owns`."""
        match self.state, event:
            case StandbyState.WAITING, StandbyTimeout():
                self._boot()
            case StandbyState.BOOTING, WorkerMessage(worker, Imported(pid)):
                self._wait_for_promotion(worker, pid)
            case StandbyState.BOOTING, StandbyTimeout():
                self._kill(f"was not ready within {time_limits.BOOT_S:g} s")
            case StandbyState.KILLED, StandbyTimeout():
                self._kill(f"did not end within {time_limits.KILL_S:g} s after it was killed")
            case ((StandbyState.BOOTING | StandbyState.READY | StandbyState.KILLED), WorkerExit(worker, status)):
                self._handle_exit(worker, status)

    def _move(self, state: StandbyState, within_s: float | None = None) -> None:
        self.state = state
        self.deadline = None if within_s is None else time.monotonic() + within_s

    def _boot(self) -> None:
        self._pid = None
        try:
            self._worker = self._context.spawn()
        except OSError as error:
            self._back_off(f"a standby process cannot be started: {error.strerror}")
            return
        self._move(StandbyState.BOOTING, time_limits.BOOT_S)
        self._context.journal.write("worker_spawned", pid=self._worker.pid, standby=True)

    def _wait_for_promotion(self, worker: WorkerProcess, pid: int) -> None:
        worker.pid = self._pid = pid
        self._move(StandbyState.READY)
        self._backoff.record_ready(time.monotonic())
        self._context.journal.write("standby_ready", pid=pid)

    def _kill(self, problem: str) -> None:
        self._context.notify(f"the standby {problem}; it is killed")
        self._move(StandbyState.KILLED, time_limits.KILL_S)
        if self._worker:
            self._worker.kill()

    def _handle_exit(self, worker: WorkerProcess, status: int) -> None:
        self._context.journal.write("standby_died", pid=worker.pid, **cause_of(status))
        worker.close()
        self._worker = None
        self._back_off(f"standby {worker.pid} ended with {describe_status(status)}", is_permanent=status in PERMANENT)

    def _back_off(self, problem: str, *, is_permanent: bool = False) -> None:
        now = time.monotonic()
        decision = self._backoff.record_exit(now)
        if isinstance(decision, GiveUp):
            self._switch_off(f"{problem}; {describe_limit(decision)}", decision.exits)
        elif is_permanent:
            self._switch_off(problem, decision.exits_in_window)
        else:
            self.state, self._start_at = StandbyState.WAITING, now + decision.delay_s
            self.deadline = self._start_at

    def _switch_off(self, problem: str, deaths: int) -> None:
        self._move(StandbyState.OFF)
        self._context.journal.write("standby_off", deaths=deaths)
        self._context.notify(f"{problem}; no standby is started any more, so that a restart takes longer")
