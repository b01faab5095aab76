"""A launched foreign process: it may be a wrapper around the server, or start a daemon and end.

Processes and sockets decide whether it is a wrapper, see `process_roles`.

Each of its processes gets one signal to stop: some servers end at once at the second signal, and leave the processes
that they have started (aiohttp, and every Node server that handles the signal by ``once``).
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

# After the end of a process: the rest in a pipe is read within milliseconds, but a child may hold the pipe open.
LAST_OUTPUT_S = 0.5
OUTPUT_END_S = 5.0  # after the end of a launch: only a process that is left behind holds a pipe longer
FORKED_S = 0.3  # a process forks and ends within milliseconds; a scan of all processes takes about ten
# A server that is stopped closes its socket within milliseconds; the rest is for a busy machine. A server that still
# listens then did not get the signal from its wrapper.
PASSED_ON_S = 1.0


class ForeignProcess(ChildProcess):
    """A launch of a foreign command: it runs as long as the process, or as long as the daemon that this has left."""

    port: int
    _is_signalled = False
    _roles_before: ProcessRoles | None = None  # before the first signal
    _stopped: frozenset[ProcessRef] = frozenset()  # the processes that got a signal to stop
    _reaped_unix_s: float | None = None  # the first time at which the launched process was known to have ended
    _is_detached: bool | None = None  # whether it had left a daemon when it ended; None while it runs
    _known: tuple[ProcessRef, ...] = ()
    _outputs: tuple[CappedOutput, ...] = ()

    def _open_log(self, log: Path) -> BinaryIO:
        """See `capped_output`."""
        output = CappedOutput(log)
        self._outputs = (*self._outputs, output)
        return output.writer

    def wait_output(self) -> None:
        """See `Child.await_output`."""
        if self._process.poll() is not None:
            self._wait_logs(LAST_OUTPUT_S)

    def log_tails(self) -> str:
        """Return the ends of both logs; those of a process that has ended are complete."""
        self.wait_output()
        return super().log_tails()

    def end(self, within_s: float = STOP_S) -> ProcessEnd:
        """See `ChildProcess.end`; its files are cut and masked, as they are evidence from now on."""
        is_first = self.ending is None
        ending = super().end(within_s)
        if is_first:
            self._wait_logs(OUTPUT_END_S)
            evidence_files.cut_and_mask(self.folder, redactor())
        return ending

    def _wait_logs(self, within_s: float) -> None:
        for output in self._outputs:
            output.wait_end(within_s)

    def exit_status(self) -> int | None:
        """Return the exit status; None while it runs, or while a daemon runs that it has left with exit status 0."""
        status = self._process.poll()
        if status is None:
            return None
        self._record_end()
        if self._is_detached is None:
            self._is_detached = status == 0 and not self._is_signalled
        self._is_detached = self._is_detached and self._has_daemon()
        return None if self._is_detached else status

    def _record_end(self) -> None:
        self._reaped_unix_s = self._reaped_unix_s or time.time()

    def _has_daemon(self) -> bool:
        """Return whether a daemon runs. A scan between two forks may find neither the parent nor the child."""
        return bool(observe("a process is left", self.processes, within_s=FORKED_S))

    def processes(self) -> tuple[ProcessRef, ...]:
        """Return every running process of this launch: by tree, by tag, by session, or known from before."""
        if ended := self._process.poll() is not None:
            self._record_end()
        near = (each for ref in (self._known if ended else (self.ref,)) for each in list_tree(ref))
        session = list_session(self.ref, self._reaped_unix_s, self._known)
        found = dict.fromkeys([*near, *self._known, *self._tagged(), *session])
        self._known = list_running(found)
        return self._known

    def send(self, signal_number: int) -> None:
        """Send a signal to the launched process alone; nothing happens when it has ended."""
        self._is_signalled = True
        super().send(signal_number)

    def stop(self) -> None:
        """Stop the launched process, or the daemon that it has left."""
        roles = self._find_roles()
        for ref in (self.ref,) if self._process.poll() is None else roles.servers:
            self._stop_once(ref)

    def _stop_once(self, ref: ProcessRef) -> bool:
        """Send one signal to stop to a process; return whether this was the first."""
        first = ref not in self._stopped
        self._stopped |= {ref}
        if first and ref == self.ref:
            self.send(STOP_SIGNAL)
        elif first:
            ref.terminate()
        return first

    def _end(self, within_s: float = STOP_S) -> ProcessEnd:
        """Stop the launch. Orphans are what the server leaves; forced means that the server did not stop in time."""
        processes = self.processes()
        roles = self._find_roles()
        external_connections.record_external_connections(self._run, processes)
        self._stop_once(self.ref)
        late = not observe(
            "it has ended", lambda: self._process.poll() is not None, within_s=within_s, pause=self._pause
        )
        is_wrapped = self.ref not in roles.servers
        forced = self._stop_server(roles, within_s) if is_wrapped and roles.servers else late
        if late or forced:
            kill_all(processes)
        status = self._process.wait()
        orphans = self._end_orphans(processes) if not is_wrapped else self._end_below(roles)
        return ProcessEnd(status, forced, orphans)

    def _stop_server(self, roles: ProcessRoles, within_s: float) -> bool:
        """Stop the wrappers from above, and the server itself only if no wrapper has passed the signal on."""
        for ref in (*roles.chain, *roles.servers):
            if not self._is_stopped(roles):
                if self._stop_once(ref):
                    observe("it has ended", partial(self._is_stopped, roles, ref), within_s=within_s)
                observe("the server stops", partial(self._is_stopped, roles), within_s=PASSED_ON_S)
        return wait_stopped(roles.servers, within_s)

    def _is_stopped(self, roles: ProcessRoles, ref: ProcessRef | None = None) -> bool:
        """Return whether this process has ended, or neither the server nor a worker of it listens any more."""
        ended = ref is not None and ref.state() != "running"
        return ended or not serving_processes.find_listening((*roles.servers, *roles.below), self.port)

    def _end_below(self, roles: ProcessRoles) -> tuple[str, ...]:
        """End what is left, and return what the server has left; what a wrapper has left is not named."""
        names = end_remaining(lambda: list_running(roles.below), ORPHAN_END_S)
        stop_processes(self.processes(), ORPHAN_END_S)
        return names

    def _find_roles(self) -> ProcessRoles:
        """Return the roles of the processes before the first signal."""
        if self._roles_before is None:
            processes = self.processes()
            listening = serving_processes.find_listening(processes, self.port)
            self._roles_before = ProcessRoles.of(processes, listening)
        return self._roles_before

    def _pause(self, pause_s: float) -> None:
        if self._process.poll() is None:
            super()._pause(pause_s)
        else:
            threading.Event().wait(pause_s)
