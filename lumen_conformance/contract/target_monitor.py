"""Detects a target that exits during a run: the current check fails as tier M, and the next checks get a new launch.

Without this every later check would fail with a refused connection, and no failure would name the cause.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from lumen_conformance.contract.session import ContractSession
from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.http.capture import LAST_CAPTURE
from lumen_conformance.registry.declaration import check_of
from lumen_conformance.registry.refutation import Failure, NotJudged, Refuted
from lumen_conformance.targets.endpoint import PROBE_S, Endpoint
from lumen_conformance.targets.launch import LaunchedTarget
from lumen_conformance.targets.readiness import NeverReady
from lumen_conformance.waiting import WaitError, observe

MAX_RELAUNCHES = 10  # of one target: a large server needs a minute to start
CUT = frozenset(("aborted", "refused", "reset"))  # how an exchange ends when its server exits
EXIT_S = 0.3  # from the loss of its connections to the exit of a process: a few milliseconds, times a hundred


@dataclass
class _MonitoredSession:
    """A session, the function that launches its target again (None: it runs elsewhere), and how often that was done."""

    session: ContractSession
    launch: Callable[[], Endpoint] | None
    relaunches: int = 0


@dataclass
class TargetMonitor:
    """The monitor of the targets of this process.

    ``exited``  the check during which a target has exited, and its exit status; empty: all are running
    """

    entries: list[_MonitoredSession] = field(default_factory=list)
    exited: str = ""
    because_of: tuple[str, ...] = ()

    def add(self, session: ContractSession, launch: Callable[[], Endpoint] | None = None) -> ContractSession:
        """Monitor a session."""
        self.entries.append(_MonitoredSession(session, launch))
        return session

    def launch(self, launch: Callable[[], LaunchedTarget], gateway: ScriptedGateway) -> ContractSession:
        """Launch a target, and monitor its session."""
        return self.add(ContractSession(launch(), gateway), launch)

    def check(self, item: pytest.Item) -> None:
        """Raise `Refuted` when a target has exited since the last call."""
        if self.exited:
            return
        for entry in self.entries:
            if exit_text := describe_exit(entry.session.server):
                found = check_of(item)
                self.exited, self.because_of = f"{item.name}: {exit_text}", (found.id,) if found else ()
                raise Refuted(_exit_failure(entry.session.server, exit_text))

    def has_new_exit(self) -> bool:
        """Whether a target has exited since the last call of `check`."""
        return not self.exited and any(describe_exit(entry.session.server) for entry in self.entries)

    def relaunch(self) -> None:
        """Launch targets that have exited again; raises `NotJudged` when that fails."""
        if not self.exited:
            return
        for entry in self.entries:
            if has_exited(entry.session.server):
                self._relaunch(entry)
        self.exited = ""

    def _relaunch(self, entry: _MonitoredSession) -> None:
        entry.relaunches += 1
        if entry.launch is None or entry.relaunches > MAX_RELAUNCHES:
            raise NotJudged(f"the server has exited during {self.exited}", self.because_of)
        try:
            entry.session.server = entry.launch()
        except (WaitError, NeverReady, OSError) as error:
            entry.relaunches = MAX_RELAUNCHES
            raise NotJudged(
                f"the server does not start again: {str(error).splitlines()[0]}; it has exited during {self.exited}",
                self.because_of,
            ) from None
        entry.session.captures = {
            name: capture for name, capture in entry.session.captures.items() if capture.ended != "refused"
        }


MONITOR = pytest.StashKey[TargetMonitor]()


def target_monitor_of(config: pytest.Config) -> TargetMonitor:
    """The monitor of this process."""
    return config.stash.setdefault(MONITOR, TargetMonitor())


@contextmanager
def monitored(item: pytest.Item) -> Iterator[None]:
    """Raise `Refuted` when a target exits during the test, or has exited during its setup."""
    monitor = target_monitor_of(item.config)
    monitor.check(item)
    try:
        yield
    finally:
        monitor.check(item)


def describe_exit(server: Endpoint) -> str:
    """Describe the exit of a target after a lost connection; empty while the target runs."""
    last = LAST_CAPTURE.capture
    cut = last is not None and last.ended in CUT
    if isinstance(server, LaunchedTarget):
        status = server.observe_exit(EXIT_S) if cut else server.exit_status()
        return "" if status is None else f"the server ended by itself, with exit status {status}"
    return f"the server is gone: connection refused at {server.url}" if cut and has_exited(server) else ""


def has_exited(server: Endpoint) -> bool:
    """Whether the target has exited; for a target that runs elsewhere, whether it refuses connections."""
    if isinstance(server, LaunchedTarget):
        return server.exit_status() is not None
    last, ends = LAST_CAPTURE.capture, [""]

    def is_decided() -> bool:
        ends[:] = [server.call("GET", server.target.probe_path, timeout_s=PROBE_S).ended]
        return ends[0] in {"complete", "refused"}

    observe("it answers or refuses", is_decided, within_s=EXIT_S)
    LAST_CAPTURE.capture = last  # a probe is not a request of a test
    return ends == ["refused"]


def _exit_failure(server: Endpoint, exit_text: str) -> Failure:
    log, last = server.last_line() if isinstance(server, LaunchedTarget) else "", LAST_CAPTURE.capture
    return Failure(
        "a server that runs until it is stopped",
        f"{exit_text}, during this request or since the previous check",
        at=log and f"end of its log: {log}",
        curl=last.curl() if last else "",
        tier="M",
    )
