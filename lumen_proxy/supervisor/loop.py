"""The supervisor's loop: it owns the listening sockets and keeps one worker on them. It never serves a request itself.

The loop waits on one queue. An event is a message from a worker, the exit of a worker, a stop signal, a `Timeout` (no
event came before the deadline of the current state) or a `Checkup`.

    state               event                       action                                            next state
    ------------------  --------------------------  ------------------------------------------------  ----------
    BOOTING             message imported            promote the worker: new generation, sockets       PROMOTED
    PROMOTED            message ready               write the journal and the state file              SERVING
    BOOTING, PROMOTED   timeout (BOOT_S)            kill the worker; its exit is the next event       KILLED
    KILLED              timeout (KILL_S)            kill the worker again                             KILLED
    BOOTING to SERVING  exit, permanent status      end with the same status                          STOPPED
    BOOTING to SERVING  exit, limit reached         write gave_up, end with 70                        STOPPED
    BOOTING to SERVING  exit, any other             schedule a restart                                WAITING
    WAITING             timeout (back-off)          start a worker                                    BOOTING
    WAITING             stop signal                 end with 0                                        STOPPED
    BOOTING to KILLED   stop signal                 kill the worker; it serves no request yet         ENDING
    SERVING             stop signal                 close the port, tell the worker to drain          DRAINING
    DRAINING            message drained             store how many requests were cut                  DRAINING
    DRAINING            stop signal, timeout        kill the worker; 70 unless no request was cut     ENDING
    DRAINING            exit                        end with 0 if no request was cut, else with 70    STOPPED
    ENDING              exit, timeout (KILL_S)      end                                               STOPPED
    any                 checkup                     restore the lock and state files                  unchanged

"A to B" is each state from A to B in the order of `State`. The loop ignores any other event, and all events of a
worker that was replaced.
"""

from __future__ import annotations

import queue
import signal
import time
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from lumen_proxy.errors import PERMANENT, Exit, Fatal
from lumen_proxy.ipc import Drained, Imported, Ready, restarts_before
from lumen_proxy.supervisor.backoff import Backoff, GiveUp
from lumen_proxy.supervisor.spawn import WorkerExit, WorkerMessage, WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Callable

    from lumen_proxy.config import Settings
    from lumen_proxy.ipc import Identity
    from lumen_proxy.logs.journal import Journal
    from lumen_proxy.supervisor.instance import Instance
    from lumen_proxy.supervisor.listener import Listener

BOOT_S = 30.0  # to readiness; measured: 0.2 s warm, 0.8 s without bytecode, several on a loaded machine
DRAIN_GRACE_S = 2.0  # after its own deadline a worker still writes its error events
KILL_S = 5.0  # from SIGKILL to the end; longer only for a process stuck in the kernel


class State(Enum):
    """The state of the loop."""

    BOOTING = "booting"
    PROMOTED = "promoted"
    KILLED = "killed"
    SERVING = "serving"
    WAITING = "waiting"
    DRAINING = "draining"
    ENDING = "ending"
    STOPPED = "stopped"

    @property
    def phase(self) -> str:
        """What the state file shows."""
        return "booting" if self in {State.PROMOTED, State.KILLED} else self.value


@dataclass(frozen=True)
class Timeout:
    """The deadline of the current state has passed."""


@dataclass(frozen=True)
class Checkup:
    """Time to restore deleted files of this instance."""


Event = WorkerMessage | WorkerExit | signal.Signals | Timeout | Checkup


@dataclass(frozen=True)
class SupervisorContext:
    """What the loop works with.

    `spawn` starts a worker and raises OSError, `notify` prints one line for people, `identity` is what
    each worker receives when it is promoted, without its generation. `observer` shows the loop to other commands.
    """

    settings: Settings
    listener: Listener
    journal: Journal
    spawn: Callable[[], WorkerProcess]
    notify: Callable[[str], None]
    identity: Identity
    observer: Instance


