"""The worker's log: metadata only, never a user's words; one JSON object a line; rotated and capped."""

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

FLUSH_S = 0.2  # lines of requests are written together: opening a file for each would halve the throughput
MAX_LINES = 1000  # kept in memory at most
LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


class Log:
    """Writes events of its level and above to a rotated file; `lost` counts what could not be written.

    What is above `info` is written at once; the rest by `flush`, which `keep_flushing` calls.
    """

    def __init__(self, path: Path, *, max_bytes: int, keep: int, days: int, level: str) -> None:
        self._file = RotatedFile(path, max_bytes=max_bytes, keep=keep, days=days)
        self._max_bytes = max_bytes
        self._level = LEVELS[level]
        self._lines: deque[bytes] = deque()  # appended to without a lock, for which requests would queue up
        self._lock = threading.Lock()
        self._written = threading.Event()

    @property
    def lost(self) -> int:
        """Writes that failed."""
        return self._file.lost

    def write(self, level: str, event: str, **fields: object) -> None:
        """Append one line, unless `level` is below the configured one."""
        if LEVELS[level] < self._level:
            return
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"ts": now, "level": level, "event": event, **fields})
        self._lines.append(line.encode("ascii") + b"\n")
        if LEVELS[level] > LEVELS["info"] or len(self._lines) >= MAX_LINES:
            self.flush()
        else:
            self._written.set()

    def flush(self) -> None:
        """Write what is waiting, in one piece if the file may be that large."""
        with self._lock:
            lines = [self._lines.popleft() for _ in range(len(self._lines))]
            together = b"".join(lines)
            for piece in [together] if 0 < len(together) <= self._max_bytes else lines:
                self._file.append(piece)

    def keep_flushing(self) -> None:
        """Flush a moment after each write, for ever; run it in a thread."""
        pause = threading.Event()
        while self._written.wait():
            pause.wait(FLUSH_S)
            self._written.clear()
            self.flush()


class Bridge(logging.Handler):
    """Takes the warnings of libraries into the log: who and what kind, but not their words, which may quote a user."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        error = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None
        self._log.write("warning", "library", logger=record.name, where=record.funcName, error=error)
