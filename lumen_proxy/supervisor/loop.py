"""The supervisor's loop: it owns the listening sockets and keeps one worker on them. It never serves a request itself.

The loop waits on one queue. An event is a message from a worker, the exit of a worker, a stop signal, a `Timeout` (no
event came before the deadline of the current state) or a `Checkup`. The standby, a second worker process that waits
for its promotion, handles its own events: see `standby`.

    state               event                       action                                            next state
    ------------------  --------------------------  ------------------------------------------------  ----------
    BOOTING             message imported            promote the worker: new generation, sockets       PROMOTED
    PROMOTED            message ready               write the journal, start a standby                SERVING
    BOOTING, PROMOTED   timeout, see `time_limits`  kill the worker; its exit is the next event       KILLED
    SERVING             message beat                a sign of life, see `watchdog`                    SERVING
    SERVING             timeout (tick), not hung    probe a silent worker                             SERVING
    SERVING             timeout (tick), hung        ask the worker for its stack                      HUNG
    HUNG                timeout (stack or DUMP_S)   write worker_hung, kill the worker                KILLED
    KILLED              timeout (KILL_S)            kill the worker again                             KILLED
    BOOTING to SERVING  exit, permanent status      end with the same status                          STOPPED
    BOOTING to SERVING  exit, limit reached         write gave_up, end with 70                        STOPPED
    BOOTING to SERVING  exit, any other             schedule a restart                                WAITING
    WAITING             timeout, standby ready      promote the standby: new generation, sockets      PROMOTED
    WAITING             timeout, standby boots      the standby becomes the worker                    BOOTING
    WAITING             timeout, no standby         start a worker                                    BOOTING
    WAITING             stop signal                 end with 0                                        STOPPED
    BOOTING to KILLED   stop signal                 kill the worker; it does not serve                ENDING
    SERVING             stop signal                 close the port, tell the worker to drain          DRAINING
    DRAINING            message drained             store how many requests were cut                  DRAINING
    DRAINING            stop signal, timeout        kill the worker; 70 unless no request was cut     ENDING
    DRAINING            exit                        end with 0 if no request was cut, else with 70    STOPPED
    ENDING              exit, timeout (KILL_S)      end                                               STOPPED
    BOOTING to WAITING  take over                   give copies of the lock and the sockets           unchanged
    DRAINING to ENDING  take over                   refuse                                            unchanged
    BOOTING to KILLED   commit                      hand over, kill the worker                        ENDING
    SERVING             commit                      hand over, tell the worker to drain               HANDED_OVER
    WAITING             commit                      hand over, end with 0                             STOPPED
    HANDED_OVER         stop signal                 as a drain that was requested by a signal         DRAINING
    HANDED_OVER         any other                   as DRAINING                                       as DRAINING
    BOOTING, PROMOTED   cancelled before commit     kill the worker, end with 70                      ENDING
    any                 checkup                     restore lock, state file and offer                unchanged

"A to B" is each state from A to B in the order of `State`. Before a drain and before any end the loop kills the standby
and waits for its exit: the standby has a copy of the listening sockets. The loop ignores any other event, and all
events of a worker that was replaced.

A new supervisor that takes a port over (see `offer`) is the owner from its first message ready on. Until then any exit
of its worker ends it with 70: the old supervisor serves.
"""

from __future__ import annotations

import signal
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from lumen_proxy.errors import PERMANENT, Exit, Fatal
from lumen_proxy.ipc import Beat, Drained, Imported, Ready
from lumen_proxy.supervisor import time_limits
from lumen_proxy.supervisor.backoff import Backoff, GiveUp
from lumen_proxy.supervisor.event_queue import Event, next_event
from lumen_proxy.supervisor.handover import Handover
from lumen_proxy.supervisor.hang import DUMP_POLL_S, HangDetector
from lumen_proxy.supervisor.offer import Commit, Left, TakeOver
from lumen_proxy.supervisor.predecessor import Cancelled
from lumen_proxy.supervisor.reporter import Reporter, describe_status
from lumen_proxy.supervisor.spawn import WorkerExit, WorkerMessage, WorkerProcess
from lumen_proxy.supervisor.standby import Standby
from lumen_proxy.supervisor.states import Checkup, StandbyTimeout, State, Timeout

if TYPE_CHECKING:
    import queue

    from lumen_proxy.supervisor.context import SupervisorContext


