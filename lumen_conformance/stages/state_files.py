"""The files of our own proxy in its state folder, changed as a crash, a disk or another program may change them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lumen_conformance.processes.child_process import ChildProcess
from lumen_conformance.targets.launch import Launcher
from lumen_conformance.waiting import until

LOCKED_S = 20.0  # Python starts in 0.05 s here; the rest is for a machine under load
GARBAGE = b'{"instance": "\xff\xfe\x00 torn'
STAMP_OFFSET_S = 1.0  # from the start of the named process: no two processes with one PID start so close together


@dataclass(frozen=True)
class StateFiles:
    """The state file and the lock file of one port, with the content that an instance left."""

    state: Path
    lock: Path
    state_content: bytes
    lock_content: bytes

    @classmethod
    def of(cls, folder: Path, port: int) -> StateFiles:
        """Read both; a file that is not there is empty."""
        state, lock = folder / f"proxy-{port}.json", folder / f"proxy-{port}.lock"
        contents = (path.read_bytes() if path.is_file() else b"" for path in (state, lock))
        return cls(state, lock, *contents)

    def write(self, state: bytes, lock: bytes) -> None:
        """Write both."""
        self.state.parent.mkdir(parents=True, exist_ok=True)
        self.state.write_bytes(state)
        self.lock.write_bytes(lock)

    def naming(self, pid: int) -> tuple[bytes, bytes]:
        """Return the contents as if they were of this process; it started at another time."""
        return _name(self.state_content, pid), _name(self.lock_content, pid)


def _name(content: bytes, pid: int) -> bytes:
    try:
        fields: dict[str, Any] = json.loads(content)
    except ValueError:
        return content
    for name in {"start_stamp", "start_time"} & fields.keys():
        fields[name] = float(fields[name] or 0.0) + STAMP_OFFSET_S
    return json.dumps(fields | {"pid": pid}).encode()


DAMAGES: dict[str, Callable[[StateFiles, int], tuple[bytes, bytes]]] = {
    "stale": lambda files, _: (files.state_content, files.lock_content),
    "empty": lambda _files, _: (b"", b""),
    "corrupt": lambda _files, _: (GARBAGE, GARBAGE),
    "unrelated": lambda files, pid: files.naming(pid),
}
"""What the files of a port that nobody holds may be; the last names a process that lives and is another program."""

LOCKER = """
import fcntl, pathlib, signal, sys
file = open(sys.argv[1], "a")
fcntl.flock(file, fcntl.LOCK_EX)
pathlib.Path("locked").touch()
signal.pause()
"""


def hold_lock(launch: Launcher, path: Path) -> ChildProcess:
    """Start a program that holds the lock of a file until its end (POSIX)."""
    argv, folder = [sys.executable, "-c", LOCKER, str(path)], launch.next_folder()
    holder = launch.keep(ChildProcess(launch.run_tags, "lock holder", argv, os.environ, folder))
    until("it holds the lock", (folder / "locked").exists, within_s=LOCKED_S, give_up=holder.end_reason)
    return holder
