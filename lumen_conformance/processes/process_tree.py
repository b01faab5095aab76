"""Processes by PID and start time: what they are, who their children are, and how they end.

A PID alone may belong to another process by now, and ``kill(pid, 0)`` succeeds for a zombie.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from lumen_conformance.inject.lumen_guard import TAG
from lumen_conformance.processes.sent_signals import note_signal
from lumen_conformance.waiting import observe

ProcessState = Literal["running", "zombie", "gone"]

SAME_START_S = 1.0  # psutil adds the boot time, which a clock adjustment may move; no PID is used again within a second
PROC = Path("/proc")
STARTED_S = 1.0  # the kernel needs less than a millisecond of a processor; an environment may be empty, too
ENVIRON_BYTES = 65_536  # one read for nearly every environment
KILL_S = 5.0  # SIGKILL takes effect within milliseconds; longer means a process stuck in the kernel


@dataclass(frozen=True)
class ProcessRef:
    """One process, now or after its end: ``pid`` and ``start_time`` (seconds since the epoch, from psutil)."""

    pid: int
    start_time: float

    @classmethod
    def of(cls, pid: int) -> ProcessRef:
        """Return the process that has this PID now; raises psutil.NoSuchProcess."""
        return cls(pid, psutil.Process(pid).create_time())

    def process(self) -> psutil.Process | None:
        """Return the psutil object, or None when the process is gone or another process has its PID now."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.start_time) < SAME_START_S
        except psutil.NoSuchProcess:
            return None
        return process if same else None

    def state(self) -> ProcessState:
        """Return the state. A zombie has ended and is not reaped by its parent yet; gone does not mean a free PID.

        A process whose first thread has ended runs until its last one has: only then are its sockets closed.
        """
        process = self.process()
        try:
            status = process.status() if process else None
            if process and status == psutil.STATUS_ZOMBIE and process.num_threads() > 1:
                return "running"
        except psutil.NoSuchProcess:
            status = None
        if status is None:
            return "gone"
        return "zombie" if status in {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD} else "running"

    def is_at_rest(self) -> bool:
        """Return whether it waits for something now; a process that waits for a processor does not."""
        try:
            process = self.process()
            return process is not None and process.status() in {psutil.STATUS_SLEEPING, psutil.STATUS_IDLE}
        except psutil.NoSuchProcess:
            return False

    def kill(self) -> None:
        """Send SIGKILL, or call TerminateProcess on Windows."""
        self._send("SIGKILL", psutil.Process.kill)

    def terminate(self) -> None:
        """Send SIGTERM, or call TerminateProcess on Windows."""
        self._send("SIGTERM", psutil.Process.terminate)

    def suspend(self) -> None:
        """Suspend it (SIGSTOP)."""
        self._send("SIGSTOP", psutil.Process.suspend)

    def resume(self) -> None:
        """Resume it (SIGCONT)."""
        self._send("SIGCONT", psutil.Process.resume)

    def send(self, number: int) -> None:
        """Send a signal; Windows has SIGTERM, CTRL_C_EVENT and CTRL_BREAK_EVENT."""
        self._send(signal.Signals(number).name, lambda process: process.send_signal(number))

    def _send(self, name: str, send: Callable[[psutil.Process], None]) -> None:
        """Send a signal, which the timeline shows; nothing happens to a process that has ended."""
        with contextlib.suppress(psutil.NoSuchProcess):
            if self.state() == "running" and (process := self.process()):
                note_signal(name, self.pid, self.start_time)
                send(process)

    def command_line(self) -> str:
        """Return its command line as text."""
        process = self.process()
        try:
            return " ".join(process.cmdline()) if process else "gone"
        except psutil.Error:
            return "unreadable"


def list_tree(root: ProcessRef) -> tuple[ProcessRef, ...]:
    """Return a process and all its descendants, the root first; empty when it is gone."""
    process = root.process()
    if process is None:
        return ()
    with contextlib.suppress(psutil.NoSuchProcess):
        return root, *filter(None, map(_ref, process.children(recursive=True)))
    return (root,)


