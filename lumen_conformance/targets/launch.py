"""Launch the target, know that the one who answers is ours, and leave nothing behind.

Ready means three things at once: a live child, an answer of 200, and proof that this child gave it. Werkzeug's
factory fixture, with PostgreSQL's habit of marking the journal before the act.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, Self

import pytest

from lumen_conformance.http.client import request_bytes
from lumen_conformance.processes import external_connections, serving_processes
from lumen_conformance.processes.child_process import ChildProcess, ProcessEnd, ProcessFactory
from lumen_conformance.processes.process_tree import ProcessRef
from lumen_conformance.registry.measurement import record_evidence
from lumen_conformance.run import Run
from lumen_conformance.targets.endpoint import Endpoint, Health
from lumen_conformance.targets.environment import base_environment, hide_filled_variables, select_settings
from lumen_conformance.targets.foreign_process import ForeignProcess
from lumen_conformance.targets.journal import JournalEvent, JournalReader
from lumen_conformance.targets.readiness import Readiness, advise_command, describe_answer, describe_end
from lumen_conformance.targets.target import Target, merge
from lumen_conformance.waiting import Died, Overdue, WaitError, until

__all__ = ["CommandResult", "HasUrl", "Health", "LaunchedTarget", "Launcher"]

# Of ours: check 1.1 allows 10 s and measures; a launch gives up only when a machine under load would not help.
READY_S = 30.0
RUN_S = 30.0  # a command that ends by itself: a cold start takes 0.3 s here, a hundred times that


class HasUrl(Protocol):
    """Anything with an origin to call, such as the scripted gateway."""

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``."""
        ...


@dataclass(frozen=True)
class CommandResult:
    """A command that ended by itself."""

    argv: tuple[str, ...]
    exit_status: int
    stdout: str
    stderr: str
    elapsed_s: float


