"""One launch of the target: where it listens, which of its processes serve, and how it ends.

A launch is ready when three things are true: its process runs, the probe answers that the target is ready, and the
answer comes from this launch. A target with a journal proves the last by the instance that journal and probe name; any
other by the listening socket, which a process of the launch must hold.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from lumen_conformance.http.client import request_bytes
from lumen_conformance.processes import serving_processes
from lumen_conformance.processes.child_process import ChildProcess, ProcessEnd
from lumen_conformance.processes.process_tree import ProcessRef
from lumen_conformance.registry.journal_event import JournalEvent
from lumen_conformance.registry.option_table import spelled
from lumen_conformance.run import Run
from lumen_conformance.targets.endpoint import Endpoint
from lumen_conformance.targets.foreign_process import ForeignProcess
from lumen_conformance.targets.journal import JournalReader
from lumen_conformance.targets.readiness import advise_command, describe_answer, describe_end
from lumen_conformance.targets.target import Target
from lumen_conformance.waiting import WaitEndedError, WaitTimeoutError, until

# Of our own proxy: check 1.1 measures the start and allows 10 s. A launch that takes longer does not become ready.
READY_S = 30.0


class LaunchedTarget(Endpoint, ChildProcess):
    """One launch of the target.

    ``port``     0 until it is known
    ``ready``    the event ``ready`` of the journal, for targets with a journal
    ``ready_s``  seconds from the launch until the proof that it is ready
    """

    def __init__(self, run: Run, target: Target, argv: list[str], environ: Mapping[str, str], folder: Path) -> None:
        self.target = target
        self.state_dir = Path(environ["LUMEN_STATE_DIR"])
        self.journal = JournalReader(Path(environ["LUMEN_LOG_DIR"]), self.end_reason)
        self._gateway_url = environ["LUMEN_GATEWAY_URL"]
        self.port = 0
        self.ready: JournalEvent | None = None
        self.ready_s = 0.0
        self._mark = self.journal.mark()
        self._files_before = frozenset(self.state_dir.glob("*"))
        ChildProcess.__init__(
            self, run, " ".join(argv), argv, environ, folder, cwd=target.cwd, shadow_names=target.shadow_names,
            foreign=target.foreign,
        )  # fmt: skip

    @property
    def url(self) -> str:
        """The origin of the server."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """See `Endpoint.headers`."""
        return self.target.headers_of(self.port, self._gateway_url)

    def wait_ready(self, within_s: float | None = None) -> Self:
        """Wait for the proof that the target is ready; raises `WaitEndedError` when it exits, also with status 0."""
        start_s = time.monotonic()
        within_s = within_s or (self.target.start_s if self.target.foreign else READY_S)
        prove = self._prove_by_journal if "journal" in self.target.can else self._prove_by_socket
        claim = f"{self.command_line()} (pid {self.pid}) is ready"
        try:
            until(claim, prove, within_s=within_s, give_up=self.end_reason, pause=self._pause)
        except WaitTimeoutError as error:
            error.args = (
                f"{self._describe_probe(within_s)}\n{self.command_line()} (pid {self.pid})\n{self.log_tails()}",
            )
            raise
        self.ready_s = time.monotonic() - start_s
        return self

    def _describe_probe(self, within_s: float) -> str:
        """Return in one line what was asked, for how long, what came, what was expected, and what to do."""
        health = self.health()
        came = f"GET {self.url}{self.target.probe_path} was {describe_answer(health.capture)}"
        if health.ready:
            other = f"{came} by another process; end the program that has this port"
            return f"no answer came from this launch within {within_s:g} s: {other}"
        expected = "200" if self.target.health_path else "below 500"
        return f"the server was not ready within {within_s:g} s: {came}, expected status {expected}; {self._advise()}"

    def _advise(self) -> str:
        if not self.target.foreign:
            return "see its log below"
        return (
            f"see its log below; give a longer {spelled('start-timeout')}, or another {spelled('health-path')} "
            f"(none: the probe is /v1/models){advise_command(self.target)}"
        )

    def worker(self) -> ProcessRef:
        """Return the process that answers, by its own health or by its connection; raises IndexError if none does."""
        pid = self.health().pid if "journal" in self.target.can else 0
        return ProcessRef.of(pid) if pid else (self.answering_process() or self.listeners()[-1])

    def listeners(self) -> tuple[ProcessRef, ...]:
        """Return the processes of this launch that hold a listening socket on its port, parents first.

        They need not serve: a parent may keep the socket for its workers, or pass each connection to a worker.
        """
        return serving_processes.find_listening(self.processes(), self.port)

    def answering_process(self) -> ProcessRef | None:
        """Return the process of this launch that answers the probe, found by the connection.

        It is one of several workers. None when nothing answers, or when no process of the launch holds the other end of
        the connection (a container, another server).
        """
        request = request_bytes(self.url, "GET", self.target.probe_path, headers=self.headers)
        return serving_processes.find_answering(self.processes(), self.port, request)

    def serving_processes(self) -> tuple[ProcessRef, ...]:
        """Return the processes of this launch that may serve: when all of them are killed, none serves.

        These are the processes that listen, and their descendants. A wrapper above them is none of them, nor are the
        helpers of Python's multiprocessing, nor is a parent with workers that did not answer this probe.
        """
        return serving_processes.find_serving(self.processes(), self.port, self.answering_process())

    def _end(self, within_s: float) -> ProcessEnd:
        """Count the files that an orderly stop removes as left behind, too."""
        end = super()._end(within_s)
        return ProcessEnd(end.exit_status, end.forced, (*end.orphans, *self._list_files_left(end)))

    def _list_files_left(self, end: ProcessEnd) -> tuple[str, ...]:
        """Return the state and the lock of this port. A killed target may leave them, and so may one never ready."""
        is_orderly = not end.forced and (end.exit_status or 0) >= 0 and end.exit_status != 1
        if not (is_orderly and self.ready):
            return ()
        files = self.state_dir.glob(f"proxy-{self.port}.*")
        return tuple(f"file {file}" for file in files if file not in self._files_before)

    def _prove_by_journal(self) -> bool:
        ready = self.ready or next(filter(self._is_of_this_launch, self.journal.events(self._mark, "ready")), None)
        if ready is None:
            return False
        self.port = ready["port"]
        health = self.health()
        if not health.ready or health.instance != ready.instance:
            return False
        self.ready = ready
        return True

    def _prove_by_socket(self) -> bool:
        return self.health().ready and bool(self.listeners())

    def _is_of_this_launch(self, ready: JournalEvent) -> bool:
        return ready["supervisor_pid"] in {ref.pid for ref in self.processes()}


class LaunchedForeignTarget(ForeignProcess, LaunchedTarget):
    """One launch of a foreign target; ``forced`` and ``orphans`` of its end are about the server, not a wrapper."""

    def wait_ready(self, within_s: float | None = None) -> Self:
        """See `LaunchedTarget.wait_ready`; the error of an early exit has the reason and the advice in one line."""
        try:
            return super().wait_ready(within_s)
        except WaitEndedError as error:
            end = describe_end(self.exit_status(), self.last_line()) + advise_command(self.target)
            error.args = (f"{end}\n{self.command_line()}\n{self.log_tails()}",)
            raise
