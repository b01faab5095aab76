"""Text for a terminal that may be closed, full, or unable to show a character.

A failed write never raises: a proxy that serves must not end because its output cannot be written.
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
GONE = {errno.EPIPE, *([errno.EINVAL] if os.name == "nt" else [])}  # Windows says EINVAL of a pipe that is being closed
_lost: list[tuple[TextIO | None, OSError]] = []
_terminals: list[TextIO] = []  # streams that were a terminal at the start


def prepare() -> None:
    """Call first. Makes the three standard streams harmless: open, and never failing on a letter."""
    with contextlib.suppress(OSError):
        # A closed 0, 1 or 2 would be given to our listening socket, and from there to a worker's print.
        while (descriptor := os.open(os.devnull, os.O_RDWR)) < STANDARD_DESCRIPTORS:
            os.set_inheritable(descriptor, True)  # noqa: FBT003 - the only parameter
        os.close(descriptor)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
            if stream.isatty():
                _terminals.append(stream)


def settle() -> None:
    """Call last. What a stream cannot deliver must not fail once more when the interpreter ends (status 120)."""
    _flush(sys.stdout)
    _flush(sys.stderr)


def _put(stream: TextIO | None, line: str) -> None:
    with _delivering(stream):
        if stream is not None:
            stream.write(line + "\n")
    _flush(stream)


def _flush(stream: TextIO | None) -> None:
    with _delivering(stream):
        if stream is not None:
            stream.flush()


@contextlib.contextmanager
def _delivering(stream: TextIO | None) -> Iterator[None]:
    """Writing fails when unbuffered, else flushing does: either way the stream ends where all can be delivered."""
    try:
        yield
    except ValueError:  # closed
        return
    except OSError as error:  # full, or its reader has gone
        _lost.append((stream, error))
        with contextlib.suppress(OSError, ValueError):
            void = os.open(os.devnull, os.O_WRONLY)
            os.dup2(void, stream.fileno() if stream else void)
            os.close(void)


def is_unheard() -> bool:
    """True once standard output could not be delivered: who prints for ever should stop."""
    return sys.stdout is None or any(stream is sys.stdout for stream, _ in _lost)


def undelivered() -> str | None:
    """Why standard output could not be written; None if it was, or if nobody wanted it any more.

    Nobody does when the reader of a pipe has ended (`| head -1`) and when the terminal was closed.
    """
    for stream, error in _lost:
        gone = error.errno in GONE or (error.errno == errno.EIO and stream in _terminals)
        if stream is sys.stdout and not gone:
            return error.strerror or type(error).__name__
    return None


def show(text: str) -> None:
    """Print a line on standard output."""
    _put(sys.stdout, text)


def announce(text: str) -> None:
    """Print a line for programs that read the output: ASCII, prefixed, flushed."""
    show(PREFIX + text)


def tell(text: str) -> None:
    """Print a line for people on standard error, prefixed."""
    _put(sys.stderr, PREFIX + text)


def log_of(log_dir: Path, port: int) -> Path:
    """The file that takes the standard error of an instance in the background."""
    return log_dir / f"console-{port}.log"


def tell_below(max_bytes: int, path: Path | None = None) -> Callable[[str], None]:
    """Like `tell`, for a standard error that is a log file nobody rotates: emptied when it has grown too large.

    The file must be open for appending, or what follows would leave a hole. If it was deleted, `path` is made again.
    """

    def tell_and_trim(text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            _open_again(sys.stderr.fileno(), path)
        tell(text)
        with contextlib.suppress(OSError, ValueError):
            descriptor = sys.stderr.fileno()
            if os.fstat(descriptor).st_size > max_bytes:
                os.ftruncate(descriptor, 0)

    return tell_and_trim


def _open_again(descriptor: int, path: Path | None) -> None:
    """Workers that are launched later inherit the descriptor, so they write to the new file, too."""
    if path is None or os.fstat(descriptor).st_nlink:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        os.dup2(file.fileno(), descriptor)


def glyph(preferred: str, fallback: str) -> str:
    """The preferred symbol if standard output can encode it, else the fallback (ASCII)."""
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    try:
        preferred.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return fallback
    return preferred
