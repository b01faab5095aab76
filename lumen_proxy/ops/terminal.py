"""A whole terminal for a while: a screen of its own, single keys, and everything as before at the end.

Beside `supervisor/platform.py` the only place that knows about systems: keys come from termios or from msvcrt.
The escape sequences are those of ECMA-48 and xterm, which Windows' console speaks, too, once it is told to.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import select
import shutil
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any, Self

from lumen_proxy.ops import marks

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

ENTER, LEAVE = "\x1b[?1049h\x1b[?25l\x1b[2J", "\x1b[0m\x1b[?25h\x1b[?1049l"  # xterm: other screen, hidden cursor
HOME, REST_OF_LINE, REST_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"
USUAL_SIZE = (80, 24)
KEY_LOOK_S = 0.05  # msvcrt can only be polled
WINDOWS = sys.platform == "win32"


def is_whole() -> bool:
    """Whether there is a terminal for both output and keys."""
    try:
        return marks.is_terminal() and sys.stdin is not None and sys.stdin.isatty() and os.environ.get("TERM") != "dumb"
    except ValueError:  # closed
        return False


class Terminal:
    """Use with `with`. A stop signal, Ctrl-C and any exception leave the terminal as it was."""

    def __init__(self) -> None:
        self._undo = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.callback(_write, LEAVE)
            _prepare_keys(stack.callback)
            _interrupt_on_stop(stack.callback)
            _write(ENTER)
            self._undo = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._undo.close()

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines."""
        columns, lines = shutil.get_terminal_size(USUAL_SIZE)
        return columns, lines

    def draw(self, lines: list[str]) -> None:
        """Show these lines from the top; nothing flickers, for nothing is cleared first."""
        shown = "\r\n".join(line + REST_OF_LINE for line in lines)
        _write(HOME + shown + REST_OF_SCREEN)

    def key(self, within_s: float) -> str | None:
        """The next key, or None if none was pressed in time."""
        return _windows_key(within_s) if WINDOWS else _posix_key(within_s)


def _write(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.write(text)
        sys.stdout.flush()


def _interrupt_on_stop(undo: Callable[..., object]) -> None:
    """A request to stop takes the way of Ctrl-C."""
    for name in ("SIGTERM", "SIGHUP", "SIGBREAK"):
        number = getattr(signal, name, None)
        if number is not None:
            undo(signal.signal, number, signal.signal(number, signal.default_int_handler))


def _prepare_keys(undo: Callable[..., object]) -> None:
    if WINDOWS:
        _speak_escape_sequences()
        return
    termios, tty = (vars(importlib.import_module(name)) for name in ("termios", "tty"))
    descriptor = sys.stdin.fileno()
    before = termios["tcgetattr"](descriptor)
    undo(termios["tcsetattr"], descriptor, termios["TCSADRAIN"], before)
    tty["setcbreak"](descriptor)
    now = termios["tcgetattr"](descriptor)
    now[6][termios["VSUSP"]] = b"\0"  # Ctrl-Z would leave our screen behind
    termios["tcsetattr"](descriptor, termios["TCSADRAIN"], now)


def _posix_key(within_s: float) -> str | None:
    descriptor = sys.stdin.fileno()
    if not select.select([descriptor], [], [], within_s)[0]:
        return None
    pressed = os.read(descriptor, 32)
    if not pressed:  # the terminal has gone
        raise KeyboardInterrupt
    return pressed.decode("utf-8", "replace")[0]


def _windows_key(within_s: float) -> str | None:
    msvcrt: dict[str, Any] = vars(importlib.import_module("msvcrt"))
    pause = threading.Event()
    for _ in range(max(int(within_s / KEY_LOOK_S), 1)):
        if msvcrt["kbhit"]():
            return str(msvcrt["getwch"]())
        pause.wait(KEY_LOOK_S)
    return None


def _speak_escape_sequences() -> None:
    """Windows: ENABLE_VIRTUAL_TERMINAL_PROCESSING. Source: Microsoft's documentation of SetConsoleMode."""
    import ctypes  # noqa: PLC0415 - only Windows pays for it

    kernel32 = vars(ctypes)["WinDLL"]("kernel32")
    kernel32.GetStdHandle.restype = ctypes.c_void_p
    std_output_handle, virtual_terminal = -11, 0x0004
    handle, mode = ctypes.c_void_p(kernel32.GetStdHandle(std_output_handle)), ctypes.c_uint32()
    if kernel32.GetConsoleMode(handle, ctypes.byref(mode)):
        kernel32.SetConsoleMode(handle, mode.value | virtual_terminal)
