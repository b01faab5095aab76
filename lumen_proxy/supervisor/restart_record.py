"""A restart of a port: one at a time, and its settings outlive it if it is interrupted.

A restart holds `restart-PORT.lock` from its first look to its end. Before it stops the old instance it copies that
one's record to `restarting-PORT.json`, for the old instance removes its own. The new instance removes the copy when it
is ready. A `stop` removes it, too; a restart whose copy is gone starts nothing.
"""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.supervisor import state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lumen_proxy.supervisor.state import State

WAIT_S = 60.0  # for another restart; with the default settings one takes as long at most, if requests are in progress
LOOK_S = 0.05  # between two looks at the lock
INTERRUPTED = "stopped by a restart"


def lock_path(state_dir: Path, port: int) -> Path:
    """Locked by the restart that is in progress."""
    return state_dir / f"restart-{port}.lock"


def record_path(state_dir: Path, port: int) -> Path:
    """What a restart has to do: the state of the instance that it stops, with `ended` for the case that it is cut."""
    return state_dir / f"restarting-{port}.json"


@contextlib.contextmanager
def turn(state_dir: Path, port: int, tell: Callable[[str], None]) -> Iterator[None]:
    """Let this be the only restart of the port. Raises Fatal: 75 if another one does not end, 73 without a place."""
    with state.writable(state_dir, "LUMEN_STATE_DIR"):
        state_dir.mkdir(parents=True, exist_ok=True)
        lock = _take(lock_path(state_dir, port), port, tell)
    try:
        yield
    finally:
        lock.release()


def _take(path: Path, port: int, tell: Callable[[str], None]) -> state.Lock:
    deadline, is_told = time.monotonic() + WAIT_S, False
    while (lock := state.Lock.take(path)) is None:
        pid = state.named_holder(path)
        if time.monotonic() >= deadline:
            problem = f"cannot restart port {port}: another restart{_by(pid)} has not ended within {WAIT_S:g} s"
            raise Fatal(f"{problem}; wait for it, or end that process, then try again", Exit.PORT_IN_USE)
        if pid and not is_told:  # without a name it is somebody who only looks, see state.is_locked
            tell(f"waiting for another restart of port {port}{_by(pid)}")
            is_told = True
        threading.Event().wait(LOOK_S)
    lock.name_holder()
    return lock


def _by(pid: int | None) -> str:
    return f" (pid {pid})" if pid else ""


def wait(state_dir: Path, port: int, tell: Callable[[str], None]) -> bool:
    """Wait until no restart of the port is in progress, for a while; True if there was one."""
    path, deadline = lock_path(state_dir, port), time.monotonic() + WAIT_S
    if not state.is_locked(path):
        return False
    tell(f"waiting for the restart of port {port}{_by(state.named_holder(path))}")
    while state.is_locked(path) and time.monotonic() < deadline:
        threading.Event().wait(LOOK_S)
    return True


def keep(state_dir: Path, port: int, known: State) -> None:
    """Write what the restart has to do. Raises Fatal (73)."""
    what = f"the restart was interrupted; continue it with: lumen-proxy restart --port {port}"
    ended = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "what": what, "kind": INTERRUPTED}
    with state.writable(state_dir, "LUMEN_STATE_DIR"):
        state.write(record_path(state_dir, port), replace(known, ended=ended))


def is_kept(state_dir: Path, port: int) -> bool:
    """False if the restart is done, or a `stop` has ended it."""
    return record_path(state_dir, port).exists()


def forget(state_dir: Path, port: int, *, unless_of: str | None = None) -> None:
    """Remove what a restart has to do, unless it is to stop the instance of this id."""
    path = record_path(state_dir, port)
    if unless_of is not None and (kept := state.read(path)) and kept.instance == unless_of:
        return
    with contextlib.suppress(OSError):
        path.unlink()


def interrupted(state_dir: Path, port: int) -> State | None:
    """The state of the instance that an interrupted restart has stopped. None if an instance or a restart runs."""
    busy = (state.paths(state_dir, port)[0], lock_path(state_dir, port))
    if any(state.is_locked(path) for path in busy):
        return None
    return cut(state_dir, port)


def cut(state_dir: Path, port: int) -> State | None:
    """What a restart has left to do, for the one whose turn it is."""
    return state.read(record_path(state_dir, port))
