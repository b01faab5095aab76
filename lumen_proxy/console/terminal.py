"""A full-screen terminal: a separate screen and single keys; at the end the terminal is restored.

The escape sequences are those of ECMA-48 and xterm; the console of Windows also interprets them.
"""

from __future__ import annotations

import contextlib
import errno
import shutil
import signal
import sys
from typing import TYPE_CHECKING, Self

from lumen_proxy import platform
from lumen_proxy.console import formatting, keyboard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

ENTER, LEAVE = "\x1b[?1049h\x1b[?25l\x1b[2J", "\x1b[0m\x1b[?25h\x1b[?1049l"  # xterm: other screen, hidden cursor
HOME, REST_OF_LINE, REST_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"
USUAL_SIZE = (80, 24)


def is_interactive() -> bool:
    """Whether there is a terminal for output and for keys."""
    try:
        return (
            formatting.is_terminal()
            and sys.stdin is not None
            and sys.stdin.isatty()
            and formatting.has_escape_sequences()
        )
    except ValueError:  # closed
        return False


def size() -> tuple[int, int]:
    """Columns and lines."""
    columns, lines = shutil.get_terminal_size(USUAL_SIZE)
    return columns, lines


class Terminal:
    """A context manager. It restores the terminal after Ctrl-C and after any exception."""

    def __init__(self) -> None:
        self._undo = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.callback(_write, LEAVE)
            keyboard.enable_single_keys(sys.stdin.fileno(), lambda *undo: stack.callback(_unless_closed, *undo))
            _write(ENTER)
            self._undo = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._undo.close()

    def draw(self, lines: list[str]) -> None:
        """Show these lines from the top. The screen is not cleared first, which would flicker."""
        shown = "\r\n".join(line + REST_OF_LINE for line in lines)
        _write(HOME + shown + REST_OF_SCREEN)

    def key(self, within_s: float) -> str | None:
        """The next key, or None if none was pressed in time. Raises KeyboardInterrupt if the terminal was closed."""
        try:
            return keyboard.next_key(sys.stdin.fileno(), within_s)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
        raise KeyboardInterrupt


def _unless_closed(restore: Callable[..., object], *arguments: object) -> None:
    """Restore the terminal, unless it was closed. The error is termios.error, which Windows does not have."""
    try:
        restore(*arguments)
    except Exception as error:
        if error.args[:1] != (errno.EIO,):
            raise


def _write(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.write(text)
        sys.stdout.flush()


@contextlib.contextmanager
def stop_signals_as_interrupt() -> Iterator[None]:
    """Each stop signal raises KeyboardInterrupt, like Ctrl-C. Main thread only."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in platform.stop_signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
