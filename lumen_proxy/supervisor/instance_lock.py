"""The lock of an instance. A process that holds the lock of a port is the instance on that port.

The operating system releases the lock when the process ends, whatever the reason.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from typing import TYPE_CHECKING

from lumen_proxy import platform
from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.supervisor import process_identity, state

if TYPE_CHECKING:
    from pathlib import Path

ATTEMPTS, RETRY_S = 5, 0.02  # a command that only checks a lock holds it for some 20 µs
LOCKED_BYTE = 1 << 20  # Windows forbids reading a locked byte, so this one is far behind the content
HOLDER_BYTES = 200  # PID and start stamp in a lock file


class FileLock:
    """An exclusive lock on a file, held until `release` or the end of the process.

    The lock belongs to the open file, not to the process: a process that gets a copy of the descriptor holds it, too,
    and it is free when the last copy is closed. `is_owner` is False in a process that only has a copy: it does not
    change the file.
    """

    def __init__(self, path: Path, descriptor: int, *, is_owner: bool = True) -> None:
        self.path = path
        self.is_owner = is_owner
        self._descriptor = descriptor

    def fileno(self) -> int:
        """The descriptor, for another process."""
        return self._descriptor

    @classmethod
    def take(cls, path: Path, flags: int = os.O_RDWR | os.O_CREAT) -> FileLock | None:
        """Take the lock; return None at once if another process holds it. Raises OSError."""
        while True:
            descriptor = os.open(path, flags, 0o644)
            os.lseek(descriptor, LOCKED_BYTE, os.SEEK_SET)
            if not platform.try_lock(descriptor):
                os.close(descriptor)
                return None
            if os.fstat(descriptor).st_nlink:
                return cls(path, descriptor)
            os.close(descriptor)  # the last holder removed the file after it was opened here

    def write_holder(self) -> None:
        """Write the PID and start stamp of this process into the file, for commands that find it locked."""
        self.is_owner = True
        with contextlib.suppress(OSError):  # a full disk; the lock is valid without them
            os.ftruncate(self._descriptor, 0)
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            holder = {"pid": os.getpid(), "start_stamp": process_identity.start_stamp(os.getpid())}
            os.write(self._descriptor, json.dumps(holder).encode())

    def restore(self) -> None:
        """Create and lock the file again if it was deleted: commands find this process by the file."""
        if not self.is_owner:
            return
        with contextlib.suppress(OSError):
            if self.path.exists() and os.path.samestat(os.fstat(self._descriptor), self.path.stat()):
                return
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if new := FileLock.take(self.path):
                os.dup2(new._descriptor, self._descriptor, inheritable=False)  # noqa: SLF001 - of the same class
                os.close(new._descriptor)  # noqa: SLF001 - same; the copy keeps the lock
                self.write_holder()

    def drop_copy(self) -> None:
        """Close the descriptor of a process that is not the owner; the owner keeps the lock."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def release(self) -> None:
        """Remove the file, then unlock it: a process that has just opened it sees that the file has no name."""
        if not self.is_owner:
            self.drop_copy()
            return
        with contextlib.suppress(OSError):
            self.path.unlink()
        os.close(self._descriptor)
        with contextlib.suppress(OSError):
            if platform.is_windows():  # Windows cannot remove an open file
                self.path.unlink()


def lock_path(state_dir: Path, port: int) -> Path:
    """The lock file of a port."""
    return state_dir / f"proxy-{port}.lock"


def is_locked(path: Path) -> bool | None:
    """True if a running process holds the lock; None if the permissions of the file or folder forbid the check."""
    try:
        lock = _try_take(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return None
    if lock is None:
        return True
    lock.release()
    return False


def _try_take(path: Path) -> FileLock | None:
    """Open the file for writing if permitted (NFS requires it for a lock), else for reading."""
    try:
        return FileLock.take(path, os.O_RDWR)
    except PermissionError:
        return FileLock.take(path, os.O_RDONLY)


def read_holder(path: Path) -> int | None:
    """The PID in the lock file, if the process that wrote it still runs."""
    try:
        with path.open("rb") as file:
            holder = json.loads(file.read(HOLDER_BYTES))
        pid, stamp = int(holder["pid"]), float(holder["start_stamp"])
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return pid if process_identity.is_same_start(stamp, process_identity.start_stamp(pid)) else None


def claim(state_dir: Path, port: int) -> FileLock:
    """Take the lock of a port for the life of this process.

    Raises Fatal: 75 if another process has it, 73 if the file cannot be created.
    """
    path = lock_path(state_dir, port)
    with state.require_writable(state_dir, "LUMEN_STATE_DIR"):
        state_dir.mkdir(parents=True, exist_ok=True)
        for _ in range(ATTEMPTS):
            if lock := FileLock.take(path):
                lock.write_holder()
                return lock
            threading.Event().wait(RETRY_S)  # another command may only check the lock: see is_locked
    raise _conflict(state_dir, port)


def _conflict(state_dir: Path, port: int) -> Fatal:
    path = lock_path(state_dir, port)
    pid = find_holder_pid(state_dir, port)
    if pid and pid != read_holder(path) and (program := process_identity.describe_other_program(pid)):
        problem = f"cannot start on port {port}: {program}, which is not a lumen-proxy, has locked {path}"
        return Fatal(f"{problem}; end that program, or choose another --port", Exit.PORT_IN_USE)
    user = process_identity.of_other_user(pid) if pid else ""
    who = f" (pid {pid}){user}" if pid else ""
    problem = f"cannot start on port {port}: another lumen-proxy{who} runs there"
    advice = (
        "ask that user to stop it, or choose another --port"
        if user
        else f"stop it with: lumen-proxy stop --port {port}"
    )
    return Fatal(f"{problem}; {advice}", Exit.PORT_IN_USE)


def find_holder_pid(state_dir: Path, port: int) -> int | None:
    """The PID of the lock's holder, as far as it is known. For messages only: it is not certain enough for a signal."""
    path = lock_path(state_dir, port)
    pid = read_holder(path)
    description = state.read(state.state_path(state_dir, port))
    if pid is None and description and state.is_alive(description):
        pid = description.pid
    return pid or process_identity.lock_owner(path)
