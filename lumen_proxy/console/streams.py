"""Output to the standard streams, which may be closed, full, or unable to encode a character.

A failed write raises no exception: a proxy that serves must not end because its output cannot be written.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PREFIX = "lumen-proxy: "
STANDARD_DESCRIPTORS = 3  # input, output, error
READER_CLOSED = {errno.EPIPE, *([errno.EINVAL] if os.name == "nt" else [])}  # Windows: EINVAL while a pipe is closed
_lost: list[tuple[TextIO | None, OSError]] = []
_terminals: list[TextIO] = []  # streams that were a terminal at the start


def prepare() -> None:
    """Call first. Opens missing standard streams, and replaces characters that a stream cannot encode."""
    with contextlib.suppress(OSError):
        # The listening socket would get a free descriptor 0, 1 or 2, and a worker would print into it.
        while (descriptor := os.open(os.devnull, os.O_RDWR)) < STANDARD_DESCRIPTORS:
            os.set_inheritable(descriptor, True)  # noqa: FBT003 - the only parameter
        os.close(descriptor)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
            if stream.isatty():
                _terminals.append(stream)


def flush() -> None:
    """Call last. Otherwise a failed flush at the end of the interpreter changes the exit status to 120."""
    _flush(sys.stdout)
    _flush(sys.stderr)


def _put(stream: TextIO | None, line: str) -> None:
    with _errors_recorded(stream):
        if stream is not None:
            stream.write(line + "\n")
    _flush(stream)


def _flush(stream: TextIO | None) -> None:
    with _errors_recorded(stream):
        if stream is not None:
            stream.flush()


@contextlib.contextmanager
def _errors_recorded(stream: TextIO | None) -> Iterator[None]:
    """Record an error of a write or a flush, and redirect the stream to the null device."""
    try:
        yield
    except ValueError:  # closed
        return
    except OSError as error:  # full, or its reader has closed it
        _lost.append((stream, error))
        with contextlib.suppress(OSError, ValueError):
            void = os.open(os.devnull, os.O_WRONLY)
            os.dup2(void, stream.fileno() if stream else void)
            os.close(void)


def is_output_lost() -> bool:
    """True after a failed write to standard output: a command that prints continuously should stop."""
    return sys.stdout is None or any(stream is sys.stdout for stream, _ in _lost)


def output_error() -> str | None:
    """Why standard output could not be written; None if it was written, or if the reader closed it.

    A reader closes it when a pipe ends early (`| head -1`) or when the terminal is closed.
    """
    for stream, error in _lost:
        is_closed = error.errno in READER_CLOSED or (error.errno == errno.EIO and stream in _terminals)
        if stream is sys.stdout and not is_closed:
            return error.strerror or type(error).__name__
    return None


def show(text: str) -> None:
    """Print a line to standard output."""
    _put(sys.stdout, text)


def announce(text: str) -> None:
    """Print a line to standard output for programs: ASCII, with the prefix."""
    show(PREFIX + text)


def notify(text: str) -> None:
    """Print a line to standard error, with the prefix."""
    _put(sys.stderr, PREFIX + text)


def log_path(log_dir: Path, port: int) -> Path:
    """The file for the standard error of an instance in the background."""
    return log_dir / f"console-{port}.log"


def notify_in_log(max_bytes: int, path: Path | None = None) -> Callable[[str], None]:
    """Like `notify`, for a standard error that is a log file without rotation: it is emptied when it is too large.

    The file must be open for appending, or later output would leave a hole. A deleted file is created again at `path`.
    """

    def notify_and_trim(text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            _reopen(sys.stderr.fileno(), path)
        notify(text)
        with contextlib.suppress(OSError, ValueError):
            descriptor = sys.stderr.fileno()
            if os.fstat(descriptor).st_size > max_bytes:
                os.ftruncate(descriptor, 0)

    return notify_and_trim


def _reopen(descriptor: int, path: Path | None) -> None:
    """Redirect the descriptor to a new file if the old one was deleted. Later workers inherit it."""
    if path is None or os.fstat(descriptor).st_nlink:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        os.dup2(file.fileno(), descriptor)


def replace_unprintable(text: str) -> str:
    """The text with `?` instead of each control character."""
    return "".join(c if c.isprintable() else "?" for c in text)


def choose_glyph(preferred: str, fallback: str) -> str:
    """The preferred symbol if standard output can encode it, else the fallback (ASCII)."""
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    try:
        preferred.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return fallback
    return preferred
