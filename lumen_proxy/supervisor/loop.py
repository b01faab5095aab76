"""The supervisor's loop: owns the listening sockets, keeps one worker on them, never serves.

It blocks on one queue. What comes out is an event: `Said` (a message of a worker), `Died` (a
worker is gone), a stop signal, or `Due` (nothing came before the deadline of the present state).

    state     event                        what is done                                    next
    --------  ---------------------------  ----------------------------------------------  ---------
    BOOTING   said imported                promote it: generation + 1, hand it the sockets  BOOTING
    BOOTING   said ready                   journal, publish                                 SERVING
    BOOTING   due (BOOT_S)                 kill it; its death follows                       BOOTING
    BOOTING,  died, status is permanent    end with the same status                         STOPPED
    SERVING   died, too often              journal gave_up, end with 70                     STOPPED
              died                         journal, back off                                WAITING
    WAITING   due (back-off)               start a worker                                   BOOTING
    WAITING   stop                         end with 0                                       STOPPED
    any       checkup                      restore lock and state file if they are missing  the same
    BOOTING   stop                         kill it: it serves nobody yet                    ENDING
    SERVING   stop                         let go of the port, tell it to drain             DRAINING
    DRAINING  said drained                 remember how many requests were cut              DRAINING
    DRAINING  stop again, due (drain)      kill it; requests may be cut: 70                 ENDING
    DRAINING  died                         end with 0 if nothing was cut, else with 70      STOPPED
    ENDING    died, due (KILL_S)           end                                              STOPPED

Anything else (a word from a worker that was already replaced) is ignored.  The watchdog and the
standby worker belong here too: more events, and a second child.
"""

from __future__ import annotations

import queue
import signal
import time
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING

from lumen_proxy.errors import PERMANENT, Exit, Fatal
from lumen_proxy.ipc import Drained, Imported, Ready
from lumen_proxy.supervisor.backoff import Backoff, GiveUp
from lumen_proxy.supervisor.spawn import Child, Died, Said

if TYPE_CHECKING:
    from collections.abc import Callable

    from lumen_proxy.config import Settings
    from lumen_proxy.ipc import Identity
    from lumen_proxy.logs.journal import Journal
    from lumen_proxy.supervisor.listener import Listener

BOOT_S = 30.0  # to readiness; measured: 0.2 s warm, 0.8 s without bytecode, several on a loaded machine
DRAIN_GRACE_S = 2.0  # after its own deadline a worker still writes its error events
KILL_S = 5.0  # from SIGKILL to the end; longer only for a process stuck in the kernel


class State(Enum):
    """Where the loop is; the table above tells how it moves."""

    BOOTING = "booting"
    SERVING = "serving"
    WAITING = "waiting"
    DRAINING = "draining"
    ENDING = "ending"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Due:
    """The deadline of the present state has passed."""


@dataclass(frozen=True)
class Checkup:
    """It is time to look after the files of this instance."""


Event = Said | Died | signal.Signals | Due | Checkup


class Reports:
    """Where the loop reports what the state file tells; this one keeps nothing."""

    def phase(self, phase: str) -> None:
        """The loop has another state."""

    def failure(self, what: str) -> None:
        """Something failed; the loop goes on."""

    def end(self, kind: str, what: str) -> None:
        """The loop ends unexpectedly."""

    def restore(self) -> None:
        """Restore files that somebody deleted."""


@dataclass(frozen=True)
class Surroundings:
    """What the loop acts on.

    `spawn` starts a worker (raises OSError), `publish` makes a generation known outside (0 = none yet),
    `tell` says one line to people, `identity` is what every worker is told when it is promoted.
    """

    settings: Settings
    listener: Listener
    journal: Journal
    spawn: Callable[[], Child]
    publish: Callable[[int], None]
    tell: Callable[[str], None]
    identity: Identity
    reports: Reports = field(default_factory=Reports)


