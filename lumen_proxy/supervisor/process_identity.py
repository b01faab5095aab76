"""The identity of a process as the operating system reports it: start time, user, lock.

A clock change affects none of this. Each function takes the name of the system, so that tests can run every branch on
any system. On Linux the source is proc(5), on other systems psutil.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lumen_proxy import platform
from lumen_proxy.console import streams

if TYPE_CHECKING:
    from collections.abc import Iterable

PROC = Path("/proc")
STATE, START_TICKS = 0, 19  # proc_pid_stat(5): fields 3 and 22, counted from the end of the name in field 2
LOCK_LINE = re.compile(r"FLOCK +\S+ +WRITE +(\d+) +\S+:(\d+) ")  # proc_locks(5): owner and inode
PYTHON = re.compile(r"(?i)python|pypy")
OWN_PROGRAM = re.compile(r"(?i)lumen[-_]proxy(?:\.exe|-script\.pyw?)?")  # as a program, a script, a module
DELETED = " (deleted)"  # proc_pid_fd(5)
SAME_START_S = 0.005  # half a clock tick of Linux; the other systems report one stored number


def start_stamp(pid: int, system: str = platform.SYSTEM, proc: Path = PROC) -> float | None:
    """When a process started, in seconds on a scale that a clock change does not move.

    Linux: since boot (field 22 of /proc/PID/stat). macOS and Windows: the time that the kernel stored when it created
    the process. None if the process does not exist, is a zombie, or is hidden from this user.
    """
    if not platform.has_proc(system):
        return start_time(pid)
    try:
        fields = (proc / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    if fields[STATE] in {b"Z", b"X"}:
        return None
    return int(fields[START_TICKS]) / os.sysconf("SC_CLK_TCK")


def start_time(pid: int) -> float | None:
    """When a process started, in seconds since the epoch; None if it does not exist or is a zombie."""
    import psutil  # noqa: PLC0415 - 20 ms; the first worker boots meanwhile

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None


def is_same_start(recorded_s: float, observed_s: float | None) -> bool:
    """True if both stamps belong to one process."""
    return observed_s is not None and abs(recorded_s - observed_s) < SAME_START_S


def user_name(pid: int) -> str | None:
    """The user of a process; None if the system does not show it."""
    import psutil  # noqa: PLC0415 - only a command for people needs it

    try:
        return str(psutil.Process(pid).username())
    except (psutil.Error, KeyError):
        return None


def is_own(pid: int) -> bool:
    """True if the process belongs to the user of this process. There is no exception for administrators."""
    return user_name(pid) in {user_name(os.getpid())} - {None}


def is_foreign(pid: int) -> bool:
    """True if the process is known to belong to another user."""
    return user_name(pid) not in {user_name(os.getpid()), None}


def of_other_user(pid: int) -> str:
    """The user of a process as the end of a text; empty for the user of this process."""
    return f" of user {user_name(pid)}" if is_foreign(pid) else ""


def describe_other_program(pid: int) -> str | None:
    """Name and PID of a process that is not a lumen-proxy by its command line; None if it may be one."""
    import psutil  # noqa: PLC0415 - only a command for people needs it

    try:
        name = psutil.Process(pid).name()
    except psutil.Error:
        return None
    return f"{streams.replace_unprintable(name)} (pid {pid})" if is_lumen_proxy(pid) is False else None


def is_lumen_proxy(pid: int) -> bool | None:
    """Whether a process is a lumen-proxy by its command line; None if the system does not show that."""
    import psutil  # noqa: PLC0415 - only a command for people needs it

    try:
        program, *arguments = (os.path.basename(part) for part in psutil.Process(pid).cmdline() or [""])  # noqa: PTH119 - not paths
    except psutil.Error:
        return None
    if not program:
        return None
    is_script = bool(PYTHON.match(program)) and any(map(OWN_PROGRAM.fullmatch, arguments))
    return is_script or bool(OWN_PROGRAM.fullmatch(program))


def lock_owner(
    lock_path: Path, candidates: Iterable[int | None] = (), system: str = platform.SYSTEM, proc: Path = PROC
) -> int | None:
    """The process that holds the lock file, as the operating system reports it; None if it reports none.

    Linux lists the owners of locks. On other systems the candidates are examined: a process that has the file open
    holds the lock, because a command that only checks a lock has it open for microseconds.
    """
    if platform.has_proc(system):
        candidates = [*candidates, *_listed_owners(lock_path, proc)]
    return next((pid for pid in candidates if pid and holds_lock(pid, lock_path, system, proc)), None)


def holds_lock(pid: int, lock_path: Path, system: str = platform.SYSTEM, proc: Path = PROC) -> bool | None:
    """True if a process holds the lock file, even a deleted one; None if the system does not show it."""
    if not platform.has_proc(system):
        return _has_open(pid, lock_path) or None
    try:
        links = list((proc / str(pid) / "fd").iterdir())
    except OSError:
        return None
    return any(_is_lock(link, lock_path) for link in links)


def _is_lock(link: Path, lock_path: Path) -> bool:
    """`link` is an entry of /proc/PID/fd; the entry of the same name in fdinfo lists its locks."""
    try:
        name = os.readlink(link)  # noqa: PTH115 - the name may end in " (deleted)"
        if name in {f"{lock_path}{DELETED}", f"{os.path.realpath(lock_path.parent)}{os.sep}{lock_path.name}{DELETED}"}:
            is_named = True
        else:
            is_named = name.endswith(lock_path.name) and os.path.samestat(link.stat(), lock_path.stat())
        return is_named and bool(LOCK_LINE.search((link.parent.parent / "fdinfo" / link.name).read_text()))
    except OSError:
        return False


def _listed_owners(lock_path: Path, proc: Path) -> list[int]:
    try:
        inode = lock_path.stat().st_ino
        lines = LOCK_LINE.findall((proc / "locks").read_text())
    except OSError:
        return []
    return [int(pid) for pid, number in lines if int(number) == inode]


def _has_open(pid: int, path: Path) -> bool:
    import psutil  # noqa: PLC0415 - only a command for people needs it

    try:
        files: list[Any] = psutil.Process(pid).open_files()
    except psutil.Error:
        return False
    return os.path.realpath(path) in {os.path.realpath(file.path) for file in files}
