"""Everything that differs between systems, and nothing else.

Each function takes the system's name, so that every branch can be tried anywhere with fakes. The
Windows branches are written from Microsoft's documentation; they have not run on Windows yet.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import importlib
import os
import select
import signal
import socket
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

SYSTEM = sys.platform

WSAEACCES = 10013  # winsock2.h: also what SO_EXCLUSIVEADDRUSE answers for a port that is in use
WSAEADDRINUSE = 10048  # winsock2.h


def is_windows(system: str = SYSTEM) -> bool:
    """True on Windows of any width."""
    return system == "win32"


def has_proc(system: str = SYSTEM) -> bool:
    """True where /proc tells about processes, their files and their locks: proc(5)."""
    return system == "linux"


# ---------------------------------------------------------------- sockets


def set_exclusive(sock: socket.socket, system: str = SYSTEM) -> None:
    """Refuse to share the port with a listener, but accept one that is only in TIME_WAIT.

    On Windows SO_REUSEADDR would let two processes listen on one port; elsewhere it never does.
    """
    name = "SO_EXCLUSIVEADDRUSE" if is_windows(system) else "SO_REUSEADDR"
    sock.setsockopt(socket.SOL_SOCKET, vars(socket)[name], 1)


def is_port_conflict(error: OSError, system: str = SYSTEM) -> bool:
    """True if the error of bind or listen says that somebody has the port."""
    if is_windows(system):
        return error.errno in {errno.EADDRINUSE, errno.EACCES, WSAEADDRINUSE, WSAEACCES}
    return error.errno == errno.EADDRINUSE


def wildcard_is_hidden(system: str = SYSTEM) -> bool:
    """True where a listener on 0.0.0.0 does not keep us from binding 127.0.0.1 (BSD sockets)."""
    return system == "darwin" or "bsd" in system


def hand_over(sock: socket.socket, pid: int, system: str = SYSTEM) -> dict[str, Any]:
    """Describe a listening socket so that process `pid` can open it: {"fd": n} or {"share": base64}."""
    if is_windows(system):
        shared: bytes = sock.share(pid)  # type: ignore[attr-defined,unused-ignore]
        return {"share": base64.b64encode(shared).decode("ascii")}
    return {"fd": sock.fileno()}


# ---------------------------------------------------------------- processes


def spawn_options(sockets: Sequence[socket.socket], system: str = SYSTEM) -> dict[str, Any]:
    """Keyword arguments for Popen: how a worker gets the sockets and keeps clear of Ctrl-C."""
    if is_windows(system):
        create_new_process_group = 0x00000200  # winbase.h: neither Ctrl-C nor our Ctrl-Break reaches it
        return {"creationflags": create_new_process_group}
    return {"pass_fds": [sock.fileno() for sock in sockets]}


def detached_options(system: str = SYSTEM) -> dict[str, Any]:
    """Keyword arguments for Popen: a process that outlives its terminal."""
    if is_windows(system):
        create_no_window, create_new_process_group = 0x08000000, 0x00000200  # winbase.h
        return {"creationflags": create_no_window | create_new_process_group}
    return {"start_new_session": True}


def outliving_options(system: str = SYSTEM) -> dict[str, Any]:
    """Keyword arguments for Popen: a process that outlives us although our children die with us."""
    options = detached_options(system)
    if is_windows(system):
        options["creationflags"] |= 0x01000000  # winbase.h: CREATE_BREAKAWAY_FROM_JOB, which our job allows
    return options


def stop_signals() -> tuple[signal.Signals, ...]:
    """Signals that ask us to stop, as far as this system has them. A hang-up that nohup ignores stays ignored."""
    names = ("SIGINT", "SIGTERM", "SIGBREAK", "SIGHUP")
    found = [signal.Signals[name] for name in names if name in signal.Signals.__members__]
    return tuple(s for s in found if s.name != "SIGHUP" or signal.getsignal(s) != signal.SIG_IGN)


@contextlib.contextmanager
def signals_held_back() -> Iterator[None]:
    """A child started in here is born with the stop signals blocked.

    A signal to the whole group (Ctrl-C) must not end a worker in the moment before it can ignore it.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, stop_signals())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ask_to_stop(pid: int, instance: str, system: str = SYSTEM, kernel32: Any = None) -> None:  # noqa: ANN401
    """Ask a supervisor to drain and end. Raises OSError if it cannot be asked.

    Windows has no signal that reaches a process in another console and nobody else there, so a supervisor
    listens to an event that carries its instance's name. Source: Microsoft's documentation of OpenEventW.
    """
    if not is_windows(system):
        os.kill(pid, signal.SIGTERM)
        return
    dll = kernel32 or _kernel32()
    event_modify_state = 0x0002  # synchapi.h
    handle = dll.OpenEventW(event_modify_state, False, _stop_event(instance))  # noqa: FBT003 - not inherited
    if not (handle and dll.SetEvent(handle)):
        raise OSError(errno.ESRCH, f"process {pid} does not listen to its stop event")
    dll.CloseHandle(handle)


