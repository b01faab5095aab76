"""Single keys and escape sequences of a terminal, on each operating system."""

from __future__ import annotations

import importlib
import os
import select
import threading
from typing import TYPE_CHECKING, Any

from lumen_proxy import platform

if TYPE_CHECKING:
    from collections.abc import Callable

ESCAPE = b"\x1b"


def enable_single_keys(descriptor: int, undo: Callable[..., object]) -> None:
    """Deliver keys one by one, without echo; `undo` receives the call that restores the terminal. Raises OSError."""
    if platform.is_windows():
        return
    termios, tty = (vars(importlib.import_module(name)) for name in ("termios", "tty"))
    before = termios["tcgetattr"](descriptor)
    undo(termios["tcsetattr"], descriptor, termios["TCSADRAIN"], before)
    tty["setcbreak"](descriptor)
    now = termios["tcgetattr"](descriptor)
    for key in ("VSUSP", "VQUIT"):  # Ctrl-Z and Ctrl-\ would leave the program without a restored screen
        now[6][termios[key]] = bytes([os.fpathconf(descriptor, "PC_VDISABLE")])
    termios["tcsetattr"](descriptor, termios["TCSADRAIN"], now)


def next_key(descriptor: int, within_s: float) -> str | None:
    """The next key, or None if none was pressed in time. Raises KeyboardInterrupt if the terminal was closed."""
    if platform.is_windows():
        return _next_key_of_windows(within_s)
    if not _has_input(descriptor, within_s):
        return None
    pressed = os.read(descriptor, 1)  # one byte only: keys that were typed ahead are the next ones
    if not pressed:
        raise KeyboardInterrupt
    if pressed == ESCAPE and _has_input(descriptor):  # an arrow key or a similar one, which has no meaning here
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


def enable_escape_sequences(system: str = platform.SYSTEM, kernel32: Any = None) -> bool:  # noqa: ANN401
    """Make standard output interpret escape sequences; return whether it does. Only Windows needs this.

    Source: Microsoft's documentation of SetConsoleMode, which fails where a console is too old for it.
    """
    if not platform.is_windows(system):
        return True
    import ctypes  # noqa: PLC0415 - only Windows needs it

    dll = kernel32 or platform.load_kernel32()
    std_output_handle, enable_virtual_terminal_processing = -11, 0x0004
    handle, mode = ctypes.c_void_p(dll.GetStdHandle(std_output_handle)), ctypes.c_uint32()
    if not dll.GetConsoleMode(handle, ctypes.byref(mode)):
        return False
    return bool(dll.SetConsoleMode(handle, mode.value | enable_virtual_terminal_processing))
