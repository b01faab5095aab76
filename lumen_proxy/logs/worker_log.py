"""The log of a worker: metadata, never the text of a user. One JSON object a line, in rotated files."""

from __future__ import annotations

import json
import logging
import threading
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lumen_proxy.logs.rotation import RotatedFile

if TYPE_CHECKING:
    from pathlib import Path

FLUSH_S = 0.2  # lines are written together: one write for each request would halve the throughput
MAX_LINES = 1000  # in memory
LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


class WorkerLog:
    """Writes events of `level` and above to a rotated file; `lost` counts the writes that failed.

    Lines above `info` are written at once, other lines by `flush`, which `keep_flushing` calls.
    """

    def __init__(self, path: Path, *, max_bytes: int, keep: int, days: int, level: str) -> None:
        self._file = RotatedFile(path, max_bytes=max_bytes, keep=keep, days=days)
        self._max_bytes = max_bytes
        self._level = LEVELS[level]
        self._lines: deque[bytes] = deque()  # no lock, since requests would wait for it
        self._lock = threading.Lock()
        self._has_lines = threading.Event()

    @property
    def lost(self) -> int:
        """Writes that failed."""
        return self._file.lost

    def write(self, level: str, event: str, **fields: object) -> None:
        """Add one line, unless `level` is below that of the log."""
        if LEVELS[level] < self._level:
            return
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"ts": now, "level": level, "event": event, **fields})
        self._lines.append(line.encode("ascii") + b"\n")
        if LEVELS[level] > LEVELS["info"] or len(self._lines) >= MAX_LINES:
            self.flush()
        else:
            self._has_lines.set()

    def flush(self) -> None:
        """Write the lines, in one piece if a file may be that large."""
        with self._lock:
            lines = [self._lines.popleft() for _ in range(len(self._lines))]
            together = b"".join(lines)
            for piece in [together] if 0 < len(together) <= self._max_bytes else lines:
                self._file.append(piece)

    def keep_flushing(self) -> None:
        """Flush shortly after each write. Does not return: run it in a thread."""
        pause = threading.Event()
        while self._has_lines.wait():
            pause.wait(FLUSH_S)
            self._has_lines.clear()
            self.flush()


class LogHandler(logging.Handler):
    """Adds the warnings of libraries to the log, without their messages, which may quote a user."""

    def __init__(self, log: WorkerLog) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        error = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None
        self._log.write("warning", "library", logger=record.name, where=record.funcName, error=error)
