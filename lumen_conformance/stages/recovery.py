"""Kill every process of a launch that answers, and watch whether new ones answer instead; none of it judges.

With several workers all of them are killed. Were one killed alone, the others would answer on, and nobody could see
whether its replacement ever does. A process that was there before, was taken for no worker and answers all the same is
killed, too: it was a spare. Supervisors are left alone. The launched process itself is killed only where it answers
and no process below it does.

A new process replaces a killed one when it answers, or when it is still there at the end of the watch and listens or
runs the same program. A server also starts processes that end by themselves, such as a health check, and a shell goes
on to its next command: none of them replaces anybody.
"""

from __future__ import annotations

import contextlib
import re
import select
import socket
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

import psutil

from lumen_conformance.http.client import request_bytes
from lumen_conformance.processes import serving_processes
from lumen_conformance.processes.process_tree import SAME_START_S, ProcessRef, ProcessState, list_tree
from lumen_conformance.stages.observations import listening_ports
from lumen_conformance.targets.launch import LaunchedTarget
from lumen_conformance.waiting import observe

END_S = 2.0  # the kernel ends a killed process within milliseconds; the rest is for a busy machine
# A process that is alive accepts within a millisecond; the rest is for a busy machine. Who has not accepted by then is
# asked again, on a new connection.
ACCEPT_S = 1.0
ANSWER_S = 5.0  # as long as every probe of the harness waits
LOOK_S = 0.01  # the last look at the end of a wait
COMMAND_CHARS = 80  # of a command line in a sentence that names several
FOLDER = re.compile(r"(?<!\S)([A-Za-z]:)?[\\/]\S*[\\/]")  # of a file that is named by its whole path
STATUS_BYTES = 64  # of the answer: its first line; the rest is not read
STAYS_S = 1.0  # a health check or a shell has ended by then; only a watch without an answer waits for it
MOST_SHOWN = 3  # processes that have ended again, of which there may be one every second
SCAN_S = 1.0  # between two looks at all processes of the machine, of which each takes tens of milliseconds


@dataclass(frozen=True)
class NamedProcess:
    """A process and its command line, for people."""

    ref: ProcessRef
    command: str

    @classmethod
    def of(cls, ref: ProcessRef) -> NamedProcess:
        """As it is called now, files without their folders."""
        name = FOLDER.sub("", ref.name())
        return cls(ref, name if len(name) <= COMMAND_CHARS else f"{name[:COMMAND_CHARS]}…")

    def __str__(self) -> str:
        return f"pid {self.ref.pid} ({self.command})"


@dataclass(frozen=True)
class Recovery:
    """What was seen after the kill; seconds count from the kill, None means: not within `waited_s`.

    ``killed``      who answered and was killed
    ``ended``       whether all of them had ended within `END_S`
    ``states``      of each of them, `END_S` after the watch at the latest
    ``replaced``    new processes that stay, and listen or answer in their place or run their program below their
                    supervisors
    ``replaced_s``  when the first of them was there
    ``passing``     those that ended again
    ``answered_s``  when the answer of one of them arrived that it is ready, on the port of the launch
    ``elsewhere``   ports on which the launch listens at the end and did not before the kill
    ``left``        how many processes of the launch there were at the end
    """

    killed: tuple[NamedProcess, ...]
    ended: bool
    states: tuple[ProcessState, ...]
    waited_s: float
    replaced: tuple[NamedProcess, ...] = ()
    replaced_s: float | None = None
    passing: tuple[NamedProcess, ...] = ()
    answered_s: float | None = None
    elsewhere: tuple[int, ...] = ()
    left: int = 0

    def who(self) -> str:
        """The killed processes."""
        return ", ".join(map(str, self.killed))

    def kill(self) -> str:
        """What was done, in words."""
        return f"{self.who()} {'was' if len(self.killed) == 1 else 'were'} killed"

    def wait(self, for_what: str) -> str:
        """How long was waited for this, and what is left of the launch, in words."""
        left = "no process of it is left" if self.left == 0 else f"processes of it that are left: {self.left}"
        more = f" and {len(self.passing) - MOST_SHOWN} more" if len(self.passing) > MOST_SHOWN else ""
        passing = ", ".join(map(str, self.passing[:MOST_SHOWN])) + more
        again = f"; new processes that ended again: {passing}" if self.passing else ""
        return f"waited {self.waited_s:.1f} s for {for_what}; {left}{again}"


@dataclass(frozen=True)
class ProbeAnswer:
    """An answer to a probe: whose it is (None: not known), its status, and when it arrived, on the monotonic clock."""

    holder: ProcessRef | None
    status: int | None
    at_s: float


