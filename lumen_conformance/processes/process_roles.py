"""Which process of a foreign launch is the server, and which is a wrapper (`npx`, `npm start`, a shell) or a worker.

The server is the process that listens on the port of the launch. Where several share the port (SO_REUSEPORT), they are
workers, and the server is the nearest process above all of them, which need not listen. A supervisor that does not
listen and has one worker looks like a wrapper, and is treated as one. Only the descendants of the server must end with
it. What a wrapper leaves is stopped, then killed, and fails no check.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import psutil

from lumen_conformance.processes.process_tree import ProcessRef, kill_all, list_running, list_tree
from lumen_conformance.waiting import observe


@dataclass(frozen=True)
class ProcessRoles:
    """The roles of the processes of a launch before it is stopped.

    ``servers``   the topmost processes that listen, or the one above them where they share the port
    ``chain``     the processes between the launched process and the servers, from above
    ``below``     the descendants of the servers
    """

    servers: tuple[ProcessRef, ...]
    chain: tuple[ProcessRef, ...]
    below: tuple[ProcessRef, ...]

    @classmethod
    def of(cls, processes: tuple[ProcessRef, ...], listeners: Iterable[ProcessRef]) -> ProcessRoles:
        """Find the roles in the process tree of now."""
        above = {ref: _parents(ref, processes) for ref in listeners}
        topmost = {ref: parents for ref, parents in above.items() if not set(parents) & set(above)}
        servers = _supervisor(topmost) or tuple(topmost)
        chain = {parent for ref in servers for parent in _parents(ref, processes)}
        below = dict.fromkeys(each for ref in servers for each in list_tree(ref) if each != ref)
        return cls(servers, tuple(ref for ref in processes if ref in chain), tuple(below))


def stop_processes(refs: Iterable[ProcessRef], within_s: float) -> None:
    """Send SIGTERM to processes, and kill those that do not stop."""
    stopping = list_running(refs)
    for ref in stopping:
        ref.terminate()
    wait_stopped(stopping, within_s)


def wait_stopped(refs: Iterable[ProcessRef], within_s: float) -> bool:
    """Wait for processes that got a signal to stop, and kill the late ones; return whether there was one."""
    stopping = tuple(refs)
    observe("the stopping processes have ended", lambda: not list_running(stopping), within_s=within_s)
    late = list_running(stopping)
    kill_all(late)
    return bool(late)


def _supervisor(listeners: Mapping[ProcessRef, tuple[ProcessRef, ...]]) -> tuple[ProcessRef, ...]:
    """Return the nearest process above several listeners; none for one, nor for daemons without a common parent."""
    if len(listeners) == 1:
        return ()
    first, *others = listeners.values() or ((),)
    return tuple(parent for parent in first if all(parent in each for each in others))[:1]


def _parents(ref: ProcessRef, processes: tuple[ProcessRef, ...]) -> tuple[ProcessRef, ...]:
    """Return the processes of the launch above a process, the nearest first."""
    process, known = ref.process(), {each.pid: each for each in processes}
    try:
        return tuple(known[parent.pid] for parent in process.parents() if parent.pid in known) if process else ()
    except psutil.Error:
        return ()
