"""Finds the instance on a port. The operating system decides which process that is; the state file only describes it.

An instance is found by the lock of its port. If the lock file was deleted, it is found by its listening socket.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lumen_proxy.supervisor import instance_lock, listener, port_owner, process_identity, state

if TYPE_CHECKING:
    from pathlib import Path

    from lumen_proxy.config import Settings
    from lumen_proxy.supervisor.state import InstanceState


@dataclass(frozen=True)
class LockHolder:
    """The instance that holds a port.

    `pid` is None if the operating system does not show the process. `is_verified`: the operating system names the
    process as the holder of the lock, or, where it shows no holder, the lock is held and the process started when the
    state file says. Only a verified process may be signalled. `state` is its state file; None if that is missing or
    describes another process.
    """

    pid: int | None
    is_verified: bool
    state: InstanceState | None


def find(settings: Settings) -> LockHolder | None:
    """The instance on the port of `settings`, whether it responds or not."""
    return find_by_lock(settings.state_dir, settings.port) or _find_by_socket(settings)


def find_by_lock(state_dir: Path, port: int) -> LockHolder | None:
    """The instance that holds the lock of a port; None if no process or another program holds it."""
    lock_path = instance_lock.lock_path(state_dir, port)
    holder = _find(lock_path, state.state_path(state_dir, port))
    if holder is not None and holder.pid is None and instance_lock.is_locked(lock_path) is False:
        return None  # it has ended since the lock was checked
    return holder


def _find(lock_path: Path, state_path: Path) -> LockHolder | None:
    is_locked, description = instance_lock.is_locked(lock_path), state.read(state_path)
    if is_locked is False:
        return None
    candidates = [description.pid if description else None, instance_lock.read_holder(lock_path)]
    pid = process_identity.lock_owner(lock_path, candidates)
    if pid and _other_program(pid, lock_path):
        return None
    if pid:
        return LockHolder(pid, is_verified=True, state=matching(description, pid))
    if description is None:
        return LockHolder(None, is_verified=False, state=None) if is_locked else None
    if process_identity.holds_lock(description.pid, lock_path) is None and state.is_alive(description):
        return LockHolder(description.pid, bool(is_locked), description)  # its files are hidden, its start is not
    if not is_locked:
        return None
    pid = description.pid
    is_hidden = process_identity.start_stamp(pid) is None and process_identity.user_name(pid) is not None
    return LockHolder(pid if is_hidden else None, is_verified=False, state=description if is_hidden else None)


def _find_by_socket(settings: Settings) -> LockHolder | None:
    """An instance without a lock file: it still holds the deleted file, and its processes listen on the port."""
    if settings.host == "localhost" and taken_address(settings) is None:  # faster than the table of all sockets
        return None
    lock_path = instance_lock.lock_path(settings.state_dir, settings.port)
    for pid in port_owner.find_with_ancestors(hosts(settings), settings.port):
        if process_identity.is_own(pid) and process_identity.holds_lock(pid, lock_path):
            description = state.read(state.state_path(settings.state_dir, settings.port))
            return LockHolder(pid, is_verified=True, state=matching(description, pid))
    return None


def find_other_program(state_dir: Path, port: int) -> str | None:
    """A description of the program that holds the lock of a port but is not a lumen-proxy; None if there is none."""
    lock_path = instance_lock.lock_path(state_dir, port)
    pid = process_identity.lock_owner(lock_path) if instance_lock.is_locked(lock_path) else None
    program = _other_program(pid, lock_path) if pid else None
    return f"{program}, which is not a lumen-proxy but has locked {lock_path}" if program else None


def _other_program(pid: int, lock_path: Path) -> str | None:
    """Any program can lock a file; a lumen-proxy also writes its PID into it, unless the disk is full."""
    return None if instance_lock.read_holder(lock_path) == pid else process_identity.describe_other_program(pid)


def matching(description: InstanceState | None, pid: int) -> InstanceState | None:
    """The state file, if it describes this process."""
    return description if description and description.pid == pid else None


def hosts(settings: Settings) -> tuple[str, ...]:
    """The addresses that an instance with these settings listens on."""
    return listener.LOOPBACKS if settings.host == "localhost" else (settings.host,)


def taken_address(settings: Settings) -> str | None:
    """The first of these addresses where the port is in use."""
    return next((host for host in hosts(settings) if listener.is_taken(host, settings.port)), None)
