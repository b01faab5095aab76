"""When a stage observed what, so that the report can show a check the log lines of its steps.

A step begins where the last one of the same thread ended. At each end, and before each signal, the sizes of the logs
are recorded: the lines of most servers have no time.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final

from lumen_conformance.processes.sent_signals import SentSignal, record_signals

MOST_SIZES: Final = 200  # of one stage; most have fewer than ten
_LAST: Final = threading.local()
StepTime = tuple[float, float, tuple[str, ...]]
"""Begin and end of a step on the clock of ``time.monotonic()``, and its own launches: see `StageStep`."""


@dataclass(frozen=True)
class LogSizes:
    """The sizes of the logs that have grown since the last time, by their paths below the folder of the stage."""

    at_mono_s: float
    bytes: dict[str, int]


class StageRecorder:
    """Records the signals of one stage, and how large its logs are after each step and before each signal."""

    def __init__(self, folder: Path) -> None:
        self.signals: list[SentSignal] = []
        self.sizes: list[LogSizes] = []
        self.thread = threading.get_ident()
        self._folder = folder
        self._last: dict[str, int] = {}

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """Record until the end of the block."""
        _RECORDERS.append(self)
        try:
            with record_signals(self._add_signal):
                yield
        finally:
            self.add_sizes(time.monotonic())
            _RECORDERS.pop()

    def add_sizes(self, now_mono_s: float) -> None:
        """Record the sizes of now."""
        paths = (path for launched in ("launch", "squat") for path in self._folder.glob(f"{launched}/*/*.log"))
        sizes = {path.relative_to(self._folder).as_posix(): path.stat().st_size for path in paths}
        grown = {name: size for name, size in sizes.items() if size != self._last.get(name, 0)}
        if len(self.sizes) < MOST_SIZES:
            self.sizes.append(LogSizes(now_mono_s, grown))
            self._last |= grown

    def _add_signal(self, sent: SentSignal) -> None:
        self.signals.append(sent)
        self.add_sizes(sent.sent_mono_s)


_RECORDERS: Final[list[StageRecorder]] = []  # of the stage that runs


def begin_at_steps(steps: Iterable[StepTime], sizes: Sequence[LogSizes]) -> list[StepTime]:
    """Return steps, each of which begins at the last step or signal before: 0 if there is none."""
    ends = [each.at_mono_s for each in sizes]
    return [(max((end for end in ends if end <= begin), default=0.0), end, own) for begin, end, own in steps]


def note_launch(folder: Path) -> None:
    """Note that this thread has launched a process with this folder."""
    _LAST.launches = (*getattr(_LAST, "launches", ()), f"/{folder.parent.name}/{folder.name}/")


def _own_launches() -> tuple[str, ...]:
    """Return the launches of this thread, if it works beside others; what it observes is about no other launch."""
    is_beside = any(recorder.thread != threading.get_ident() for recorder in _RECORDERS)
    return getattr(_LAST, "launches", ()) if is_beside else ()


def _begin() -> float:
    """Return when the last step of this thread ended; 0 for its first one."""
    begin_s: float = getattr(_LAST, "at_mono_s", 0.0)
    return begin_s


def _end() -> float:
    """Record the sizes of the logs; return the time, which is the begin of the next step of this thread."""
    _LAST.at_mono_s = now_s = time.monotonic()
    for recorder in _RECORDERS:
        recorder.add_sizes(now_s)
    return now_s


@dataclass(frozen=True, kw_only=True)
class StageStep:
    """A base class of what a stage observes in one step; both times are on the clock of ``time.monotonic()``.

    ``is_precondition``  whether most checks of a stage read it only to see whether they can be judged
    ``own_launches``     parts of the paths of the logs that it is about; empty for all logs of the stage
    """

    is_precondition: ClassVar[bool] = False
    since_mono_s: float = field(default_factory=_begin, compare=False, repr=False)
    at_mono_s: float = field(default_factory=_end, compare=False, repr=False)
    own_launches: tuple[str, ...] = field(default_factory=_own_launches, compare=False, repr=False)
