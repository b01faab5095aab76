"""The journal: what happened to the proxy, one JSON object a line, for people and for tests."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from lumen_proxy.logs.rotation import RotatedFile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

Event = Literal[
    "started",
    "worker_spawned",
    "ready",
    "worker_died",
    "restart_scheduled",
    "gave_up",
    "draining",
    "drained",
    "stopped",
]


MAX_BYTES = 10 * 1024 * 1024  # these three as in the table of settings
KEEP = 5
DAYS = 14


def path_of(log_dir: Path, port: int) -> Path:
    """Where the instance on a port keeps its journal: two that share a folder must not rotate one file."""
    return log_dir / f"journal-{port}.jsonl"


class Journal:
    """Appends events to a rotated file; a journal that cannot be written is counted, never fatal."""

    def __init__(
        self, path: Path, instance: str, *, max_bytes: int = MAX_BYTES, keep: int = KEEP, days: int = DAYS
    ) -> None:
        self.path = path
        self.instance = instance
        self.hear: Callable[[Mapping[str, Any]], object] = lambda _: None
        """Called with each event after it was written."""
        self._file = RotatedFile(path, max_bytes=max_bytes, keep=keep, days=days)

    @property
    def lost(self) -> int:
        """Events that could not be written."""
        return self._file.lost

    def write(self, event: Event, **fields: object) -> None:
        """Append one line."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        record = {"ts": now, "mono": time.monotonic(), "event": event, "instance": self.instance, **fields}
        self._file.append(json.dumps(record, ensure_ascii=True).encode("ascii") + b"\n")
        self.hear(record)
