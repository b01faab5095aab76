"""What other commands can see of a running instance: its ready line and its files in the state directory."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import lumen_proxy
from lumen_proxy.ipc import Identity, restarts_before
from lumen_proxy.masking import without_query
from lumen_proxy.supervisor import process_identity, settings_record, state

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lumen_proxy.config import Settings
    from lumen_proxy.logs.journal import Journal
    from lumen_proxy.supervisor.instance_lock import FileLock
    from lumen_proxy.supervisor.listener import Listener


class Instance:
    """Writes the state file and prints the ready line as the loop moves on.

    It writes no file while another instance owns the lock: before it has taken a port over, and after it has handed it
    over.
    """

    def __init__(
        self,
        settings: Settings,
        bound: Listener,
        lock: FileLock,
        journal: Journal,
        announce: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._bound = bound
        self._lock = lock
        self._journal = journal
        self._announce = announce
        self._is_announced = False
        self._current = _Current()
        self.identity = Identity(instance=journal.instance, supervisor_pid=os.getpid(), started_at=time.time())

    def publish_generation(self, generation: int) -> None:
        """Write the state file; for the first generation that serves, print the ready line."""
        self._current.generation = generation
        self._write()
        if not self._is_announced:  # not always by 1: a worker may end before it is ready
            self._is_announced = True
            self._remove_old_records()
            identity = f"(pid {os.getpid()}, instance {self._journal.instance})"
            self._announce(f"ready on {self._bound.url} {identity}")

    def _remove_old_records(self) -> None:
        """Remove the record of an earlier end, and that of a restart unless it is about to stop this instance."""
        place = self._settings.state_dir, self._bound.port
        restart_path = state.restart_path(*place)
        restart = state.read(restart_path)
        with contextlib.suppress(OSError):
            state.end_path(*place).unlink(missing_ok=True)
            if restart is None or restart.instance != self._journal.instance:
                restart_path.unlink(missing_ok=True)

    def enter_phase(self, phase: str) -> None:
        """Write the state file, unless `publish_generation` follows."""
        self._current.phase = phase
        if phase != "hung":
            self._current.hang = None
        if phase != "serving":
            self._write()

    def publish_hang(self, hang: dict[str, Any] | None) -> None:
        """Write the state file: the worker that serves is silent, or (None) it is not silent any more."""
        self._current.phase = "hung" if hang else "serving"
        self._current.hang = hang
        self._write()

    def note_failure(self, problem: str) -> None:
        """Keep the failure; the next phase writes the state file."""
        self._current.last_failure = _event(problem)

    def record_end(self, kind: str, reason: str) -> None:
        """Write the record of the end, which remains after this process."""
        if not self._lock.is_owner:
            return
        ended = {**_event(reason), "kind": kind}
        path = state.end_path(self._settings.state_dir, self._bound.port)
        with contextlib.suppress(OSError, ValueError):  # the exit status and the journal also show the end
            state.write(path, replace(self._state(), ended=ended))

    def restore_files(self) -> None:
        """Write the files again; a cleaner of old files then sees that they are in use."""
        self._write()

    def remove_state_file(self) -> None:
        """Remove the state file, if it exists and is that of this instance."""
        if not self._lock.is_owner:
            return
        with contextlib.suppress(OSError):
            self._state_path.unlink()

    @property
    def _state_path(self) -> Path:
        return state.state_path(self._settings.state_dir, self._bound.port)

    def _write(self) -> None:
        """Write the state file. A failure must not end a proxy that serves: the lock is valid without the file."""
        if not self._lock.is_owner:
            return
        self._lock.restore()
        with contextlib.suppress(OSError, ValueError):  # a full disk; a text that cannot be encoded
            state.write(self._state_path, self._state())

    @cached_property
    def _constant(self) -> dict[str, Any]:
        """The fields that never change. They are computed while the first worker boots."""
        settings = self._settings
        return {
            "instance": self._journal.instance,
            "pid": os.getpid(),
            "start_time": process_identity.start_time(os.getpid()) or 0.0,
            "start_stamp": process_identity.start_stamp(os.getpid()),
            "host": settings.host,
            "hosts": self._bound.hosts,
            "port": self._bound.port,
            "url": self._bound.url,
            "drain_s": settings.drain_s,
            "gateway_url": settings.gateway_url,
            "cloud_ai_url": without_query(settings.cloud_ai_url),  # the query may be a secret
            "sandbox": settings.sandboxed,
            "version": lumen_proxy.__version__,
            "log": str(self._journal.path),
            "settings": settings_record.record(settings),
        }

    def _state(self) -> state.InstanceState:
        current = {**vars(self._current), "restarts": restarts_before(self._current.generation)}
        return state.InstanceState(**self._constant, **current)


@dataclass
class _Current:
    """The fields of the state file that change; the names are those of `InstanceState`."""

    generation: int = 0
    phase: str = "booting"
    last_failure: dict[str, str] | None = None
    hang: dict[str, Any] | None = None


def _event(text: str) -> dict[str, str]:
    return {"at": datetime.now(UTC).isoformat(timespec="seconds"), "what": text}
