"""What an instance leaves on disk: a lock, which is the truth, and a state file, which is a hint.

The operating system drops the lock when its holder ends, however it ends. The state file may be
stale, empty or torn, or name a process that is long gone and whose number has gone to a stranger.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.supervisor import platform

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOOKS, LOOK_S = 5, 0.02  # `status` holds a lock that it only looks at for some 20 µs
START_TIME_SLACK_S = 1.0  # psutil derives start times from the clock, which may be stepped; a PID is not reused so fast


@dataclass(frozen=True)
class State:
    """One running instance, as its supervisor sees it. `start_time` is in seconds since the epoch."""

    instance: str
    pid: int
    start_time: float
    host: str
    hosts: tuple[str, ...]
    port: int
    generation: int
    url: str
    drain_s: float
    gateway_url: str
    cloud_ai_url: str
    sandbox: bool


ON_DISK = {
    "instance": str,
    "pid": int,
    "start_time": float,
    "host": str,
    "hosts": list,
    "port": int,
    "generation": int,
    "url": str,
    "drain_s": float,
    "gateway_url": str,
    "cloud_ai_url": str,
    "sandbox": bool,
}


def paths(state_dir: Path, port: int) -> tuple[Path, Path]:
    """The lock file and the state file of a port."""
    return state_dir / f"proxy-{port}.lock", state_dir / f"proxy-{port}.json"


def start_time(pid: int) -> float | None:
    """When a process started, or None if it is gone or only a zombie."""
    import psutil  # noqa: PLC0415 - 20 ms; the first worker boots meanwhile

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None


def write(path: Path, state: State) -> None:
    """Replace the state file in one step: a reader sees the old one or the new one, never half of one.

    Raises OSError.
    """
    draft = path.with_suffix(f".{state.pid}.tmp")
    try:
        draft.write_text(json.dumps(asdict(state)), encoding="utf-8")
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def read(path: Path) -> State | None:
    """The state file's content, or None if it is missing, torn or not ours."""
    try:
        fields: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if {name: type(value) for name, value in fields.items()} != ON_DISK:
            return None
        known = State(**{**fields, "hosts": tuple(fields["hosts"])})
    except (OSError, ValueError, AttributeError):
        return None
    return known if known.pid > 0 else None


def is_alive(state: State) -> bool:
    """True if the very process that wrote the state file still runs."""
    started = start_time(state.pid)
    return started is not None and abs(started - state.start_time) <= START_TIME_SLACK_S


class Lock:
    """An exclusive lock on a file, held until `release` or the end of the process."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    @classmethod
    def take(cls, path: Path, flags: int = os.O_RDWR | os.O_CREAT) -> Lock | None:
        """Take the lock, or return None at once if somebody holds it. Raises OSError."""
        while True:
            descriptor = os.open(path, flags, 0o644)
            if not platform.try_lock(descriptor):
                os.close(descriptor)
                return None
            if os.fstat(descriptor).st_nlink:
                return cls(path, descriptor)
            os.close(descriptor)  # its last holder removed the file between our open and our lock

    def release(self) -> None:
        """Remove the file, then let go of it: whoever opened it meanwhile sees that it has no name."""
        with contextlib.suppress(OSError):
            self.path.unlink()
        os.close(self._descriptor)
        with contextlib.suppress(OSError):
            if platform.is_windows():  # an open file cannot be removed there
                self.path.unlink()


def is_locked(path: Path) -> bool | None:
    """True if a living process holds the lock; None if another user's file or folder does not let us look."""
    try:
        lock = _looked_at(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return None
    if lock is None:
        return True
    lock.release()
    return False


def _looked_at(path: Path) -> Lock | None:
    """Writable where that is allowed, for NFS locks nothing else; another user's can be read at most."""
    try:
        return Lock.take(path, os.O_RDWR)
    except PermissionError:
        return Lock.take(path, os.O_RDONLY)


def holder(state_dir: Path, port: int) -> State | None:
    """The instance that holds the lock of a port; None if nobody does, or if the state file does not tell who.

    Where we may not look at the lock, the state file alone is believed: good enough to look, not to signal.
    """
    lock_path, state_path = paths(state_dir, port)
    known = read(state_path)
    return known if known and is_locked(lock_path) is not False and is_alive(known) else None


def claim(state_dir: Path, port: int) -> Lock:
    """Take the lock of a port for life. Raises Fatal: 75 if another instance has it, 73 if it cannot be made."""
    lock_path, state_path = paths(state_dir, port)
    with writable(state_dir, "LUMEN_STATE_DIR"):
        state_dir.mkdir(parents=True, exist_ok=True)
        for _ in range(LOOKS):
            if lock := Lock.take(lock_path):
                return lock
            threading.Event().wait(LOOK_S)  # somebody may only be looking: see is_locked
    known = read(state_path)
    who = f" (pid {known.pid})" if known and is_alive(known) else ""
    problem = f"cannot start on port {port}: another lumen-proxy{who} holds it"
    raise Fatal(f"{problem}; stop it with: lumen-proxy stop --port {port}", Exit.PORT_IN_USE)


@contextlib.contextmanager
def writable(directory: Path, variable: str) -> Iterator[None]:
    """Turn an OSError of the block into Fatal (73) that names the directory and the variable that moves it."""
    try:
        yield
    except OSError as error:
        problem = f"cannot write in {directory}: {error.strerror}"
        raise Fatal(f"{problem}; make it writable or set {variable}", Exit.CANNOT_CREATE) from error
