"""Kill every process of a launch that serves, and observe whether new processes serve instead.

All workers are killed. If only one were killed, the others would answer, and nobody could see its replacement. A
process that was there before the kill, that was not taken for a worker and that answers all the same may be another
worker or a standby: it is killed, too. Supervisors are not killed. The launched process is killed only where it answers
itself and no process below it does.

A target with a journal names its one worker in /health. So only that one is killed, and a standby that is named there
afterwards is its replacement. A name of no serving process is not believed: then all of them are killed.

A new process replaces a killed one when it answers, or when it is still there at the end of the watch and listens or
runs the same program. Other new processes replace nothing: a server also starts processes that end by themselves, such
as a health check, and a shell goes on to its next command.
"""

from __future__ import annotations

import contextlib
import time

import psutil

from lumen_conformance.processes import serving_processes
from lumen_conformance.processes.process_tree import ProcessRef, ProcessState, is_among, list_tree
from lumen_conformance.stages.observations import listening_ports
from lumen_conformance.stages.ready_probe import probe
from lumen_conformance.stages.recovery_evidence import NamedProcess, Recovery
from lumen_conformance.targets.launch import LaunchedTarget
from lumen_conformance.waiting import observe

END_S = 2.0  # the kernel ends a killed process within milliseconds; the rest is for a busy machine
# A running process accepts within a millisecond; the rest is for a busy machine. Where nothing has accepted by then,
# the next probe has a new connection.
ACCEPT_S = 1.0
LAST_PROBE_S = 0.01  # for the last probe at the end of a wait
STAY_S = 1.0  # a health check or a shell has ended by then; only a watch without an answer waits for it
SCAN_S = 1.0  # between two scans of all processes of the machine, of which each takes tens of milliseconds


class RecoveryMonitor:
    """One kill and what follows it."""

    def __init__(self, proxy: LaunchedTarget, within_s: float) -> None:
        self._proxy = proxy
        self._within_s = within_s
        self._before = proxy.processes()
        self._ports_before = listening_ports(proxy)
        self._health = proxy.health() if "journal" in proxy.target.can else None
        self._workers = list(self._find_workers())
        self._supervisors = tuple(filter(None, map(_parent, self._workers)))
        self.killed = [NamedProcess.of(ref) for ref in self._workers]
        self._programs = {_program(ref) for ref in self._workers} | {ref.command_line() for ref in self._workers}
        self._killed_s = self._scanned_s = time.monotonic()
        self._daemons = _daemons(proxy, self._before)
        self._new: dict[ProcessRef, tuple[NamedProcess, float]] = {}
        self._listened: set[ProcessRef] = set()
        self._answered: ProcessRef | None = None
        self.answered_s: float | None = None

    def elapsed_s(self) -> float:
        """Return the seconds since the kill."""
        return time.monotonic() - self._killed_s

    @property
    def killed_mono_s(self) -> float:
        """When the first worker was killed, on the clock of ``time.monotonic()``."""
        return self._killed_s

    def kill(self) -> bool:
        """Kill the workers; return whether all of them ended."""
        self._killed_s = time.monotonic()
        for ref in self._workers:
            ref.kill()
        return bool(observe("they have ended", self._have_ended, within_s=END_S))

    def wait_states(self) -> tuple[ProcessState, ...]:
        """Return the state of each worker, when all are gone or time is up."""
        observe("they are reaped", lambda: {ref.state() for ref in self._workers} <= {"gone"}, within_s=END_S)
        return tuple(ref.state() for ref in self._workers)

    def is_recovered(self) -> bool:
        """Return whether a new process answers; kill what else answers and is no supervisor."""
        self._record_replacements()
        accept_s = min(ACCEPT_S, max(LAST_PROBE_S, self._within_s - self.elapsed_s()))
        answer = probe(self._proxy, accept_s, self._processes)
        if answer is None or answer.holder is None:
            return False
        if is_among(answer.holder, self._before) and not self._is_promoted(answer.holder):
            self._kill_standby(answer.holder)
            return False
        at_s = answer.at_s - self._killed_s
        self._record(answer.holder, at_s)
        self._answered = answer.holder
        if not self._proxy.target.is_ready_status(answer.status):
            return False
        self.answered_s = at_s
        return True

    def wait_replacements(self) -> tuple[tuple[NamedProcess, float], ...]:
        """Return the new processes that answer or stay, and when each was first there."""
        observe("each stays or has ended", lambda: not any(map(self._may_end, self._new)), within_s=STAY_S)
        return tuple(self._new[ref] for ref in self._new if self._is_there(ref) and self._is_replacement(ref))

    def list_passing(self) -> tuple[NamedProcess, ...]:
        """Return the new processes that ended again."""
        return tuple(self._new[ref][0] for ref in self._new if not self._is_there(ref))

    def end_reason(self) -> str | None:
        """Return why no new process can come any more; None when one can."""
        ended = self._proxy.exit_status() is not None
        return "no process of the launch is left" if ended and not self._proxy.processes() else None

    def list_new_ports(self) -> tuple[int, ...]:
        """Return the ports on which the launch listens now and did not before."""
        return tuple(port for port in listening_ports(self._proxy) if port not in self._ports_before)

    def _find_workers(self) -> tuple[ProcessRef, ...]:
        serving = self._proxy.serving_processes()  # /health may name any process: only one of these is killed
        named = tuple(ref for ref in serving if self._health and ref.pid == self._health.pid)
        answering = self._proxy.answering_process() if self._health and not named else None  # it has one worker
        return named or ((answering,) if answering else serving)

    def _is_promoted(self, ref: ProcessRef) -> bool:
        """Return whether /health of a target with one worker names a process that was there before, or counts on."""
        if self._health is None:
            return False
        now = self._proxy.health()
        return now.pid == ref.pid or now.generation > self._health.generation

    def _is_there(self, ref: ProcessRef) -> bool:
        return ref == self._answered or ref.state() == "running"

    def _is_replacement(self, ref: ProcessRef) -> bool:
        """Return whether a new process answers, has listened, or runs the program of a killed one."""
        is_same_program = bool({_program(ref), ref.command_line()} & self._programs)
        return ref == self._answered or ref in self._listened or is_same_program

    def _may_end(self, ref: ProcessRef) -> bool:
        """Return whether it is open if a new process stays; after an answer it does not matter."""
        is_young = self.elapsed_s() < self._new[ref][1] + STAY_S
        return self._answered is None and is_young and self._is_there(ref)

    def _have_ended(self) -> bool:
        return "running" not in {ref.state() for ref in self._workers}

    def _processes(self) -> tuple[ProcessRef, ...]:
        """Return what is below the launched process, and below the known daemons of the launch."""
        if time.monotonic() > self._scanned_s + SCAN_S:
            self._daemons = _daemons(self._proxy, self._proxy.processes())
            self._scanned_s = time.monotonic()
        return tuple(ref for root in (self._proxy.ref, *self._daemons) for ref in list_tree(root))

    def _record_replacements(self) -> None:
        processes = self._processes()
        listening = serving_processes.find_listening(processes, self._proxy.port)
        for ref in processes:
            if is_among(ref, self._before):
                continue
            if is_among(ref, listening):
                self._listened.add(ref)
            if ref in self._listened or is_among(_parent(ref) or ref, self._supervisors):
                self._record(ref, self.elapsed_s())

    def _record(self, ref: ProcessRef, at_s: float) -> None:
        if ref not in self._new:
            self._new[ref] = NamedProcess.of(ref), at_s

    def _kill_standby(self, ref: ProcessRef) -> None:
        if not is_among(ref, (self._proxy.ref, *self._supervisors, *self._workers)):
            self.killed.append(NamedProcess.of(ref))
            self._workers.append(ref)
            ref.kill()


