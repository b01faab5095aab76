"""What an instance keeps on disk: a lock, which decides, and a state file, which describes the instance.

The operating system drops the lock when its holder ends, however it ends. The state file may be stale, empty or
torn, or name a process that has ended and whose PID now belongs to a stranger. An instance that ends without being
asked to leaves a third file, the record of its end.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import threading
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from lumen_proxy import platform
from lumen_proxy.errors import Exit, Fatal
from lumen_proxy.supervisor import process_identity, state_validation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OUR_FILES = re.compile(r"(?:proxy|ended|restarting)-(\d{1,5})\.(?:json|lock)")
LOOKS, LOOK_S = 5, 0.02  # `status` holds a lock that it only looks at for some 20 µs
START_TIME_SLACK_S = 1.0  # psutil derives start times from the clock, which drifts; a PID is not reused so fast
LOCKED_BYTE = 1 << 20  # Windows lets nobody read a locked byte, so it is one far behind the content
LOCK_BYTES = 200  # of the PID and start stamp in a lock file
READABLE_BY_OWNER = 0o600  # the settings are private to the owner, although secrets are not among them


@dataclass(frozen=True)
class State:
    """One instance, as its supervisor sees it.

    `start_time` is in seconds since the epoch and kept for older releases; `start_stamp` is the start on a scale that
    the clock does not move (see `identity`). `phase` is a state of the supervisor's loop. `settings` is described in
    `recorded`. `last_failure` is the last unexpected event, `ended` the reason of an unexpected end:
    both have `at` (ISO 8601, UTC) and `what`.
    """

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
    start_stamp: float | None = None
    phase: str = "serving"
    restarts: int = 0
    version: str | None = None
    log: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    last_failure: dict[str, str] | None = None
    ended: dict[str, str] | None = None


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
ADDED = {
    "start_stamp": (float, type(None)),
    "phase": (str,),
    "restarts": (int,),
    "version": (str, type(None)),
    "log": (str, type(None)),
    "settings": (dict,),
    "last_failure": (dict, type(None)),
    "ended": (dict, type(None)),
}
"""Fields that state files of older releases lack. Fields that only newer releases know are left out."""


def paths(state_dir: Path, port: int) -> tuple[Path, Path]:
    """The lock file and the state file of a port."""
    return state_dir / f"proxy-{port}.lock", state_dir / f"proxy-{port}.json"


def end_path(state_dir: Path, port: int) -> Path:
    """The record of an unexpected end: a state file with `ended`, kept until the next start succeeds."""
    return state_dir / f"ended-{port}.json"


def known_ports(state_dir: Path) -> list[int]:
    """The ports that any file of ours names."""
    try:
        names = [path.name for path in state_dir.iterdir()]
    except OSError:
        return []
    return sorted({int(found[1]) for name in names if (found := OUR_FILES.fullmatch(name))})


def write(path: Path, state: State) -> None:
    """Replace the state file in one step: a reader sees the old one or the new one, never half of one.

    Raises OSError.
    """
    draft = path.with_suffix(f".{state.pid}.tmp")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, READABLE_BY_OWNER)
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor has no path
            json.dump(asdict(state), file)
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def read(path: Path) -> State | None:
    """The state file's content, or None if it is missing, torn or not ours."""
    try:
        fields: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if any(type(fields.get(name)) is not wanted for name, wanted in ON_DISK.items()):
            return None
        added = {name: fields[name] for name in ADDED if name in fields}
        if not all(isinstance(value, ADDED[name]) for name, value in added.items()) or not state_validation.is_sound(
            fields
        ):
            return None
        known = State(**{name: fields[name] for name in ON_DISK} | added | {"hosts": tuple(fields["hosts"])})
    except (OSError, ValueError, AttributeError):
        return None
    return known if path.stem.endswith(f"-{known.port}") else None


def is_alive(state: State) -> bool:
    """True if the very process that wrote the state file still runs."""
    if state.start_stamp is not None:
        return process_identity.is_same_start(state.start_stamp, process_identity.start_stamp(state.pid))
    started = process_identity.start_time(state.pid)  # a state file of an older release
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
            os.lseek(descriptor, LOCKED_BYTE, os.SEEK_SET)
            if not platform.try_lock(descriptor):
                os.close(descriptor)
                return None
            if os.fstat(descriptor).st_nlink:
                return cls(path, descriptor)
            os.close(descriptor)  # its last holder removed the file between our open and our lock

    def name_holder(self) -> None:
        """Write PID and start stamp of this process into the file, for those who find it locked."""
        with contextlib.suppress(OSError):  # a full disk; the lock counts without it
            os.ftruncate(self._descriptor, 0)
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            named = {"pid": os.getpid(), "start_stamp": process_identity.start_stamp(os.getpid())}
            os.write(self._descriptor, json.dumps(named).encode())

    def restore(self) -> None:
        """Make and lock the file again if somebody deleted it: without it, nobody finds us by it."""
        with contextlib.suppress(OSError):
            if self.path.exists() and os.path.samestat(os.fstat(self._descriptor), self.path.stat()):
                return
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if again := Lock.take(self.path):
                os.dup2(again._descriptor, self._descriptor, inheritable=False)  # noqa: SLF001 - of the same class
                os.close(again._descriptor)  # noqa: SLF001 - same; the copy keeps the lock
                self.name_holder()

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


def named_holder(lock_path: Path) -> int | None:
    """The process that the lock file names, if it is the one that wrote its name."""
    try:
        with lock_path.open("rb") as file:
            named = json.loads(file.read(LOCK_BYTES))
        pid, stamp = int(named["pid"]), float(named["start_stamp"])
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return pid if process_identity.is_same_start(stamp, process_identity.start_stamp(pid)) else None


def lock_holder(state_dir: Path, port: int) -> int | None:
    """The process that holds the lock of a port, as far as it can be known; to be named, not to be signalled."""
    lock_path, state_path = paths(state_dir, port)
    named = named_holder(lock_path)
    known = read(state_path)
    if named is None and known and is_alive(known):
        named = known.pid
    return named or process_identity.lock_owner(lock_path)


def claim(state_dir: Path, port: int) -> Lock:
    """Take the lock of a port for life. Raises Fatal: 75 if another instance has it, 73 if it cannot be made."""
    lock_path, _ = paths(state_dir, port)
    with writable(state_dir, "LUMEN_STATE_DIR"):
        state_dir.mkdir(parents=True, exist_ok=True)
        for _ in range(LOOKS):
            if lock := Lock.take(lock_path):
                lock.name_holder()
                return lock
            threading.Event().wait(LOOK_S)  # somebody may only be looking: see is_locked
    pid = lock_holder(state_dir, port)
    if pid and pid != named_holder(lock_path) and (stranger := process_identity.stranger(pid)):
        problem = f"cannot start on port {port}: {stranger}, which is not a lumen-proxy, has locked {lock_path}"
        raise Fatal(f"{problem}; end that program, or choose another --port", Exit.PORT_IN_USE)
    who = f" (pid {pid})" if pid else ""
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