def on_stop_request(
    instance: str,
    post: Callable[[signal.Signals], None],
    system: str = SYSTEM,
    kernel32: Any = None,  # noqa: ANN401
) -> None:
    """Windows: call `post` from a thread when somebody asks this instance to stop. Elsewhere signals do."""
    if not is_windows(system):
        return
    dll = kernel32 or _kernel32()
    handle = dll.CreateEventW(None, True, False, _stop_event(instance))  # noqa: FBT003 - stays set; is not set yet
    infinite_ms = 0xFFFFFFFF  # winbase.h

    def wait() -> None:
        dll.WaitForSingleObject(handle, infinite_ms)
        post(signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


def _stop_event(instance: str) -> str:
    return f"Local\\lumen-proxy-{instance}-stop"


def _kernel32() -> Any:  # noqa: ANN401 - ctypes has no types for it
    """The library, with every result that is a handle declared as wide as a pointer."""
    import ctypes  # noqa: PLC0415 - only Windows pays for it

    dll = vars(ctypes)["WinDLL"]("kernel32", use_last_error=True)
    for name in ("OpenEventW", "CreateEventW", "CreateJobObjectW", "GetCurrentProcess", "GetStdHandle"):
        getattr(dll, name).restype = ctypes.c_void_p
    for name in ("SetEvent", "CloseHandle"):
        getattr(dll, name).argtypes = [ctypes.c_void_p]
    dll.WaitForSingleObject.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
    return dll


def tie_children_to_this_process(system: str = SYSTEM, kernel32: Any = None) -> None:  # noqa: ANN401
    """Windows: whatever we start dies with us (a job object that kills when its last handle closes).

    Elsewhere the leash and the parent-death signal do the same. Source: JOBOBJECT_EXTENDED_LIMIT_INFORMATION.
    """
    if not is_windows(system):
        return
    import ctypes  # noqa: PLC0415 - only Windows pays for it

    pointer_bytes = ctypes.sizeof(ctypes.c_void_p)
    information = bytearray(144 if pointer_bytes == 8 else 112)  # noqa: PLR2004 - the size of the structure
    kill_on_job_close, breakaway_ok, limit_flags_offset, extended_limit_class = 0x2000, 0x0800, 16, 9  # winnt.h
    limit_flags = kill_on_job_close | breakaway_ok  # children die with us, except those that ask to outlive us
    information[limit_flags_offset : limit_flags_offset + 4] = limit_flags.to_bytes(4, "little")
    dll = kernel32 or _kernel32()
    job = ctypes.c_void_p(dll.CreateJobObjectW(None, None))  # never closed: it lives as long as we do
    buffer = (ctypes.c_char * len(information)).from_buffer(information)
    dll.SetInformationJobObject(job, extended_limit_class, buffer, len(information))
    process: int = dll.GetCurrentProcess()
    dll.AssignProcessToJobObject(job, ctypes.c_void_p(process))


# ---------------------------------------------------------------- terminals

ESCAPE = b"\x1b"


def single_keys(descriptor: int, undo: Callable[..., object], system: str = SYSTEM) -> None:
    """Deliver keys one by one, unechoed; `undo` is told how to put the terminal back. Raises OSError."""
    if is_windows(system):
        return
    termios, tty = (vars(importlib.import_module(name)) for name in ("termios", "tty"))
    before = termios["tcgetattr"](descriptor)
    undo(termios["tcsetattr"], descriptor, termios["TCSADRAIN"], before)
    tty["setcbreak"](descriptor)
    now = termios["tcgetattr"](descriptor)
    for key in ("VSUSP", "VQUIT"):  # Ctrl-Z and Ctrl-\ would leave our screen behind
        now[6][termios[key]] = bytes([os.fpathconf(descriptor, "PC_VDISABLE")])
    termios["tcsetattr"](descriptor, termios["TCSADRAIN"], now)


def next_key(descriptor: int, within_s: float, system: str = SYSTEM) -> str | None:
    """The next key, or None if none was pressed in time. Raises KeyboardInterrupt when the terminal has gone."""
    if is_windows(system):
        return _next_key_of_windows(within_s)
    if not _has_input(descriptor, within_s):
        return None
    pressed = os.read(descriptor, 1)  # and no more: keys that were typed ahead are the next ones
    if not pressed:
        raise KeyboardInterrupt
    if pressed == ESCAPE and _has_input(descriptor):  # an arrow key or its like, which means nothing to us
        _read_sequence(descriptor)
        return None
    return pressed.decode("ascii", "replace")


def _has_input(descriptor: int, within_s: float = 0.0) -> bool:
    return bool(select.select([descriptor], [], [], within_s)[0])


def _read_sequence(descriptor: int) -> None:
    """Read what follows an escape. ECMA-48, 5.4: ``[``, parameters, a final byte from @ to ~; or ``O`` and one byte."""
    if os.read(descriptor, 1) not in {b"[", b"O"}:
        return
    while _has_input(descriptor):
        byte = os.read(descriptor, 1)
        if not byte or b"@" <= byte <= b"~":
            return


def _next_key_of_windows(within_s: float) -> str | None:
    msvcrt, look_s, pause = vars(importlib.import_module("msvcrt")), 0.05, threading.Event()  # it can only be polled
    for _ in range(max(int(within_s / look_s), 1)):
        if msvcrt["kbhit"]():
            key = str(msvcrt["getwch"]())
            is_alone = key not in "\x00\xe0"
            if not is_alone:
                msvcrt["getwch"]()
            return key if is_alone else None
        pause.wait(look_s)
    return None


def speaks_escape_sequences(system: str = SYSTEM, kernel32: Any = None) -> bool:  # noqa: ANN401
    """Whether the terminal of standard output obeys them; a console of Windows is told to first.

    Source: Microsoft's documentation of SetConsoleMode, which fails where a console is too old for it.
    """
    if not is_windows(system):
        return True
    import ctypes  # noqa: PLC0415 - only Windows pays for it

    dll = kernel32 or _kernel32()
    std_output_handle, enable_virtual_terminal_processing = -11, 0x0004
    handle, mode = ctypes.c_void_p(dll.GetStdHandle(std_output_handle)), ctypes.c_uint32()
    if not dll.GetConsoleMode(handle, ctypes.byref(mode)):
        return False
    return bool(dll.SetConsoleMode(handle, mode.value | enable_virtual_terminal_processing))


# ---------------------------------------------------------------- files


def try_lock(descriptor: int, system: str = SYSTEM) -> bool:
    """Take an exclusive lock that the operating system drops when this process ends, or say False at once."""
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
    """Where a virtual environment keeps its interpreter."""
    return venv / "Scripts" / "python.exe" if is_windows(system) else venv / "bin" / "python"