class RecoveryMonitor:
    """One kill and what follows it."""

    def __init__(self, proxy: LaunchedTarget, within_s: float) -> None:
        self._proxy = proxy
        self._within_s = within_s
        self._before = proxy.processes()
        self._ports_before = listening_ports(proxy)
        self._workers = list(proxy.serving_processes())
        self._supervisors = tuple(filter(None, map(_parent, self._workers)))
        self.killed = [NamedProcess.of(ref) for ref in self._workers]
        self._programs = {_program(ref) for ref in self._workers} | {ref.name() for ref in self._workers}
        self._killed_s = self._scanned_s = time.monotonic()
        self._outside = _outside(proxy, self._before)
        self._new: dict[ProcessRef, tuple[NamedProcess, float]] = {}
        self._listened: set[ProcessRef] = set()
        self._answered: ProcessRef | None = None
        self.answered_s: float | None = None

    def elapsed_s(self) -> float:
        """Seconds since the kill."""
        return time.monotonic() - self._killed_s

    def kill(self) -> bool:
        """Kill the workers; whether all of them ended."""
        self._killed_s = time.monotonic()
        for ref in self._workers:
            ref.kill()
        return bool(observe("they have ended", self._have_ended, within_s=END_S))

    def states(self) -> tuple[ProcessState, ...]:
        """Of each of them, when all are gone or time is up."""
        observe("they are reaped", lambda: {ref.state() for ref in self._workers} <= {"gone"}, within_s=END_S)
        return tuple(ref.state() for ref in self._workers)

    def is_recovered(self) -> bool:
        """Whether a new process answers; what else answers and is no supervisor is killed."""
        self._note_replacements()
        accept_s = min(ACCEPT_S, max(LOOK_S, self._within_s - self.elapsed_s()))
        answer = probe(self._proxy, accept_s, self._family)
        if answer is None or answer.holder is None:
            return False
        if is_among(answer.holder, self._before):
            self._kill_late(answer.holder)
            return False
        at_s = answer.at_s - self._killed_s
        self._note(answer.holder, at_s)
        self._answered = answer.holder
        if not self._proxy.target.is_ready_status(answer.status):
            return False
        self.answered_s = at_s
        return True

    def replacements(self) -> tuple[tuple[NamedProcess, float], ...]:
        """The new processes that answer or stay, and when each was first there."""
        observe("each stays or has ended", lambda: not any(map(self._may_pass, self._new)), within_s=STAYS_S)
        return tuple(self._new[ref] for ref in self._new if self._is_there(ref) and self._is_alike(ref))

    def passing(self) -> tuple[NamedProcess, ...]:
        """The new processes that ended again."""
        return tuple(self._new[ref][0] for ref in self._new if not self._is_there(ref))

    def hopeless(self) -> str | None:
        """Why nothing is to be expected any more."""
        ended = self._proxy.exit_status() is not None
        return "no process of the launch is left" if ended and not self._proxy.processes() else None

    def new_ports(self) -> tuple[int, ...]:
        """Those on which it listens now and did not before."""
        return tuple(port for port in listening_ports(self._proxy) if port not in self._ports_before)

    def _is_there(self, ref: ProcessRef) -> bool:
        return ref == self._answered or ref.state() == "running"

    def _is_alike(self, ref: ProcessRef) -> bool:
        """Whether a new process answers, listens, or runs the program of a killed one, now that it has had the time."""
        alike = bool({_program(ref), ref.name()} & self._programs)
        return ref == self._answered or ref in self._listened or alike

    def _may_pass(self, ref: ProcessRef) -> bool:
        """Whether nobody knows yet if a new process stays; where somebody answers, nobody has to know."""
        young = self.elapsed_s() < self._new[ref][1] + STAYS_S
        return self._answered is None and young and self._is_there(ref)

    def _have_ended(self) -> bool:
        return "running" not in {ref.state() for ref in self._workers}

    def _family(self) -> tuple[ProcessRef, ...]:
        """What is below the launch, and below the daemons that have left it, as far as they are known."""
        if time.monotonic() > self._scanned_s + SCAN_S:
            self._outside = _outside(self._proxy, self._proxy.processes())
            self._scanned_s = time.monotonic()
        return tuple(ref for root in (self._proxy.ref, *self._outside) for ref in list_tree(root))

    def _note_replacements(self) -> None:
        family = self._family()
        listening = serving_processes.find_listening(family, self._proxy.port)
        for ref in family:
            if is_among(ref, self._before):
                continue
            if is_among(ref, listening):
                self._listened.add(ref)
            if ref in self._listened or is_among(_parent(ref) or ref, self._supervisors):
                self._note(ref, self.elapsed_s())

    def _note(self, ref: ProcessRef, at_s: float) -> None:
        if ref not in self._new:
            self._new[ref] = NamedProcess.of(ref), at_s

    def _kill_late(self, ref: ProcessRef) -> None:
        spared = (self._proxy.ref, *self._supervisors)
        if not is_among(ref, spared) and not is_among(ref, self._workers):
            self.killed.append(NamedProcess.of(ref))
            self._workers.append(ref)
            ref.kill()


