"""Launch the target, or run another of its commands; what was launched ends with the factory."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import pytest

from lumen_conformance.processes import external_connections
from lumen_conformance.processes.child_process import ChildProcess, ProcessFactory
from lumen_conformance.registry.measurement import record_evidence
from lumen_conformance.run import Run
from lumen_conformance.targets.endpoint import Health
from lumen_conformance.targets.environment import base_environment, hide_filled_variables, select_settings
from lumen_conformance.targets.launched_target import LaunchedForeignTarget, LaunchedTarget
from lumen_conformance.targets.readiness import Readiness, advise_command
from lumen_conformance.targets.target import Target, merge
from lumen_conformance.waiting import WaitError

__all__ = ["CommandResult", "HasUrl", "Health", "LaunchedTarget", "Launcher"]

RUN_S = 30.0  # a command that ends by itself: a cold start takes 0.3 s here, a hundred times that


class HasUrl(Protocol):
    """A server with an origin, such as the scripted gateway."""

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``."""
        ...


@dataclass(frozen=True)
class CommandResult:
    """The result of a command that ended by itself."""

    argv: tuple[str, ...]
    exit_status: int
    stdout: str
    stderr: str
    elapsed_s: float


class Launcher(ProcessFactory):
    """A factory: call it to launch the target."""

    def __init__(
        self, run: Run, target: Target, folder: Path, note: Callable[[Path], object] = lambda _folder: None,
        readiness: Readiness | None = None,
    ) -> None:  # fmt: skip
        super().__init__(run, folder, note)
        self.target = target
        self._readiness = readiness
        # A check judges how a mutant reports its fault. The log of a foreign server has no format of ours.
        self.is_traceback_expected = target.mutation is not None or target.foreign
        self.are_orphans_expected = target.foreign  # check A3 judges them

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
        """Launch the target, and wait for the proof that it is ready unless `ready` is False.

        `port` 0 is any free one. `env` adds variables (None removes one); a foreign target gets few of them, see
        `environment.select_settings`. Without a `gateway` the target gets an address that refuses. Raises
        `WaitEndedError` or `WaitTimeoutError` with exit status, command and logs. The factory ends what was started.
        """
        target = target or self.target
        if target.url:
            target.require("launch")
        if not port and "journal" not in target.can:
            port = self.reserve_port()
        if self._readiness:
            self._readiness.raise_failure()
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
                self._record_connections(launched)
        except (WaitError, OSError) as error:
            raise self._record_failure(error, argv) from None
        if ready and self._readiness:
            self._readiness.record_ready()
        return launched

    def _record_connections(self, launched: LaunchedTarget) -> None:
        if launched.target.foreign:
            external_connections.record_external_connections(self.run_tags, launched.processes())

    def _record_failure(self, error: WaitError | OSError, argv: list[str]) -> Exception:
        """Return the error to raise: the same, or the one that is reported once in a run."""
        if self._readiness is None:
            return error
        message = str(error)
        if isinstance(error, OSError):
            message = f"{subprocess.list2cmdline(argv)} cannot be launched: {error}{advise_command(self.target)}"
        return self._readiness.record_failure(error, message)

    def run(
        self, *args: str, env: Mapping[str, str | None] | None = None, gateway: HasUrl | str | None = None,
        within_s: float = RUN_S, tool: tuple[str, ...] | None = None, foreign: bool = False,
    ) -> CommandResult:  # fmt: skip
        """Run another command of the target to its end; raises `waiting.WaitTimeoutError` when it does not end.

        `tool` replaces the interpreter of the target. `foreign`: the program may import what is in its folder, so that
        folder is empty.
        """
        folder, start_s = self.next_folder(), time.monotonic()
        environ = merge(os.environ, self.target.environ(folder, _url(gateway)), env or {})
        argv = [*(tool or self.target.tool), *args]
        shadow_names = () if foreign else self.target.shadow_names
        child = self.keep(ChildProcess(self.run_tags, " ".join(args), argv, environ, folder, shadow_names=shadow_names))
        status = child.wait_exit(within_s)
        elapsed_s = time.monotonic() - start_s
        out, err = (path.read_text("utf-8", errors="backslashreplace") for path in (child.stdout, child.stderr))
        return CommandResult(child.argv, status, out, err, elapsed_s)


def _url(gateway: HasUrl | str | None) -> str:
    if gateway is None:
        return os.environ["LUMEN_GATEWAY_URL"]  # of the guard: an address that refuses
    return gateway if isinstance(gateway, str) else gateway.url


@pytest.fixture
def launch(request: pytest.FixtureRequest, run: Run, target: Target, tmp_path: Path) -> Iterator[Launcher]:
    """Launch targets that end with the test; its report has their logs."""
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
