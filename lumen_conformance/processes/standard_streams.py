"""Standard streams that are closed, or whose reader has ended: the output is dropped, and the run goes on."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any, Final, TextIO

import pytest

DESCRIPTORS: Final = {"stdin": 0, "stdout": 1, "stderr": 2}


def open_missing() -> None:
    """Open the null device in the place of each closed standard stream: a file of the run could get its number."""
    for name, number in DESCRIPTORS.items():
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the system gives the lowest free number, which is this one
            os.set_inheritable(number, True)  # noqa: FBT003 -- it has no name
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "r" if number == 0 else "w", encoding="utf-8", closefd=False))  # noqa: SIM115 -- open as long as the process


def drop(stream: TextIO) -> None:
    """Send what this stream still holds, and what is written to it later, to the null device."""
    with contextlib.suppress(OSError, ValueError):  # a stream without a descriptor, as in tests
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
        stream.flush()


class LostOutput(Exception):  # noqa: N818 -- the name of an event
    """Standard output cannot be written; ``error`` is the reason."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


class _Wrapper:
    """A stream with other answers to some of its errors."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._held: list[str] | None = None  # None: nothing is held
        self._is_dropped = False

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 -- any attribute of a stream
        return getattr(self._stream, name)


class ReportedOutput(_Wrapper):
    """The output of a command: an error is no OSError, so that it differs from the errors of other files."""

    def write(self, text: str) -> int:
        """Write a text; raises LostOutput."""
        with _as_lost_output():
            return self._stream.write(text)

    def flush(self) -> None:
        """Write what is held; raises LostOutput."""
        with _as_lost_output():
            self._stream.flush()


@contextlib.contextmanager
def _as_lost_output() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LostOutput(error) from None


@contextlib.contextmanager
def report_lost_output() -> Iterator[None]:
    """Raise LostOutput where standard output cannot be written, at the latest at the end."""
    output = ReportedOutput(sys.stdout)
    with contextlib.redirect_stdout(output):
        yield
        output.flush()


class Output(_Wrapper):
    """The output of pytest's terminal: it drops what cannot be written."""

    def write(self, text: str) -> int:
        """Write a text, or hold it."""
        if self._held is not None:
            self._held.append(text)
            return len(text)
        try:
            return self._stream.write(text)
        except OSError:
            drop(self._stream)
            return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def hold(self, *, drop: bool) -> None:
        """Hold what is written from now on; with ``drop``, `release` does not write it."""
        self._held = [] if self._held is None else self._held
        self._is_dropped = drop

    def release(self) -> None:
        """Write what was held, and hold no more."""
        if not self._is_dropped:
            held, self._held = self._held or (), None
            self.writelines(held)
            self.flush()

    def flush(self) -> None:
        """Write what the stream has in its buffer."""
        try:
            self._stream.flush()
        except OSError:
            drop(self._stream)


def configure(config: pytest.Config) -> None:
    """Let the terminal of pytest drop what cannot be written."""
    if reporter := config.pluginmanager.get_plugin("terminalreporter"):
        reporter._tw._file = Output(reporter._tw._file)  # noqa: SLF001 -- there is no public name


def hold(config: pytest.Config, *, drop: bool = False) -> None:
    """Hold the output of the terminal until `release`, at most until the end of the run; with ``drop``, drop it."""
    if output := _output_of(config):
        output.hold(drop=drop)
        config.add_cleanup(output.release)


def release(config: pytest.Config) -> None:
    """Print what is held."""
    if output := _output_of(config):
        output.release()


def _output_of(config: pytest.Config) -> Output | None:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    file = reporter._tw._file if reporter else None  # noqa: SLF001 -- there is no public name
    return file if isinstance(file, Output) else None
