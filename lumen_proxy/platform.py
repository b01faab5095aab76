"""What differs between operating systems: sockets, processes, files. `console.keyboard` has the terminals.

Each function takes the name of the system, so that tests can run every branch on any system. The Windows branches
follow Microsoft's documentation; they have not run on Windows yet.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import importlib
import os
import signal
import socket
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

SYSTEM = sys.platform

WSAEACCES = 10013  # winsock2.h: also the error of SO_EXCLUSIVEADDRUSE for a port that is in use
WSAEADDRINUSE = 10048  # winsock2.h


def is_windows(system: str = SYSTEM) -> bool:
    """True on Windows of any width."""
    return system == "win32"


def has_proc(system: str = SYSTEM) -> bool:
    """True where /proc shows processes, their files and their locks: proc(5)."""
    return system == "linux"


# ---------------------------------------------------------------- sockets


def set_exclusive(sock: socket.socket, system: str = SYSTEM) -> None:
    """Refuse to share the port with a listener, but accept a port that is only in TIME_WAIT.

    On Windows SO_REUSEADDR would let two processes listen on one port; elsewhere it never does.
    """
    name = "SO_EXCLUSIVEADDRUSE" if is_windows(system) else "SO_REUSEADDR"
    sock.setsockopt(socket.SOL_SOCKET, vars(socket)[name], 1)


def is_port_conflict(error: OSError, system: str = SYSTEM) -> bool:
    """True if the error of bind or listen means that the port is in use."""
    if is_windows(system):
        return error.errno in {errno.EADDRINUSE, errno.EACCES, WSAEADDRINUSE, WSAEACCES}
    return error.errno == errno.EADDRINUSE


def allows_bind_beside_wildcard(system: str = SYSTEM) -> bool:
    """True where 127.0.0.1 can be bound although another process listens on 0.0.0.0 (BSD sockets)."""
    return system == "darwin" or "bsd" in system


def share_socket(sock: socket.socket, pid: int, system: str = SYSTEM) -> dict[str, Any]:
    """Describe a listening socket so that process `pid` can open it: {"fd": n} or {"share": base64}."""
    if is_windows(system):
        shared: bytes = sock.share(pid)  # type: ignore[attr-defined,unused-ignore]
        return {"share": base64.b64encode(shared).decode("ascii")}
    return {"fd": sock.fileno()}


def can_pass_descriptors(system: str = SYSTEM) -> bool:
    """True where a Unix socket passes open files to another process: unix(7), SCM_RIGHTS."""
    return not is_windows(system) and hasattr(socket, "send_fds")


def peer_user(sock: socket.socket, system: str = SYSTEM) -> int | None:
    """The user id of the process at the other end of a Unix socket; None if the system does not tell it.

    Sources: unix(7), SO_PEERCRED; macOS and FreeBSD, unix(4): LOCAL_PEERCRED and `struct xucred`.
    """
    if has_proc(system):
        credentials = sock.getsockopt(socket.SOL_SOCKET, vars(socket)["SO_PEERCRED"], 12)  # pid, uid, gid
        return int.from_bytes(credentials[4:8], sys.byteorder)
    if allows_bind_beside_wildcard(system):
        sol_local, local_peercred, xucred_bytes = 0, 1, 76
        credentials = sock.getsockopt(sol_local, local_peercred, xucred_bytes)  # version, uid, groups
        return int.from_bytes(credentials[4:8], sys.byteorder)
    return None


# ---------------------------------------------------------------- processes


def spawn_options(sockets: Sequence[socket.socket], system: str = SYSTEM) -> dict[str, Any]:
    """Keyword arguments for Popen: a worker that inherits the sockets and does not receive Ctrl-C."""
    if is_windows(system):
        create_new_process_group = 0x00000200  # winbase.h: it receives neither Ctrl-C nor Ctrl-Break
        return {"creationflags": create_new_process_group}
    return {"pass_fds": [sock.fileno() for sock in sockets]}


def detached_options(system: str = SYSTEM, *, inherited: Sequence[int] = ()) -> dict[str, Any]:
    """Keyword arguments for Popen: a process that outlives its terminal. It gets these descriptors (not on Windows)."""
    if is_windows(system):
        create_no_window, create_new_process_group = 0x08000000, 0x00000200  # winbase.h
        return {"creationflags": create_no_window | create_new_process_group}
    return {"start_new_session": True, "pass_fds": tuple(inherited)}


def outliving_options(system: str = SYSTEM) -> dict[str, Any]:
    """Keyword arguments for Popen: a process that outlives this one, although other children do not."""
    options = detached_options(system)
    if is_windows(system):
        options["creationflags"] |= 0x01000000  # winbase.h: CREATE_BREAKAWAY_FROM_JOB, which the job allows
    return options


def dump_signal(system: str = SYSTEM) -> signal.Signals | None:
    """The signal at which a worker writes its stack; None on Windows, which has no signals between processes."""
    return None if is_windows(system) else signal.SIGUSR1


def stop_signals() -> tuple[signal.Signals, ...]:
    """The stop signals that this system has. A SIGHUP that nohup ignores stays ignored."""
    names = ("SIGINT", "SIGTERM", "SIGBREAK", "SIGHUP")
    found = [signal.Signals[name] for name in names if name in signal.Signals.__members__]
    return tuple(s for s in found if s.name != "SIGHUP" or signal.getsignal(s) != signal.SIG_IGN)


@contextlib.contextmanager
def stop_signals_blocked() -> Iterator[None]:
    """A child that is started in this block starts with the stop signals blocked.

    A signal to the whole group (Ctrl-C) must not end a worker before the worker can ignore it.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, stop_signals())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def request_stop(pid: int, instance: str, system: str = SYSTEM, kernel32: Any = None) -> None:  # noqa: ANN401
    """Ask a supervisor to drain and end. Raises OSError if that fails.

    Windows has no signal for a single process in another console, so a supervisor waits for an event that has the name
    of its instance. Source: Microsoft's documentation of OpenEventW.
    """
    if not is_windows(system):
        os.kill(pid, signal.SIGTERM)
        return
    dll = kernel32 or load_kernel32()
    event_modify_state = 0x0002  # synchapi.h
    handle = dll.OpenEventW(event_modify_state, False, _stop_event(instance))  # noqa: FBT003 - not inherited
    if not (handle and dll.SetEvent(handle)):
        raise OSError(errno.ESRCH, f"process {pid} has no stop event")
    dll.CloseHandle(handle)


