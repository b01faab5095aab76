"""Who holds the lock of a port: the operating system decides, the state file only describes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lumen_proxy.supervisor import process_identity, state

if TYPE_CHECKING:
    from pathlib import Path

    from lumen_proxy.supervisor.state import State


@dataclass(frozen=True)
class Holder:
    """The instance that holds a port.

    `pid` is None if the operating system does not tell which process it is. `is_verified`: the operating system names
    the process as the holder of the lock, or, where it does not tell, the lock is held and the process started when
    the state file says. Only then may it be signalled. `known` is its state file; None if that is missing or
    describes another process.
    """

    pid: int | None
    is_verified: bool
    known: State | None


def find_holder(state_dir: Path, port: int) -> Holder | None:
    """The instance that holds the lock of a port, whether it answers or not; None if nobody or a stranger holds it."""
    lock_path, state_path = state.paths(state_dir, port)
    found = _look(lock_path, state_path)
    has_ended = found is not None and found.pid is None and state.is_locked(lock_path) is False  # since it was locked
    return None if has_ended else found


def _look(lock_path: Path, state_path: Path) -> Holder | None:
    is_locked, known = state.is_locked(lock_path), state.read(state_path)
    if is_locked is False:
        return None
    pid = process_identity.lock_owner(lock_path, [known.pid if known else None, state.named_holder(lock_path)])
    if pid and _stranger(pid, lock_path):
        return None
    if pid:
        return Holder(pid, is_verified=True, known=matching(known, pid))
    if known is None:
        return Holder(None, is_verified=False, known=None) if is_locked else None
    if process_identity.holds_lock(known.pid, lock_path) is None and state.is_alive(known):
        return Holder(known.pid, bool(is_locked), known)  # its files are hidden from us, its start is not
    if not is_locked:
        return None
    is_hidden = process_identity.start_stamp(known.pid) is None and process_identity.user_name(known.pid) is not None
    return Holder(known.pid if is_hidden else None, is_verified=False, known=known if is_hidden else None)


def find_stranger(state_dir: Path, port: int) -> str | None:
    """The program that holds the lock of a port and is not a lumen-proxy, in words; None if there is none."""
    lock_path, _ = state.paths(state_dir, port)
    pid = process_identity.lock_owner(lock_path) if state.is_locked(lock_path) else None
    who = _stranger(pid, lock_path) if pid else None
    return f"{who}, which is not a lumen-proxy but has locked {lock_path}" if who else None


def _stranger(pid: int, lock_path: Path) -> str | None:
    """Anybody can lock a file; a lumen-proxy also writes its name into it, unless the disk is full."""
    return None if state.named_holder(lock_path) == pid else process_identity.stranger(pid)


def matching(known: State | None, pid: int) -> State | None:
    """The state file, if it describes this process."""
    return known if known and known.pid == pid else None