def list_session(
    leader: ProcessRef, reaped_unix_s: float | None = None, known: Collection[ProcessRef] = ()
) -> tuple[ProcessRef, ...]:
    """Return the processes of the session of a launched process, not those of a later session with its number (POSIX).

    A session has its number until its leader is reaped, and as long as it has a process. So a session of this number is
    that of the launch when one of its processes is `known`, or began before the leader was reaped.
    """
    pids = (pid for pid in psutil.pids() if _session_of(pid) == leader.pid)
    found = tuple(filter(None, (_of(pid) for pid in pids)))
    is_of_launch = reaped_unix_s is None or any(
        ref in known or ref.start_time < reaped_unix_s + SAME_START_S for ref in found if ref.pid != leader.pid
    )
    return found if is_of_launch else ()


def _session_of(pid: int) -> int:
    try:
        return os.getsid(pid) if hasattr(os, "getsid") else -1
    except OSError:
        return -1


def _of(pid: int) -> ProcessRef | None:
    with contextlib.suppress(psutil.Error):
        return ProcessRef.of(pid)
    return None


def find_tagged(prefix: str) -> dict[ProcessRef, str]:
    """Return every running process but this one whose tag begins with `prefix`, with its tag."""
    found = {}
    for process in _find_candidates(prefix):
        with contextlib.suppress(psutil.Error, OSError):
            tag = read_tag(process)
            ref = ProcessRef(process.pid, process.create_time())
            if tag.startswith(prefix) and process.pid != os.getpid() and ref.state() == "running":
                found[ref] = tag
    return found


def _find_candidates(prefix: str) -> Iterator[psutil.Process]:
    """Yield the processes whose environment may have such a tag: where it is a file, by the bytes of that file.

    The audit does this after nearly every test, for each process of the machine.
    """
    if not (PROC / "self" / "environ").exists():
        yield from psutil.process_iter()
        return
    tag = f"{TAG}={prefix}".encode()
    for name in filter(str.isdigit, (entry.name for entry in PROC.iterdir())):
        with contextlib.suppress(psutil.Error, OSError):
            if tag in _read_environ(name):
                yield psutil.Process(int(name))


def _read_environ(pid: str) -> bytes:
    """Return the bytes of an environment, without a file object: its buffers cost more time than the read."""
    opened = os.open(f"{PROC}/{pid}/environ", os.O_RDONLY)
    try:
        return b"".join(iter(lambda: os.read(opened, ENVIRON_BYTES), b""))
    finally:
        os.close(opened)


def read_tag_of_child(process: psutil.Process) -> str:
    """Like `read_tag`, for a child that may just have been started: Linux shows its environment a moment later."""
    is_started = "the environment of a started process can be read"
    observe(is_started, lambda: process.environ() or process.status() == psutil.STATUS_ZOMBIE, within_s=STARTED_S)
    return read_tag(process)


def read_tag(process: psutil.Process) -> str:
    """Return the tag in the environment of a process, or an empty text; raises psutil.Error."""
    return process.environ().get(TAG, "")


def kill_all(refs: Iterable[ProcessRef]) -> tuple[ProcessRef, ...]:
    """Kill processes and wait for their end; return those that still run."""
    waiting = tuple(refs)
    for ref in waiting:
        ref.kill()
    observe("the killed processes have ended", lambda: not list_running(waiting), within_s=KILL_S)
    return list_running(waiting)


def list_running(refs: Iterable[ProcessRef]) -> tuple[ProcessRef, ...]:
    """Return the processes that have not ended."""
    return tuple(ref for ref in refs if ref.state() == "running")


def end_remaining(left: Callable[[], tuple[ProcessRef, ...]], within_s: float) -> tuple[str, ...]:
    """Wait until `left` returns nothing, then kill the rest; return its PIDs and command lines."""
    if observe("nothing is left", lambda: not left(), within_s=within_s):
        return ()
    late = left()
    names = tuple(f"pid {ref.pid}: {ref.command_line()}" for ref in late)
    kill_all(late)
    return names


def is_among(ref: ProcessRef, others: Collection[ProcessRef]) -> bool:
    """Return whether this process is one of them; the clock may have been set meanwhile."""
    return any(ref.pid == one.pid and abs(ref.start_time - one.start_time) < SAME_START_S for one in others)


def _ref(process: psutil.Process) -> ProcessRef | None:
    try:
        return ProcessRef(process.pid, process.create_time())
    except psutil.NoSuchProcess:
        return None
