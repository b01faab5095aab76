"""A child that is not ours: it may be a wrapper around the server, or leave a daemon and end.

Whether it is a wrapper is decided only by processes and sockets.

Each of its processes is asked to stop once: some servers end at once when they are asked again, and leave what they
have started (aiohttp, and every Node server that handles the signal by ``once``).
"""

from __future__ import annotations

import threading
import time
from functools import partial
from pathlib import Path
from typing import BinaryIO

from lumen_conformance.processes import evidence_files, external_connections, serving_processes
from lumen_conformance.processes.capped_output import CappedOutput
from lumen_conformance.processes.child_process import ORPHAN_END_S, STOP_S, STOP_SIGNAL, ChildProcess, ProcessEnd
from lumen_conformance.processes.process_roles import ProcessRoles, stop_processes, wait_stopped
from lumen_conformance.processes.process_tree import (
    ProcessRef,
    end_remaining,
    kill_all,
    list_running,
    list_session,
    list_tree,
)
from lumen_conformance.registry.redaction import redactor
from lumen_conformance.waiting import observe

# Of a process that has ended: what a pipe holds is read within milliseconds, but a child of it may hold the pipe open.
LAST_OUTPUT_S = 0.5
OUTPUT_END_S = 5.0  # of a launch that has ended: only a process that has escaped holds a pipe longer
FORKED_S = 0.3  # a process forks and ends within milliseconds; a look at all processes takes some ten of them
# A server that is asked to stop closes its socket within milliseconds; the rest is for a busy machine. Whoever still
# listens then was not asked by the wrapper.
PASSED_ON_S = 1.0


class ForeignProcess(ChildProcess):
    """A launch of somebody else's command: it runs for as long as the process, or the daemon that this has left."""

    port: int
    _asked = False  # to stop, or sent another signal
    _cast: ProcessRoles | None = None
    _stopped: frozenset[ProcessRef] = frozenset()  # who was asked to stop
    _reaped_unix_s: float | None = None  # when it was first seen that the launched process has ended
    _detached: bool | None = None  # whether it had left a daemon when it ended; None while it runs
    _known: tuple[ProcessRef, ...] = ()
    _outputs: tuple[CappedOutput, ...] = ()

    def _opened(self, log: Path) -> BinaryIO:
        """See `capped_output`."""
        output = CappedOutput(log)
        self._outputs = (*self._outputs, output)
        return output.writer

    def wait_output(self) -> None:
        """See `Child.await_output`."""
        if self._process.poll() is not None:
            self._settle(LAST_OUTPUT_S)

    def tails(self) -> str:
        """The ends of both logs; of a process that has ended with its last words."""
        self.wait_output()
        return super().tails()

    def end(self, within_s: float = STOP_S) -> ProcessEnd:
        """See `Child.end`; its files are evidence from now on."""
        is_first = self.ending is None
        ending = super().end(within_s)
        if is_first:
            self._settle(OUTPUT_END_S)
            evidence_files.cut_and_mask(self.folder, redactor())
        return ending

    def _settle(self, within_s: float) -> None:
        for output in self._outputs:
            output.settle(within_s)

    def exit_status(self) -> int | None:
        """None while it runs, or the daemon that it has left with exit status 0."""
        status = self._process.poll()
        if status is None:
            return None
        self._note_end()
        if self._detached is None:
            self._detached = status == 0 and not self._asked
        self._detached = self._detached and self._has_left_somebody()
        return None if self._detached else status

    def _note_end(self) -> None:
        self._reaped_unix_s = self._reaped_unix_s or time.time()

    def _has_left_somebody(self) -> bool:
        """Whether it goes on as a daemon. A single look between two forks may see neither the parent nor the child."""
        return bool(observe("somebody is left", self.processes, within_s=FORKED_S))

    def processes(self) -> tuple[ProcessRef, ...]:
        """Every running process of this launch: by tree, tag or session, and whoever was one of them before."""
        if ended := self._process.poll() is not None:
            self._note_end()
        near = (each for ref in (self._known if ended else (self.ref,)) for each in list_tree(ref))
        session = list_session(self.ref, self._reaped_unix_s, self._known)
        found = dict.fromkeys([*near, *self._known, *self._tagged(), *session])
        self._known = list_running(found)
        return self._known

    def send(self, signal_number: int) -> None:
        """A signal to the launched process alone; nothing happens when it has ended."""
        self._asked = True
        self._process.send_signal(signal_number)

    def stop(self) -> None:
        """Ask it to stop: the launched process, or the daemon that it has left."""
        roles = self._roles()
        for ref in (self.ref,) if self._process.poll() is None else roles.servers:
            self._ask(ref)

    def _ask(self, ref: ProcessRef) -> bool:
        """Ask a process to stop, once; whether this was the first time."""
        first = ref not in self._stopped
        self._stopped |= {ref}
        if first and ref == self.ref:
            self.send(STOP_SIGNAL)
        elif first:
            ref.terminate()
        return first

    def _ended(self, within_s: float = STOP_S) -> ProcessEnd:
        """See `wrappers`: orphans are what the server leaves, forced is a server that does not stop when asked."""
        family = self.processes()
        roles = self._roles()
        external_connections.record_external_connections(self._run, family)
        self._ask(self.ref)
        late = not observe(
            "it has ended", lambda: self._process.poll() is not None, within_s=within_s, pause=self._pause
        )
        wrapped = self.ref not in roles.servers
        forced = self._stop_server(roles, within_s) if wrapped and roles.servers else late
        if late or forced:
            kill_all(family)
        status = self._process.wait()
        orphans = self._end_orphans(family) if not wrapped else self._end_below(roles)
        return ProcessEnd(status, forced, orphans)

    def _stop_server(self, roles: ProcessRoles, within_s: float) -> bool:
        """Ask from above whoever is above the server, and the server itself only if nobody has passed it on."""
        for ref in (*roles.chain, *roles.servers):
            if not self._stops(roles):
                if self._ask(ref):
                    observe("it has ended", partial(self._stops, roles, ref), within_s=within_s)
                observe("the server stops", partial(self._stops, roles), within_s=PASSED_ON_S)
        return wait_stopped(roles.servers, within_s)

    def _stops(self, roles: ProcessRoles, ref: ProcessRef | None = None) -> bool:
        """Whether this process has ended, or neither the server nor a worker of it listens any more."""
        ended = ref is not None and ref.state() != "running"
        return ended or not serving_processes.find_listening((*roles.servers, *roles.below), self.port)

    def _end_below(self, roles: ProcessRoles) -> tuple[str, ...]:
        """What the server has left; what the wrapper has left beside it is ended, and not named."""
        names = end_remaining(lambda: list_running(roles.below), ORPHAN_END_S)
        stop_processes(self.processes(), ORPHAN_END_S)
        return names

    def _roles(self) -> ProcessRoles:
        """Who was who before anybody was asked to stop."""
        if self._cast is None:
            family = self.processes()
            self._cast = ProcessRoles.of(family, serving_processes.find_listening(family, self.port))
        return self._cast

    def _pause(self, pause_s: float) -> None:
        if self._process.poll() is None:
            super()._pause(pause_s)
        else:
            threading.Event().wait(pause_s)