def on_stop_request(
    instance: str,
    post: Callable[[signal.Signals], None],
    system: str = SYSTEM,
    kernel32: Any = None,  # noqa: ANN401
) -> None:
    """Windows: call `post` from a thread when a command asks this instance to stop. Other systems use signals."""
    if not is_windows(system):
        return
    dll = kernel32 or load_kernel32()
    handle = dll.CreateEventW(None, True, False, _stop_event(instance))  # noqa: FBT003 - stays set; is not set yet
    infinite_ms = 0xFFFFFFFF  # winbase.h

    def wait() -> None:
        dll.WaitForSingleObject(handle, infinite_ms)
        post(signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


def _stop_event(instance: str) -> str:
    return f"Local\\lumen-proxy-{instance}-stop"


def load_kernel32() -> Any:  # noqa: ANN401 - ctypes has no types for it
    """The library, with results and arguments that are handles declared as wide as a pointer."""
    import ctypes  # noqa: PLC0415 - only Windows needs it

    dll = vars(ctypes)["WinDLL"]("kernel32", use_last_error=True)
    for name in ("OpenEventW", "CreateEventW", "CreateJobObjectW", "GetCurrentProcess", "GetStdHandle"):
        getattr(dll, name).restype = ctypes.c_void_p
    for name in ("SetEvent", "CloseHandle"):
        getattr(dll, name).argtypes = [ctypes.c_void_p]
    dll.WaitForSingleObject.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
    return dll


def kill_children_with_this_process(system: str = SYSTEM, kernel32: Any = None) -> None:  # noqa: ANN401
    """Windows: children end with this process (a job object that kills them when its last handle closes).

    On other systems the end of the worker's input and the parent-death signal have the same effect. Source:
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION.
    """
    if not is_windows(system):
        return
    import ctypes  # noqa: PLC0415 - only Windows needs it

    pointer_bytes = ctypes.sizeof(ctypes.c_void_p)
    information = bytearray(144 if pointer_bytes == 8 else 112)  # noqa: PLR2004 - the size of the structure
    kill_on_job_close, breakaway_ok, limit_flags_offset, extended_limit_class = 0x2000, 0x0800, 16, 9  # winnt.h
    limit_flags = kill_on_job_close | breakaway_ok  # except those that are started with `outliving_options`
    information[limit_flags_offset : limit_flags_offset + 4] = limit_flags.to_bytes(4, "little")
    dll = kernel32 or load_kernel32()
    job = ctypes.c_void_p(dll.CreateJobObjectW(None, None))  # never closed: it exists as long as this process
    buffer = (ctypes.c_char * len(information)).from_buffer(information)
    dll.SetInformationJobObject(job, extended_limit_class, buffer, len(information))
    process: int = dll.GetCurrentProcess()
    dll.AssignProcessToJobObject(job, ctypes.c_void_p(process))


# ---------------------------------------------------------------- files


def try_lock(descriptor: int, system: str = SYSTEM) -> bool:
    """Take an exclusive lock that ends with this process; return False at once if another process has it."""
    try:
        if is_windows(system):
            msvcrt = vars(importlib.import_module("msvcrt"))
            msvcrt["locking"](descriptor, msvcrt["LK_NBLCK"], 1)
        else:
            fcntl = vars(importlib.import_module("fcntl"))
            fcntl["flock"](descriptor, fcntl["LOCK_EX"] | fcntl["LOCK_NB"])
    except OSError as error:
        if error.errno in {errno.EAGAIN, errno.EACCES, errno.EDEADLK}:
            return False
        raise
    return True


def venv_python(venv: Path, system: str = SYSTEM) -> Path:
    """The interpreter of a virtual environment."""
    return venv / "Scripts" / "python.exe" if is_windows(system) else venv / "bin" / "python"