class LaunchedTarget(Endpoint, ChildProcess):
    """One launch of the target.

    ``port``     0 until it is known
    ``ready``    the journal's event, for targets that keep a journal
    ``ready_s``  from the launch until it was proven ready
    """

    def __init__(self, run: Run, target: Target, argv: list[str], environ: Mapping[str, str], folder: Path) -> None:
        self.target = target
        self.state_dir = Path(environ["LUMEN_STATE_DIR"])
        self.journal = JournalReader(Path(environ["LUMEN_LOG_DIR"]), self.dead)
        self._gateway_url = environ["LUMEN_GATEWAY_URL"]
        self.port = 0
        self.ready: JournalEvent | None = None
        self.ready_s = 0.0
        self._mark = self.journal.mark()
        self._files_before = frozenset(self.state_dir.glob("*"))
        ChildProcess.__init__(
            self, run, " ".join(argv), argv, environ, folder, cwd=target.cwd, planted=target.planted,
            foreign=target.foreign,
        )  # fmt: skip

    @property
    def url(self) -> str:
        """The origin that clients call."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """See `Served.headers`."""
        return self.target.headers_of(self.port, self._gateway_url)

    def wait_ready(self, within_s: float | None = None) -> Self:
        """Wait until the target is proven ready; raises `waiting.Died` at an early exit, 0 included."""
        start_s = time.monotonic()
        within_s = within_s or (self.target.start_s if self.target.foreign else READY_S)
        prove = self._prove_by_journal if "journal" in self.target.can else self._prove_by_socket
        claim = f"{self.words()} (pid {self.pid}) is ready"
        try:
            until(claim, prove, within_s=within_s, alive=self.dead, pause=self._pause)
        except Overdue as error:
            error.add_note(self._how_it_answers())
            error.add_note(self.tails())
            raise
        self.ready_s = time.monotonic() - start_s
        return self

    def _how_it_answers(self) -> str:
        """What readiness was asked by, and what came instead."""
        return (
            f"GET {self.target.probe_path} on port {self.port} was answered with "
            f"{describe_answer(self.health().capture)}; look into the log below, or name another address with "
            f"--proxy-health-path (none: /v1/models is asked instead){advise_command(self.target)}"
        )

    def worker(self) -> ProcessRef:
        """The process that answers: by its own word, or else by its connection; raises IndexError when nobody does."""
        pid = self.health().pid if "journal" in self.target.can else 0
        return ProcessRef.of(pid) if pid else (self.answering_process() or self.listeners()[-1])

    def listeners(self) -> tuple[ProcessRef, ...]:
        """The processes of this launch that hold a listening socket on its port, parents first.

        Who listens need not serve: a parent may keep the socket for its workers, or hand each connection to them.
        """
        return serving_processes.find_listening(self.processes(), self.port)

    def answering_process(self) -> ProcessRef | None:
        """The process of this launch that answers now: it is asked by its probe and found by that very connection.

        One look sees one worker of many: kill it, look again until another process is named, and time that. None when
        nobody answers, or when the other end is held by no process of the launch (a container, another server).
        """
        request = request_bytes(self.url, "GET", self.target.probe_path, headers=self.headers)
        return serving_processes.find_answering(self.processes(), self.port, request)

    def serving_processes(self) -> tuple[ProcessRef, ...]:
        """The processes of this launch that may serve, so that nobody serves when all of them are killed.

        Those are whoever listens and its descendants; not a wrapper above it, nor helpers of Python's multiprocessing,
        nor a parent that has workers, unless it has just answered by itself. Only ``(self.ref,)`` means one process.
        """
        return serving_processes.find_serving(self.processes(), self.port, self.answering_process())

    def _ended(self, within_s: float) -> ProcessEnd:
        """The files that an orderly stop must have removed count as left behind, too."""
        ending = super()._ended(within_s)
        return ProcessEnd(ending.exit_status, ending.forced, (*ending.orphans, *self._files_left(ending)))

    def _files_left(self, ending: ProcessEnd) -> tuple[str, ...]:
        """State and lock of this port. A kill leaves them rightly, and so does a launch that never owned them."""
        stopped_itself = not ending.forced and (ending.exit_status or 0) >= 0 and ending.exit_status != 1
        if not (stopped_itself and self.ready):
            return ()
        return tuple(
            f"file {file}" for file in self.state_dir.glob(f"proxy-{self.port}.*") if file not in self._files_before
        )

    def _prove_by_journal(self) -> bool:
        ready = self.ready or next(filter(self._is_mine, self.journal.events(self._mark, "ready")), None)
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

    def _is_mine(self, ready: JournalEvent) -> bool:
        return ready["supervisor_pid"] in {ref.pid for ref in self.processes()}


class LaunchedForeignTarget(ForeignProcess, LaunchedTarget):
    """One launch of a foreign target; ``forced`` and ``orphans`` of its ending are about the server, not a wrapper."""

    def wait_ready(self, within_s: float | None = None) -> Self:
        """See `Launched.wait_ready`; the first line of an early exit has all that its author needs."""
        try:
            return super().wait_ready(within_s)
        except Died as error:
            end = describe_end(self.exit_status(), self.last_line()) + advise_command(self.target)
            error.args = (f"{end}\n{self.words()}\n{self.tails()}",)
            raise


class Launcher(ProcessFactory):
    """The factory of launches: call it to launch the target."""

    def __init__(
        self, run: Run, target: Target, folder: Path, note: Callable[[Path], object] = lambda _folder: None,
        readiness: Readiness | None = None,
    ) -> None:  # fmt: skip
        super().__init__(run, folder, note)
        self.target = target
        self._readiness = readiness
        # Whether a sabotage is told well is for a check to say; a foreign log is no interface of ours.
        self.is_traceback_expected = target.sabotage is not None or target.foreign
        self.are_orphans_expected = target.foreign  # check A3 judges them, and a baseline may list it

    def __call__(
        self,
        *,
        port: int = 0,
        args: tuple[str, ...] = (),
        env: Mapping[str, str | None] | None = None,
        gateway: HasUrl | str | None = None,
        ready: bool = True,
        target: Target | None = None,
    ) -> LaunchedTarget:
        """Launch the target, and wait until it is proven ready unless told otherwise.

        `port` 0 is any free one. `env` adds variables (None takes one away); a foreign target gets few of them, see
        `environments.select_settings`. Without a `gateway` the target gets an address that refuses. Raises `waiting.Died` or
        `waiting.Overdue` with exit status, command and logs; whatever was started is ended with the factory.
        """
        target = target or self.target
        if target.url:
            target.need("launch")
        if not port and "journal" not in target.can:
            port = self.reserve_port()
        if self._readiness:
            self._readiness.look()
        folder, url = self.next_folder(), _url(gateway)
        caller = self.run_tags.caller
        environ = merge(
            base_environment(target, caller),
            target.environ(folder, url, port),
            select_settings(target, caller, env or {}),
        )
        hide_filled_variables(target, environ)
        argv = target.argv(port, url, args)
        try:
            made = LaunchedForeignTarget if target.foreign else LaunchedTarget
            launched = self.keep(made(self.run_tags, target, argv, environ, folder))
            launched.port = port
            if ready:
                launched.wait_ready()
                self._note_outside(launched)
        except (WaitError, OSError) as error:
            raise self._told(error, argv) from None
        if ready and self._readiness:
            self._readiness.proven()
        return launched

    def _note_outside(self, launched: LaunchedTarget) -> None:
        if launched.target.foreign:
            external_connections.record_external_connections(self.run_tags, launched.processes())

    def _told(self, error: WaitError | OSError, argv: list[str]) -> Exception:
        """The same error, or the one that is told once in a run."""
        if self._readiness is None:
            return error
        words = "\n".join([str(error), *getattr(error, "__notes__", [])])
        if isinstance(error, OSError):
            words = f"{subprocess.list2cmdline(argv)} cannot be launched: {error}{advise_command(self.target)}"
        return self._readiness.refuted(error, words)

    def run(
        self, *args: str, env: Mapping[str, str | None] | None = None, gateway: HasUrl | str | None = None,
        within_s: float = RUN_S, tool: tuple[str, ...] | None = None, foreign: bool = False,
    ) -> CommandResult:  # fmt: skip
        """Run another command of the target to its end; raises `waiting.Overdue` when it has none.

        `tool` runs it by another interpreter than the target's own. `foreign`: it is a program of somebody else, which
        may import what is in its folder, so that folder is empty.
        """
        folder, start_s = self.next_folder(), time.monotonic()
        environ = merge(os.environ, self.target.environ(folder, _url(gateway)), env or {})
        argv = [*(tool or self.target.tool), *args]
        planted = () if foreign else self.target.planted
        child = self.keep(ChildProcess(self.run_tags, " ".join(args), argv, environ, folder, planted=planted))
        status = child.wait_exit(within_s)
        elapsed_s = time.monotonic() - start_s
        out, err = (path.read_text("utf-8", errors="backslashreplace") for path in (child.stdout, child.stderr))
        return CommandResult(child.argv, status, out, err, elapsed_s)


def _url(gateway: HasUrl | str | None) -> str:
    if gateway is None:
        return os.environ["LUMEN_GATEWAY_URL"]  # the guard points it at an address that refuses
    return gateway if isinstance(gateway, str) else gateway.url


@pytest.fixture
def launch(request: pytest.FixtureRequest, run: Run, target: Target, tmp_path: Path) -> Iterator[Launcher]:
    """Launch targets that end with the test; their logs belong to its report."""
    with Launcher(run, target, tmp_path / "launch", partial(record_evidence, request.node)) as launches:
        yield launches


@pytest.fixture(scope="module")
def module_launch(run: Run, target: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    """Launch targets that all tests of a module share."""
    with Launcher(run, target, tmp_path_factory.mktemp("launch"), readiness=Readiness.of(run)) as launches:
        yield launches


@pytest.fixture(scope="session")
def session_launch(run: Run, target: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    """Launch targets that all tests of this worker share."""
    with Launcher(run, target, tmp_path_factory.mktemp("launch"), readiness=Readiness.of(run)) as launches:
        yield launches
