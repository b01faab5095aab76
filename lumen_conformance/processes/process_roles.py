"""How a foreign launch ends: what was launched may be a wrapper (`npx`, `npm start`, a shell), or have left a daemon.

The server is the process that listens on the port of the launch. Where several share the port (SO_REUSEPORT), they are
workers, and the server is the nearest process above all of them, which need not listen. A supervisor that does not
listen and has one worker looks like a wrapper, and is taken for one. Only the server is responsible for what is left:
its descendants must end with it. What a wrapper leaves is asked to stop, then killed, and fails no check.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import psutil

from lumen_conformance.processes.process_tree import ProcessRef, kill_all, list_running, list_tree
from lumen_conformance.waiting import observe


@dataclass(frozen=True)
class ProcessRoles:
    """Who is who in a launch, before it is asked to stop.

    ``servers``   the topmost processes that listen, or the one above them where they share the port
    ``chain``     what stands between the launched process and the servers, from above
    ``below``     the descendants of the servers
    """

    servers: tuple[ProcessRef, ...]
    chain: tuple[ProcessRef, ...]
    below: tuple[ProcessRef, ...]

    @classmethod
    def of(cls, family: tuple[ProcessRef, ...], listeners: Iterable[ProcessRef]) -> ProcessRoles:
        """By the process tree, now."""
        above = {ref: _parents(ref, family) for ref in listeners}
        topmost = {ref: parents for ref, parents in above.items() if not set(parents) & set(above)}
        servers = _supervisor(topmost) or tuple(topmost)
        chain = {parent for ref in servers for parent in _parents(ref, family)}
        below = dict.fromkeys(each for ref in servers for each in list_tree(ref) if each != ref)
        return cls(servers, tuple(ref for ref in family if ref in chain), tuple(below))


def stop_processes(refs: Iterable[ProcessRef], within_s: float) -> None:
    """Ask them to stop, kill whoever does not."""
    asked = list_running(refs)
    for ref in asked:
        ref.terminate()
    wait_stopped(asked, within_s)


def wait_stopped(refs: Iterable[ProcessRef], within_s: float) -> bool:
    """Wait for those that were asked to stop, kill whoever does not; whether one had to be killed."""
    asked = tuple(refs)
    observe("those asked to stop have ended", lambda: not list_running(asked), within_s=within_s)
    late = list_running(asked)
    kill_all(late)
    return bool(late)


def _supervisor(listeners: Mapping[ProcessRef, tuple[ProcessRef, ...]]) -> tuple[ProcessRef, ...]:
    """The nearest process above several listeners; none for a single one, nor for daemons without a common parent."""
    if len(listeners) == 1:
        return ()
    first, *others = listeners.values() or ((),)
    return tuple(parent for parent in first if all(parent in each for each in others))[:1]


def _parents(ref: ProcessRef, family: tuple[ProcessRef, ...]) -> tuple[ProcessRef, ...]:
    """Those of the family above a process, the nearest first."""
    process, known = ref.process(), {each.pid: each for each in family}
    try:
        return tuple(known[parent.pid] for parent in process.parents() if parent.pid in known) if process else ()
    except psutil.Error:
        return ()
