"""Processes by PID and start time: what they are, who their children are, and how they end.

A PID alone may have passed to a stranger, and ``kill(pid, 0)`` calls a zombie alive; both are told apart here.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from lumen_conformance.inject.lumen_guard import TAG
from lumen_conformance.waiting import observe

ProcessState = Literal["running", "zombie", "gone"]

SAME_START_S = 1.0  # psutil adds the boot time, which a clock adjustment may move; no PID comes round within a second
PROC = Path("/proc")
ENVIRON_BYTES = 65_536  # one read for nearly every environment
KILL_S = 5.0  # SIGKILL takes effect within milliseconds; longer means a process stuck in the kernel


@dataclass(frozen=True)
class ProcessRef:
    """One process for ever: ``pid`` and ``start_time`` (seconds since the epoch, as psutil gives it)."""

    pid: int
    start_time: float

    @classmethod
    def of(cls, pid: int) -> ProcessRef:
        """The process that has this PID now; raises psutil.NoSuchProcess."""
        return cls(pid, psutil.Process(pid).create_time())

    def process(self) -> psutil.Process | None:
        """The psutil handle, or None when the process is gone or its PID belongs to another now."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.start_time) < SAME_START_S
        except psutil.NoSuchProcess:
            return None
        return process if same else None

    def state(self) -> ProcessState:
        """A zombie has ended but was not reaped by its parent; gone is gone, even if the PID is in use again."""
        process = self.process()
        try:
            status = process.status() if process else None
        except psutil.NoSuchProcess:
            status = None
        if status is None:
            return "gone"
        return "zombie" if status in {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD} else "running"

    def kill(self) -> None:
        """SIGKILL, or TerminateProcess on Windows; nothing happens to a process that has ended."""
        with contextlib.suppress(psutil.NoSuchProcess):
            if process := self.process():
                process.kill()

    def terminate(self) -> None:
        """SIGTERM, or TerminateProcess on Windows; nothing happens to a process that has ended."""
        with contextlib.suppress(psutil.NoSuchProcess):
            if process := self.process():
                process.terminate()

    def suspend(self) -> None:
        """Stop it without its knowledge (SIGSTOP)."""
        if process := self.process():
            process.suspend()

    def resume(self) -> None:
        """Let it go on (SIGCONT)."""
        if process := self.process():
            process.resume()

    def name(self) -> str:
        """Its command line, for people."""
        process = self.process()
        try:
            return " ".join(process.cmdline()) if process else "gone"
        except psutil.Error:
            return "unreadable"


def list_tree(root: ProcessRef) -> tuple[ProcessRef, ...]:
    """A process and all its descendants, the root first; empty when it is gone."""
    process = root.process()
    if process is None:
        return ()
    with contextlib.suppress(psutil.NoSuchProcess):
        return root, *filter(None, map(_ref, process.children(recursive=True)))
    return (root,)


def list_session(
    leader: ProcessRef, reaped_unix_s: float | None = None, known: Collection[ProcessRef] = ()
) -> tuple[ProcessRef, ...]:
    """The processes of the session of a process that we started; of a later session with the same number none (POSIX).

    The number belongs to our session until its leader is reaped, and as long as it has a process. So a session of this
    number is ours when a process of it was known as ours before, or began before the leader was reaped.
    """
    pids = (pid for pid in psutil.pids() if _session_of(pid) == leader.pid)
    found = tuple(filter(None, (_of(pid) for pid in pids)))
    ours = reaped_unix_s is None or any(
        ref in known or ref.start_time < reaped_unix_s + SAME_START_S for ref in found if ref.pid != leader.pid
    )
    return found if ours else ()


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
    """Every running process whose tag begins with `prefix`, and that tag. Never this process itself."""
    found = {}
    for process in _candidates(prefix):
        with contextlib.suppress(psutil.Error, OSError):
            tag = read_tag(process)
            ref = ProcessRef(process.pid, process.create_time())
            if tag.startswith(prefix) and process.pid != os.getpid() and ref.state() == "running":
                found[ref] = tag
    return found


def _candidates(prefix: str) -> Iterator[psutil.Process]:
    """Processes whose environment may have such a tag: where it is a file, a look at its bytes leaves few of them.

    This is asked after nearly every test, of each process of the machine.
    """
    if not (PROC / "self" / "environ").exists():
        yield from psutil.process_iter()
        return
    mark = f"{TAG}={prefix}".encode()
    for name in filter(str.isdigit, (entry.name for entry in PROC.iterdir())):
        with contextlib.suppress(psutil.Error, OSError):
            if mark in _environ_of(name):
                yield psutil.Process(int(name))


def _environ_of(pid: str) -> bytes:
    """The bytes of an environment, without the buffers of a file object: they cost more than the reading."""
    opened = os.open(f"{PROC}/{pid}/environ", os.O_RDONLY)
    try:
        return b"".join(iter(lambda: os.read(opened, ENVIRON_BYTES), b""))
    finally:
        os.close(opened)


def read_tag(process: psutil.Process) -> str:
    """The tag that it was started with, or an empty text; raises psutil.Error for one that cannot be asked."""
    return process.environ().get(TAG, "")


def kill_all(refs: Iterable[ProcessRef]) -> tuple[ProcessRef, ...]:
    """Kill and wait; what is returned survived even that."""
    waiting = tuple(refs)
    for ref in waiting:
        ref.kill()
    observe("the killed are gone", lambda: not list_running(waiting), within_s=KILL_S)
    return list_running(waiting)


def list_running(refs: Iterable[ProcessRef]) -> tuple[ProcessRef, ...]:
    """Those that have not ended."""
    return tuple(ref for ref in refs if ref.state() == "running")


def end_remaining(left: Callable[[], tuple[ProcessRef, ...]], within_s: float) -> tuple[str, ...]:
    """Wait until nothing is left, kill what is left all the same; its PIDs and command lines."""
    if observe("nothing is left", lambda: not left(), within_s=within_s):
        return ()
    late = left()
    names = tuple(f"pid {ref.pid}: {ref.name()}" for ref in late)
    kill_all(late)
    return names


def _ref(process: psutil.Process) -> ProcessRef | None:
    try:
        return ProcessRef(process.pid, process.create_time())
    except psutil.NoSuchProcess:
        return None
