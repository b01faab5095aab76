"""The proxy of a soak test: started, restarted and stopped by its own commands, as users do.

Its processes are found by the state file and the process tree, not by a request, because a request can wait.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import psutil

from lumen_conformance.gateway.server import ScriptedGateway
from lumen_conformance.processes.process_tree import ProcessRef, list_tree
from lumen_conformance.stages.observations import is_port_free
from lumen_conformance.targets.journal import JournalReader
from lumen_conformance.targets.launch import CommandResult, Launcher
from lumen_conformance.waiting import observe

WATCHDOG_S: Final = 2.0
GATEWAY_DEADLINE_S: Final = 1.0
BREAKER_OPEN_S: Final = 0.5
DRAIN_S: Final = 3.0  # longer than the deadline of a call, so a stop cuts no call
SETTINGS: Final[Mapping[str, str]] = {
    "LUMEN_MAX_RESTARTS": "0",  # the kills of a soak test are no crash loop
    "LUMEN_RESTART_BACKOFF_S": "0",  # nor is their delay, which would double up to 30 s
    "LUMEN_WATCHDOG_S": str(WATCHDOG_S),
    "LUMEN_TIMEOUT_S": str(GATEWAY_DEADLINE_S),
    "LUMEN_BREAKER_OPEN_S": str(BREAKER_OPEN_S),
    "LUMEN_DRAIN_S": str(DRAIN_S),
}
END_S: Final = 5.0  # check 7: no process of a killed supervisor is left after it


class SoakedProxy:
    """One port with one instance after the other. Its commands raise RuntimeError if they do not end with 0."""

    def __init__(self, launch: Launcher, gateway: ScriptedGateway, folder: Path) -> None:
        self.port = launch.reserve_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.journal = JournalReader(folder / "log", lambda: None)
        self._launch = launch
        self._gateway = gateway
        self._state = folder / "state" / f"proxy-{self.port}.json"
        self._env = {
            **SETTINGS,
            "PROXY_PORT": str(self.port),
            "LUMEN_STATE_DIR": str(folder / "state"),
            "LUMEN_LOG_DIR": str(folder / "log"),
        }

    def start(self) -> None:
        """Run `lumen-proxy start`."""
        self._run("start")

    def restart(self) -> None:
        """Run `lumen-proxy restart`."""
        self._run("restart")

    def stop(self) -> CommandResult:
        """Run `lumen-proxy stop`."""
        return self._run("stop")

    def supervisor(self) -> ProcessRef | None:
        """Return the supervisor, or None if none runs."""
        with contextlib.suppress(OSError, ValueError, KeyError, psutil.Error):
            return ProcessRef.of(json.loads(self._state.read_text("utf-8"))["pid"])
        return None

    def worker(self) -> ProcessRef | None:
        """Return the worker that serves: the last one with the event `ready` in the journal."""
        events = self.journal.events(name="ready")
        with contextlib.suppress(psutil.Error):
            return ProcessRef.of(events[-1]["pid"]) if events else None
        return None

    def standby(self) -> ProcessRef | None:
        """Return the child of the supervisor that does not serve, or None."""
        supervisor, worker = self.supervisor(), self.worker()
        children = list_tree(supervisor)[1:] if supervisor else ()
        return next((child for child in children if child != worker and child.state() == "running"), None)

    def processes(self) -> tuple[ProcessRef, ...]:
        """Return the supervisor and all processes below it."""
        supervisor = self.supervisor()
        return list_tree(supervisor) if supervisor else ()

    def has_ended(self, processes: tuple[ProcessRef, ...]) -> bool:
        """Wait until none of these processes runs and the port is free; return whether that came true in time."""

        def ended() -> bool:
            return all(ref.state() != "running" for ref in processes) and is_port_free(self.port)

        return bool(observe("all processes have ended", ended, within_s=END_S))

    def _run(self, command: str) -> CommandResult:
        done = self._launch.run(command, env=self._env, gateway=self._gateway)
        if done.exit_status:
            raise RuntimeError(f"lumen-proxy {command} ended with {done.exit_status}: {done.stderr.strip()}")
        return done