class Loop:
    """One life of the supervisor, from the first worker to the exit status.

    Raises Fatal (71) if not even the first worker can be started.
    """

    def __init__(self, around: Surroundings, events: queue.SimpleQueue[Event]) -> None:
        settings = around.settings
        self.around = around
        self.events = events
        self.backoff = Backoff(
            base_s=settings.restart_backoff_s, limit=settings.max_restarts, window_s=settings.restart_window_s
        )
        self.state = State.WAITING
        self.deadline: float | None = None
        self.child: Child | None = None
        self.generation = 0  # promotions so far
        self.cut: int | None = None  # requests cut by the drain; None = unknown
        self.exit_status = Exit.OK

    def run(self) -> Exit:
        """Block until the end; return the exit status."""
        self._boot()
        self.around.publish(self.generation)
        while self.state is not State.STOPPED:
            self._handle(self._next())
        return self.exit_status

    def _next(self) -> Event:
        remaining_s = None if self.deadline is None else max(0.0, self.deadline - time.monotonic())
        try:
            return self.events.get(timeout=remaining_s)
        except queue.Empty:
            return Due()

    def _handle(self, event: Event) -> None:  # noqa: C901, PLR0912 - the table above, line by line
        if isinstance(event, Checkup):
            self.around.reports.restore()
            return
        if isinstance(event, Said | Died) and event.child is not self.child:
            return
        match self.state, event:
            case State.BOOTING, Said(child, Imported(pid)):
                self._promote(child, pid)
            case State.BOOTING, Said(child, Ready()):
                self._serving(child)
            case State.BOOTING, Due():
                self._too_slow()
            case ((State.BOOTING | State.SERVING), Died(child, status)):
                self._lost(child, status)
            case State.WAITING, Due():
                self._boot()
            case State.WAITING, signal.Signals():
                self._stop(event.name)
                self._end(Exit.OK)
            case State.BOOTING, signal.Signals():
                self._stop(event.name)
                self._kill(Exit.OK)
            case State.SERVING, signal.Signals():
                self._stop(event.name)
                self._drain()
            case State.DRAINING, Said(_, Drained(cut)):
                self.cut = cut
            case State.DRAINING, (signal.Signals() | Due()):
                self._kill(Exit.OK if self.cut == 0 else Exit.SOFTWARE)
            case State.DRAINING, Died(child, status):
                self._drained(child, status)
            case State.ENDING, (Died() | Due()):
                self._end(self.exit_status)

    def _move(self, state: State, within_s: float | None = None) -> None:
        self.state = state
        self.deadline = None if within_s is None else time.monotonic() + within_s
        self.around.reports.phase(state.value)

    def _boot(self) -> None:
        try:
            self.child = self.around.spawn()
        except OSError as error:
            if self.generation == 0:
                raise Fatal(f"cannot start a worker: {error.strerror}; see the limits of this user", Exit.OS) from error
            self._back_off(f"a worker could not be started ({error.strerror})", error.strerror or "no worker")
            return
        self._move(State.BOOTING, BOOT_S)
        self.around.journal.write("worker_spawned", pid=self.child.pid)

    def _promote(self, child: Child, pid: int) -> None:
        self.generation += 1
        child.promote(pid, replace(self.around.identity, generation=self.generation))

    def _serving(self, child: Child) -> None:
        self._move(State.SERVING)
        self.backoff.ready(time.monotonic())
        listener = self.around.listener
        self.around.journal.write(
            "ready",
            pid=child.pid,
            generation=self.generation,
            restarts=self.generation - 1,
            port=listener.port,
            hosts=listener.hosts,
            supervisor_pid=self.around.identity.supervisor_pid,
        )
        self.around.publish(self.generation)

    def _too_slow(self) -> None:
        self.around.tell(f"worker was not ready within {BOOT_S:g} s; ending it")
        self._move(State.BOOTING, KILL_S)
        if self.child:
            self.child.kill()

    def _lost(self, child: Child, status: int) -> None:
        self._journal_death(child, status)
        child.close()
        if status in PERMANENT:
            self.around.reports.end("failed", f"the worker ended with {_in_words(status)}; a restart does not help")
            self._end(Exit(status))
        else:
            self._back_off(f"worker {child.pid} ended ({_in_words(status)})", _in_words(status))

    def _back_off(self, problem: str, last: str) -> None:
        self.around.reports.failure(problem)
        verdict = self.backoff.died(time.monotonic())
        if isinstance(verdict, GiveUp):
            deaths = f"{verdict.deaths} deaths in {verdict.window_s:g} s"
            self.around.reports.end("gave up", f"{deaths} (last: {last})")
            self.around.journal.write("gave_up", deaths=verdict.deaths, window_s=verdict.window_s)
            often = f"{problem}: {verdict.deaths} times within {verdict.window_s:g} s"
            self.around.tell(f"{often}; giving up, see {self.around.journal.path}")
            self._end(Exit.SOFTWARE)
            return
        self.around.journal.write(
            "restart_scheduled",
            delay_s=verdict.delay_s,
            delay_cap_s=verdict.delay_cap_s,
            deaths_in_window=verdict.deaths_in_window,
        )
        self.around.tell(f"{problem}; starting another in {verdict.delay_s:.2f} s")
        self._move(State.WAITING, verdict.delay_s)

    def _stop(self, reason: str) -> None:
        self.around.journal.write("draining", reason=reason)

    def _drain(self) -> None:
        drain_s = self.around.settings.drain_s
        self._move(State.DRAINING, drain_s + DRAIN_GRACE_S)
        self.around.listener.close()  # the worker has its own copies: what it closes is closed
        if self.child:
            self.child.drain(drain_s)

    def _drained(self, child: Child, status: int) -> None:
        if status == Exit.OK:
            self.cut = self.cut or 0  # a clean exit says so too, should its last words be lost
        elif status != Exit.SOFTWARE:
            self._journal_death(child, status)
        self.around.journal.write("drained", cut=self.cut)
        self._end(Exit.OK if status == Exit.OK and not self.cut else Exit.SOFTWARE)

    def _kill(self, exit_status: Exit) -> None:
        self.exit_status = exit_status
        self._move(State.ENDING, KILL_S)
        if self.child:
            self.child.kill()

    def _end(self, exit_status: Exit) -> None:
        self.exit_status = exit_status
        self._move(State.STOPPED)

    def _journal_death(self, child: Child, status: int) -> None:
        how = {"signal": -status} if status < 0 else {"exit_status": status}
        was_serving = self.state in {State.SERVING, State.DRAINING}
        self.around.journal.write(
            "worker_died", pid=child.pid, generation=self.generation, was_serving=was_serving, **how
        )


def _in_words(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit status {status}"
