"""Restarts of a port: one at a time, and an interrupted one can be continued.

A restart holds `restart-PORT.lock` until it ends. Before it stops the old instance, it copies the state file of that
instance to `restarting-PORT.json`, because the old instance removes its own file. The new instance removes the copy
when it is ready. `stop` also removes it; a restart whose copy is missing does not start an instance.
"""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.supervisor import instance_lock, state
from lumen_proxy.supervisor.instance_lock import FileLock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lumen_proxy.supervisor.state import InstanceState

WAIT_S = 60.0  # for another restart; with the default settings one takes as long at most, if requests are in progress
POLL_S = 0.05  # between two checks of the lock
INTERRUPTED = "stopped by a restart"


def lock_path(state_dir: Path, port: int) -> Path:
    """The file that a restart in progress locks."""
    return state_dir / f"restart-{port}.lock"


@contextlib.contextmanager
def exclusive(state_dir: Path, port: int, notify: Callable[[str], None]) -> Iterator[FileLock]:
    """Let this be the only restart of the port. A new instance that gets a copy of the lock continues the restart.

    Raises Fatal: 75 if another restart does not end, 73 if the lock file cannot be created.
    """
    with state.require_writable(state_dir, "LUMEN_STATE_DIR"):
        state_dir.mkdir(parents=True, exist_ok=True)
        lock = _take(lock_path(state_dir, port), port, notify)
    try:
        yield lock
    except KeyboardInterrupt:
        lock.drop_copy()  # the file keeps its name: a new instance may have a copy
        raise
    except BaseException:
        lock.release()
        raise
    lock.release()


def _take(path: Path, port: int, notify: Callable[[str], None]) -> FileLock:
    deadline, is_notified = time.monotonic() + WAIT_S, False
    while (lock := FileLock.take(path)) is None:
        pid = instance_lock.read_holder(path)
        if time.monotonic() >= deadline:
            problem = f"cannot restart port {port}: another restart{_by(pid)} has not ended within {WAIT_S:g} s"
            raise Fatal(f"{problem}; wait for it, or end that process, then try again", Exit.PORT_IN_USE)
        if pid and not is_notified:  # without a PID, a command only checks the lock: see instance_lock.is_locked
            notify(f"waiting for another restart of port {port}{_by(pid)}")
            is_notified = True
        threading.Event().wait(POLL_S)
    lock.write_holder()
    return lock


def _by(pid: int | None) -> str:
    return f" (pid {pid})" if pid else ""


def wait_for_restart(state_dir: Path, port: int, notify: Callable[[str], None]) -> bool:
    """Wait up to WAIT_S until no restart of the port is in progress; return True if there was one."""
    path, deadline = lock_path(state_dir, port), time.monotonic() + WAIT_S
    if not instance_lock.is_locked(path):
        return False
    notify(f"waiting for the restart of port {port}{_by(instance_lock.read_holder(path))}")
    while instance_lock.is_locked(path) and time.monotonic() < deadline:
        threading.Event().wait(POLL_S)
    return True


def write(state_dir: Path, port: int, old: InstanceState) -> None:
    """Write the record of a restart that is about to stop the old instance. Raises Fatal (73)."""
    what = f"the restart was interrupted; continue it with: lumen-proxy restart --port {port}"
    ended = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "what": what, "kind": INTERRUPTED}
    with state.require_writable(state_dir, "LUMEN_STATE_DIR"):
        state.write(state.restart_path(state_dir, port), replace(old, ended=ended))


def read(state_dir: Path, port: int) -> InstanceState | None:
    """The record of an unfinished restart. A caller that holds no restart lock uses `read_interrupted`."""
    return state.read(state.restart_path(state_dir, port))


def read_interrupted(state_dir: Path, port: int) -> InstanceState | None:
    """The state of an instance that an interrupted restart has stopped; None if an instance or a restart runs."""
    locks = (instance_lock.lock_path(state_dir, port), lock_path(state_dir, port))
    return None if any(map(instance_lock.is_locked, locks)) else read(state_dir, port)


def exists(state_dir: Path, port: int) -> bool:
    """False if the restart is done, or if `stop` has cancelled it."""
    return state.restart_path(state_dir, port).exists()


def remove(state_dir: Path, port: int) -> None:
    """Remove the record, if it exists."""
    with contextlib.suppress(OSError):
        state.restart_path(state_dir, port).unlink()