class Loop:
    """One run of the supervisor, from the first worker to the exit status.

    Raises Fatal (71) if the first worker cannot be started.
    """

    def __init__(self, context: SupervisorContext, events: queue.SimpleQueue[Event]) -> None:
        settings = context.settings
        self.context = context
        self.events = events
        self.backoff = Backoff(
            base_s=settings.restart_backoff_s, limit=settings.max_restarts, window_s=settings.restart_window_s
        )
        self.state = State.WAITING
        self.deadline: float | None = None
        self.worker: WorkerProcess | None = None
        self.generation = 0  # promotions so far
        self.cut: int | None = None  # requests cut by the drain; None = unknown
        self.exit_status = Exit.OK

    def run(self) -> Exit:
        """Block until the end; return the exit status."""
        self._boot()
        while self.state is not State.STOPPED:
            self._handle(self._next_event())
        return self.exit_status

    def _next_event(self) -> Event:
        remaining_s = None if self.deadline is None else max(0.0, self.deadline - time.monotonic())
        try:
            return self.events.get(timeout=remaining_s)
        except queue.Empty:
            return Timeout()

    def _handle(self, event: Event) -> None:  # noqa: C901, PLR0912 - the table above, line by line
        if isinstance(event, Checkup):
            self.context.observer.restore_files()
            return
        if isinstance(event, WorkerMessage | WorkerExit) and event.worker is not self.worker:
            return
        match self.state, event:
            case State.BOOTING, WorkerMessage(worker, Imported(pid)):
                self._promote(worker, pid)
            case State.PROMOTED, WorkerMessage(worker, Ready()):
                self._enter_service(worker)
            case ((State.BOOTING | State.PROMOTED), Timeout()):
                self._kill_slow_worker(f"was not ready within {BOOT_S:g} s; it is killed and replaced")
            case State.KILLED, Timeout():
                self._kill_slow_worker(f"did not end within {KILL_S:g} s after it was killed; it is killed again")
            case ((State.BOOTING | State.PROMOTED | State.KILLED | State.SERVING), WorkerExit(worker, status)):
                self._handle_crash(worker, status)
            case State.WAITING, Timeout():
                self._boot()
            case State.WAITING, signal.Signals():
                self._record_stop(event.name)
                self._end(Exit.OK)
            case ((State.BOOTING | State.PROMOTED | State.KILLED), signal.Signals()):
                self._record_stop(event.name)
                self._kill(Exit.OK)
            case State.SERVING, signal.Signals():
                self._record_stop(event.name)
                self._drain()
            case State.DRAINING, WorkerMessage(_, Drained(cut)):
                self.cut = cut
            case State.DRAINING, (signal.Signals() | Timeout()):
                self._kill(Exit.OK if self.cut == 0 else Exit.SOFTWARE)
            case State.DRAINING, WorkerExit(worker, status):
                self._finish_drain(worker, status)
            case State.ENDING, (WorkerExit() | Timeout()):
                self._end(self.exit_status)

    def _move(self, state: State, within_s: float | None = None) -> None:
        self.state = state
        self.deadline = None if within_s is None else time.monotonic() + within_s
        self.context.observer.enter_phase(state.phase)

    def _boot(self) -> None:
        try:
            self.worker = self.context.spawn()
        except OSError as error:
            if self.worker is None:  # no worker was started so far
                problem = f"cannot start a worker process: {error.strerror}"
                raise Fatal(
                    f"{problem}; check the process and file limits of this user (ulimit -a)", Exit.OS
                ) from error
            self._back_off(f"cannot start a worker process: {error.strerror}")
            return
        self._move(State.BOOTING, BOOT_S)
        self.context.journal.write("worker_spawned", pid=self.worker.pid)

    def _promote(self, worker: WorkerProcess, pid: int) -> None:
        self.state = State.PROMOTED  # the deadline remains: it covers the time from the start to readiness
        self.generation += 1
        worker.promote(pid, replace(self.context.identity, generation=self.generation))

    def _enter_service(self, worker: WorkerProcess) -> None:
        self._move(State.SERVING)
        self.backoff.record_ready(time.monotonic())
        listener = self.context.listener
        self.context.journal.write(
            "ready",
            pid=worker.pid,
            generation=self.generation,
            restarts=restarts_before(self.generation),
            port=listener.port,
            hosts=listener.hosts,
            supervisor_pid=self.context.identity.supervisor_pid,
        )
        self.context.observer.publish_generation(self.generation)

    def _kill_slow_worker(self, problem: str) -> None:
        self.context.notify(f"the worker {problem}")
        self._move(State.KILLED, KILL_S)
        if self.worker:
            self.worker.kill()

    def _handle_crash(self, worker: WorkerProcess, status: int) -> None:
        self._journal_exit(worker, status)
        worker.close()
        if status in PERMANENT:
            reason = f"the worker ended with {_describe_status(status)}; a restart does not help"
            self.context.observer.record_end("failed", reason)
            self._end(Exit(status))
        else:
            self._back_off(f"worker {worker.pid} ended with {_describe_status(status)}")

    def _back_off(self, problem: str) -> None:
        self.context.observer.note_failure(problem)
        decision = self.backoff.record_exit(time.monotonic())
        if isinstance(decision, GiveUp):
            self._give_up(problem, decision)
            return
        self.context.journal.write(
            "restart_scheduled",
            delay_s=decision.delay_s,
            delay_cap_s=decision.delay_cap_s,
            deaths_in_window=decision.exits_in_window,
        )
        self.context.notify(f"{problem}; a new worker starts in {decision.delay_s:.2f} s")
        self._move(State.WAITING, decision.delay_s)

    def _give_up(self, problem: str, decision: GiveUp) -> None:
        count = f"{decision.exits} worker exits in {decision.window_s:g} s"
        self.context.observer.record_end("gave up", f"{count}; last: {problem}")
        self.context.journal.write("gave_up", deaths=decision.exits, window_s=decision.window_s)
        self.context.notify(f"{problem}; giving up after {count}; see {self.context.journal.path}")
        self._end(Exit.SOFTWARE)

    def _record_stop(self, reason: str) -> None:
        self.context.journal.write("draining", reason=reason)

    def _drain(self) -> None:
        drain_s = self.context.settings.drain_s
        self._move(State.DRAINING, drain_s + DRAIN_GRACE_S)
        self.context.listener.close()  # the worker has its own copies and closes them
        if self.worker:
            self.worker.drain(drain_s)

    def _finish_drain(self, worker: WorkerProcess, status: int) -> None:
        if status == Exit.OK:
            self.cut = self.cut or 0  # status 0 also means that nothing was cut, if the last message was lost
        elif status != Exit.SOFTWARE:
            self._journal_exit(worker, status)
        self.context.journal.write("drained", cut=self.cut)
        self._end(Exit.OK if status == Exit.OK and not self.cut else Exit.SOFTWARE)

    def _kill(self, exit_status: Exit) -> None:
        self.exit_status = exit_status
        self._move(State.ENDING, KILL_S)
        if self.worker:
            self.worker.kill()

    def _end(self, exit_status: Exit) -> None:
        self.exit_status = exit_status
        self._move(State.STOPPED)

    def _journal_exit(self, worker: WorkerProcess, status: int) -> None:
        cause = {"signal": -status} if status < 0 else {"exit_status": status}
        was_serving = self.state in {State.SERVING, State.DRAINING}
        self.context.journal.write(
            "worker_died", pid=worker.pid, generation=self.generation, was_serving=was_serving, **cause
        )


def _describe_status(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit status {status}"