def recover(proxy: LaunchedTarget, within_s: float) -> Recovery:
    """Kill whoever answers, then watch until a new process answers, until none is left, or for so many seconds."""
    watch = RecoveryMonitor(proxy, within_s)
    if not watch.killed:
        return Recovery((), ended=False, states=(), waited_s=0.0)
    ended = watch.kill()
    observe("a new process answers", watch.is_recovered, within_s=within_s, alive=watch.hopeless)
    waited_s = watch.elapsed_s()
    new = watch.replacements()

    def in_time(at_s: float | None) -> float | None:
        """What was seen by the last look, which a busy machine delays, came too late."""
        return at_s if at_s is not None and at_s < within_s else None

    return Recovery(
        killed=tuple(watch.killed),
        ended=ended,
        states=watch.states(),
        waited_s=waited_s,
        replaced=tuple(named for named, _ in new),
        replaced_s=in_time(min((at_s for _, at_s in new), default=None)),
        passing=watch.passing(),
        answered_s=in_time(watch.answered_s),
        elsewhere=watch.new_ports(),
        left=len(proxy.processes()),
    )


def _program(ref: ProcessRef) -> str:
    """The executable of a process; of one that cannot be asked, its command line."""
    process = ref.process()
    with contextlib.suppress(psutil.Error):
        return process.exe() if process else ref.name()
    return ref.name()


def _parent(ref: ProcessRef) -> ProcessRef | None:
    process = ref.process()
    with contextlib.suppress(psutil.Error):
        return ProcessRef.of(process.ppid()) if process else None
    return None


def is_among(ref: ProcessRef, others: Collection[ProcessRef]) -> bool:
    """Whether this very process is one of them, although a clock may have been set meanwhile."""
    return any(ref.pid == one.pid and abs(ref.start_time - one.start_time) < SAME_START_S for one in others)


def _outside(proxy: LaunchedTarget, family: tuple[ProcessRef, ...]) -> tuple[ProcessRef, ...]:
    """The processes of a family that are not below the launched one."""
    below = list_tree(proxy.ref)
    return tuple(ref for ref in family if not is_among(ref, below))


def probe(proxy: LaunchedTarget, accept_s: float, family: Callable[[], tuple[ProcessRef, ...]]) -> ProbeAnswer | None:
    """Ask whether a launch is ready. None: nobody answers.

    The process is looked for after the answer, so that its time is that of the server alone: a look reads all sockets
    of the machine. While the connection lasts, the process that holds it is the one: others hand connections on.
    """
    request = request_bytes(proxy.url, "GET", proxy.target.probe_path, headers=proxy.headers)
    answer = _after_answer(proxy.port, request, accept_s, family)
    return answer if answer is None or answer.holder else _before_answer(proxy.port, request, accept_s, family)


def _after_answer(
    port: int, request: bytes, accept_s: float, family: Callable[[], tuple[ProcessRef, ...]]
) -> ProbeAnswer | None:
    with contextlib.suppress(OSError), socket.create_connection((serving_processes.LOOPBACK, port), accept_s) as sock:
        sock.sendall(request)
        is_answered = bool(select.select([sock], [], [], accept_s)[0])
        if not is_answered and serving_processes.find_connection_owner(family(), port, sock) is None:
            return None
        status, at_s = _status_of(sock), time.monotonic()
        return ProbeAnswer(serving_processes.find_connection_owner(family(), port, sock), status, at_s)
    return None


def _before_answer(
    port: int, request: bytes, accept_s: float, family: Callable[[], tuple[ProcessRef, ...]]
) -> ProbeAnswer | None:
    """For servers that close the connection with the answer: the request lacks its end until it is accepted."""
    with contextlib.suppress(OSError), socket.create_connection((serving_processes.LOOPBACK, port), accept_s) as sock:
        sock.sendall(request[:-1])
        accepted = observe(
            "accepted", lambda: serving_processes.find_connection_owner(family(), port, sock), within_s=accept_s
        )
        if accepted is None:
            return None
        sock.sendall(request[-1:])
        status, at_s = _status_of(sock), time.monotonic()
        return ProbeAnswer(serving_processes.find_connection_owner(family(), port, sock) or accepted, status, at_s)
    return None


def _status_of(sock: socket.socket) -> int | None:
    """The status of the answer that arrives; None for what is no answer of HTTP."""
    sock.settimeout(ANSWER_S)
    line = b""
    while b"\r\n" not in line and len(line) < STATUS_BYTES and (data := sock.recv(STATUS_BYTES)):
        line += data
    words = line.split()
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else None