class Loop:
    """One run of the supervisor. Raises Fatal (71) if the first worker cannot be started."""

    def __init__(self, context: SupervisorContext, events: queue.SimpleQueue[Event]) -> None:
        self.context = context
        self.events = events
        self.backoff = Backoff.of(context.settings)
        self.standby = Standby(context)
        self.hang = HangDetector(context, events.put)
        self.reporter = Reporter(context)
        self.handover = Handover(context, self.reporter)
        self.state = State.WAITING
        self.deadline: float | None = None
        self.worker: WorkerProcess | None = None
        self.ready_within_s = time_limits.BOOT_S
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
        return next_event(self.events, {Timeout(): self.deadline, StandbyTimeout(): self.standby.deadline})

    def _handle(self, event: Event) -> None:  # noqa: C901, PLR0912 - the table above, line by line
        if isinstance(event, Checkup):
            self.context.observer.restore_files()
            self.context.offer.restore()
            return
        if isinstance(event, TakeOver | Commit | Left):
            if self.handover.handle(event, is_ending=self.state.is_ending):
                self._end_handed_over()
            return
        if self.standby.owns(event):
            self.standby.handle(event)
            return
        if isinstance(event, WorkerMessage | WorkerExit) and event.worker is not self.worker:
            return
        match self.state, event:
            case State.BOOTING, WorkerMessage(worker, Imported(pid)):
                self._promote(worker, pid)
            case State.PROMOTED, WorkerMessage(worker, Ready()):
                self._enter_service(worker)
            case ((State.BOOTING | State.PROMOTED), Timeout()):
                self._kill_slow_worker(f"was not ready within {self.ready_within_s:g} s; it is killed and replaced")
            case State.KILLED, Timeout():
                self._kill_slow_worker(f"did not end within {time_limits.KILL_S:g} s after it was killed; killed again")
            case State.SERVING, WorkerMessage(_, Beat()):
                self.hang.record_sign()
            case ((State.SERVING | State.HUNG), Timeout()):
                self._check_for_hang()
            case (
                (State.BOOTING | State.PROMOTED | State.HUNG | State.KILLED | State.SERVING),
                WorkerExit(worker, status),
            ):
                self._handle_crash(worker, status)
            case State.WAITING, Timeout():
                self._boot()
            case State.WAITING, signal.Signals():
                self._report_stop(event)
                self._end(Exit.OK)
            case ((State.BOOTING | State.PROMOTED | State.HUNG | State.KILLED), signal.Signals()):
                self._report_stop(event)
                self._kill(Exit.OK)
            case State.SERVING, signal.Signals():
                self._report_stop(event)
                self._drain(State.DRAINING)
            case State.HANDED_OVER, signal.Signals():
                self._report_stop(event)
                self.state = State.DRAINING  # the deadline remains
            case ((State.DRAINING | State.HANDED_OVER), WorkerMessage(_, Drained(cut))):
                self.cut = cut
            case ((State.DRAINING | State.HANDED_OVER), (signal.Signals() | Timeout())):
                self._kill(Exit.OK if self.cut == 0 else Exit.SOFTWARE)
            case ((State.DRAINING | State.HANDED_OVER), WorkerExit(worker, status)):
                self._finish_drain(worker, status)
            case State.ENDING, (WorkerExit() | Timeout()):
                self._end(self.exit_status)
            case ((State.BOOTING | State.PROMOTED), Cancelled()) if self.handover.is_pending:
                self._cancel()

    def _move(self, state: State, within_s: float | None = None) -> None:
        self.state = state
        self.deadline = None if within_s is None else time.monotonic() + within_s
        if (state, within_s) != (State.WAITING, 0):  # then clients wait: the next state is written, after the promotion
            self.context.observer.enter_phase(state.phase)

    def _boot(self) -> None:
        """Take the standby if there is one, else start a worker."""
        if taken := self.standby.take():
            self.worker = taken.worker
            if taken.pid is not None:
                self._promote(taken.worker, taken.pid)
            self.ready_within_s = time_limits.PROMOTION_S if taken.pid else time_limits.BOOT_S
            self._move(State.PROMOTED if taken.pid else State.BOOTING, self.ready_within_s)
            self.deadline = taken.boot_by or self.deadline
            return
        try:
            self.worker = self.context.spawn()
        except OSError as error:
            problem = f"cannot start a worker process: {error.strerror}"
            if self.worker is None:  # no worker was started so far
                hint = "check the process and file limits of this user (ulimit -a)"
                raise Fatal(f"{problem}; {hint}", Exit.OS) from error
            self._back_off(problem)
            return
        self.ready_within_s = time_limits.BOOT_S
        self._move(State.BOOTING, self.ready_within_s)
        self.context.journal.write("worker_spawned", pid=self.worker.pid, standby=False)

    def _promote(self, worker: WorkerProcess, pid: int) -> None:
        self.state = State.PROMOTED  # the deadline remains: it covers the time from the start to readiness
        self.generation += 1
        worker.promote(pid, replace(self.context.identity, generation=self.generation))

    def _enter_service(self, worker: WorkerProcess) -> None:
        if not self.handover.take():
            self._cancel()
            return
        self._move(State.SERVING, self.hang.start())
        self.backoff.record_ready(time.monotonic())
        self.reporter.report_ready(worker, self.generation)
        self.handover.settle()
        self.standby.start()

    def _check_for_hang(self) -> None:
        if self.worker is None:
            return
        if self.state is State.SERVING and self.hang.is_hung(self.worker):
            self._move(State.HUNG, 0.0)
        elif self.state is State.HUNG and self.hang.is_described(self.worker):
            self.hang.report(self.worker, self.generation)
            self._kill_worker(State.KILLED)
        else:
            self.deadline = time.monotonic() + (self.hang.tick_s if self.state is State.SERVING else DUMP_POLL_S)

    def _cancel(self) -> None:
        """The old supervisor is stopped: this one must not serve."""
        self.context.notify("another command has stopped the proxy, so the new one ends")
        self._kill(Exit.SOFTWARE)

    def _end_handed_over(self) -> None:
        """End without the port, which a new supervisor has."""
        if self.state is State.SERVING:
            self._drain(State.HANDED_OVER)
        elif self.state is State.WAITING:
            self._end(Exit.OK)
        else:
            self._kill(Exit.OK)

    def _kill_slow_worker(self, problem: str) -> None:
        self.context.notify(f"the worker {problem}")
        self._kill_worker(State.KILLED)

    def _kill_worker(self, state: State) -> None:
        self._move(state, time_limits.KILL_S)
        if self.worker:
            self.worker.kill()

    def _handle_crash(self, worker: WorkerProcess, status: int) -> None:
        self._report_exit(worker, status)
        worker.close()
        hang = self.hang.take_description()
        if self.handover.is_pending:
            self._fail(f"worker {worker.pid} ended with {describe_status(status)}", status)
        elif status in PERMANENT:
            self.reporter.report_permanent(status)
            self._end(Exit(status))
        elif hang:
            self._back_off(hang)
        elif self.state is State.KILLED:
            self._back_off(f"worker {worker.pid} was not ready within {self.ready_within_s:g} s")
        else:
            self._back_off(f"worker {worker.pid} ended with {describe_status(status)}")

    def _fail(self, problem: str, status: int) -> None:
        """End, because the old supervisor still serves."""
        self.context.notify(f"{problem} before it was ready; the new proxy ends")
        self._end(Exit(status) if status in PERMANENT else Exit.SOFTWARE)

    def _back_off(self, problem: str) -> None:
        self.context.observer.note_failure(problem)
        decision = self.backoff.record_exit(time.monotonic())
        if isinstance(decision, GiveUp):
            self.reporter.report_end(problem, decision)
            self._end(Exit.SOFTWARE)
        else:
            self.reporter.report_restart(problem, decision)
            self._move(State.WAITING, decision.delay_s)

    def _report_stop(self, event: signal.Signals) -> None:
        self.reporter.report_stop(event.name)
        self.context.offer.withdraw()

    def _drain(self, state: State) -> None:
        drain_s = self.context.settings.drain_s
        self.standby.end()
        self._move(state, drain_s + time_limits.DRAIN_GRACE_S)
        self.context.listener.close()  # the worker has its own copies and closes them
        if self.worker:
            self.worker.drain(drain_s, handed_over=state is State.HANDED_OVER)

    def _finish_drain(self, worker: WorkerProcess, status: int) -> None:
        if status == Exit.OK:
            self.cut = self.cut or 0  # status 0 also means that nothing was cut, if the last message was lost
        elif status != Exit.SOFTWARE:
            self._report_exit(worker, status)
        self.reporter.report_drained(self.cut)
        self._end(Exit.OK if status == Exit.OK and not self.cut else Exit.SOFTWARE)

    def _kill(self, exit_status: Exit) -> None:
        self.exit_status = exit_status
        self._kill_worker(State.ENDING)
        self.standby.end()  # its back-off may end before the worker does

    def _end(self, exit_status: Exit) -> None:
        self.exit_status = exit_status
        self.standby.end()
        self._move(State.STOPPED)

    def _report_exit(self, worker: WorkerProcess, status: int) -> None:
        was_serving = self.state.has_served or self.hang.description is not None
        self.reporter.report_exit(worker, self.generation, status, was_serving=was_serving)
