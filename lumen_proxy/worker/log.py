"""The worker's log: metadata only, never a user's words; one JSON object a line; rotated and capped."""

from __future__ import annotations

import json
import logging
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
DAY_S = 86_400


class Log:
    """Appends to a file that is opened for each line, so that another process may rotate it (Windows, too).

    What cannot be written is counted in `lost`, never fatal.
    """

    def __init__(self, path: Path, *, max_bytes: int, keep: int, days: int, level: str) -> None:
        self.lost = 0
        self._path = path
        self._max_bytes = max_bytes
        self._keep = keep
        self._days = days
        self._level = LEVELS[level]
        self._lock = threading.Lock()

    def write(self, level: str, event: str, **fields: object) -> None:
        """Append one line, unless `level` is below the configured one."""
        if LEVELS[level] < self._level:
            return
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"ts": now, "level": level, "event": event, **fields}).encode("ascii") + b"\n"
        with self._lock:
            try:
                self._append(line)
            except OSError:
                self.lost += 1

    def _append(self, line: bytes) -> None:
        with self._path.open("ab", buffering=0) as file:
            full = file.tell() + len(line) > self._max_bytes and file.tell() > 0
            if not full:
                file.write(line)
        if full:
            self._rotate()
            with self._path.open("ab", buffering=0) as file:
                file.write(line)

    def _rotate(self) -> None:
        """`x` becomes `x.1`, `x.1` becomes `x.2`, …; the last, and those that are too old, go."""
        names = [self._path, *(self._path.with_name(f"{self._path.name}.{n}") for n in range(1, self._keep + 1))]
        for older, newer in zip(reversed(names), reversed(names[:-1]), strict=False):
            if newer.exists():
                newer.replace(older)
        names[0].unlink(missing_ok=True)  # when none is kept
        for name in names[1:]:
            if name.exists() and time.time() - name.stat().st_mtime > self._days * DAY_S:
                name.unlink()


class Bridge(logging.Handler):
    """Takes the warnings of libraries into the log: who and what kind, but not their words, which may quote a user."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        error = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None
        self._log.write("warning", "library", logger=record.name, where=record.funcName, error=error)
