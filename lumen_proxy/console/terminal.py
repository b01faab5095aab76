"""A whole terminal for a while: a screen of its own, single keys, and everything as before at the end.

The escape sequences are those of ECMA-48 and xterm, which the console of Windows speaks, too, once it is told to.
"""

from __future__ import annotations

import contextlib
import errno
import shutil
import signal
import sys
from typing import TYPE_CHECKING, Self

from lumen_proxy import platform
from lumen_proxy.console import formatting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

ENTER, LEAVE = "\x1b[?1049h\x1b[?25l\x1b[2J", "\x1b[0m\x1b[?25h\x1b[?1049l"  # xterm: other screen, hidden cursor
HOME, REST_OF_LINE, REST_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"
USUAL_SIZE = (80, 24)


def is_whole() -> bool:
    """Whether there is a terminal for both output and keys."""
    try:
        return formatting.is_terminal() and sys.stdin is not None and sys.stdin.isatty() and formatting.is_obedient()
    except ValueError:  # closed
        return False


def size() -> tuple[int, int]:
    """Columns and lines."""
    columns, lines = shutil.get_terminal_size(USUAL_SIZE)
    return columns, lines


class Terminal:
    """Use with `with`. Ctrl-C and any exception leave the terminal as it was."""

    def __init__(self) -> None:
        self._undo = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.callback(_write, LEAVE)
            platform.single_keys(sys.stdin.fileno(), lambda *put_back: stack.callback(_unless_gone, *put_back))
            _write(ENTER)
            self._undo = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._undo.close()

    def draw(self, lines: list[str]) -> None:
        """Show these lines from the top; nothing flickers, for nothing is cleared first."""
        shown = "\r\n".join(line + REST_OF_LINE for line in lines)
        _write(HOME + shown + REST_OF_SCREEN)

    def key(self, within_s: float) -> str | None:
        """The next key, or None if none was pressed in time. A terminal that was closed is as good as Ctrl-C."""
        try:
            return platform.next_key(sys.stdin.fileno(), within_s)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
        raise KeyboardInterrupt


def _unless_gone(put_back: Callable[..., object], *arguments: object) -> None:
    """Put the terminal back, unless it was closed. The error is termios.error, which Windows does not have."""
    try:
        put_back(*arguments)
    except Exception as error:
        if error.args[:1] != (errno.EIO,):
            raise


def _write(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.write(text)
        sys.stdout.flush()


@contextlib.contextmanager
def stopped_like_ctrl_c() -> Iterator[None]:
    """A request to stop raises KeyboardInterrupt, so that there is one way out. Main thread only."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in platform.stop_signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
