"""The worker's log: metadata only, never a user's words; one JSON object a line; rotated and capped."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lumen_proxy.rotation import RotatedFile

if TYPE_CHECKING:
    from pathlib import Path

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


class Log:
    """Writes events of its level and above to a rotated file; `lost` counts what could not be written."""

    def __init__(self, path: Path, *, max_bytes: int, keep: int, days: int, level: str) -> None:
        self._file = RotatedFile(path, max_bytes=max_bytes, keep=keep, days=days)
        self._level = LEVELS[level]

    @property
    def lost(self) -> int:
        """Lines that could not be written."""
        return self._file.lost

    def write(self, level: str, event: str, **fields: object) -> None:
        """Append one line, unless `level` is below the configured one."""
        if LEVELS[level] < self._level:
            return
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"ts": now, "level": level, "event": event, **fields})
        self._file.append(line.encode("ascii") + b"\n")


class Bridge(logging.Handler):
    """Takes the warnings of libraries into the log: who and what kind, but not their words, which may quote a user."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        error = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None
        self._log.write("warning", "library", logger=record.name, where=record.funcName, error=error)
