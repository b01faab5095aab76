"""The journal: what happened to the proxy, one JSON object a line, for people and for tests."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
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


class Journal:
    """Appends events to a file; a journal that cannot be written is counted, never fatal."""

    def __init__(self, path: Path, instance: str) -> None:
        self.path = path
        self.instance = instance
        self.lost = 0

    def write(self, event: Event, **fields: object) -> None:
        """Append one line in a single write, so that two instances never mix within a line."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        record = {"ts": now, "mono": time.monotonic(), "event": event, "instance": self.instance, **fields}
        line = json.dumps(record, ensure_ascii=True) + "\n"
        try:
            with self.path.open("ab", buffering=0) as file:
                file.write(line.encode("ascii"))
        except OSError:
            self.lost += 1