def recover(proxy: LaunchedTarget, within_s: float) -> Recovery:
    """Kill what serves, then observe until a new process answers, until none is left, or for so many seconds."""
    monitor = RecoveryMonitor(proxy, within_s)
    if not monitor.killed:
        return Recovery((), ended=False, states=(), waited_s=0.0)
    ended = monitor.kill()
    observe("a new process answers", monitor.is_recovered, within_s=within_s, give_up=monitor.end_reason)
    waited_s = monitor.elapsed_s()
    new = monitor.wait_replacements()

    def in_time(at_s: float | None) -> float | None:
        """Drop what the last probe found too late, as a busy machine delays it."""
        return at_s if at_s is not None and at_s < within_s else None

    return Recovery(
        killed=tuple(monitor.killed),
        ended=ended,
        states=monitor.wait_states(),
        waited_s=waited_s,
        replaced=tuple(process for process, _ in new),
        replaced_s=in_time(min((at_s for _, at_s in new), default=None)),
        passing=monitor.list_passing(),
        answered_s=in_time(monitor.answered_s),
        elsewhere=monitor.list_new_ports(),
        left=len(proxy.processes()),
        killed_mono_s=monitor.killed_mono_s,
    )


def _program(ref: ProcessRef) -> str:
    """Return the executable of a process, or its command line where the system does not give the executable."""
    process = ref.process()
    with contextlib.suppress(psutil.Error):
        return process.exe() if process else ref.command_line()
    return ref.command_line()


def _parent(ref: ProcessRef) -> ProcessRef | None:
    process = ref.process()
    with contextlib.suppress(psutil.Error):
        return ProcessRef.of(process.ppid()) if process else None
    return None


def _daemons(proxy: LaunchedTarget, processes: tuple[ProcessRef, ...]) -> tuple[ProcessRef, ...]:
    """Return the processes that are not below the launched one."""
    below = list_tree(proxy.ref)
    return tuple(ref for ref in processes if not is_among(ref, below))
