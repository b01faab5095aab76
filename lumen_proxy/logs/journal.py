"""The journal: the events of an instance, one JSON object per line."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from lumen_proxy.logs.rotation import RotatedFile

Event = Literal[
    "started",
    "worker_spawned",
    "ready",
    "worker_hung",
    "worker_died",
    "restart_scheduled",
    "gave_up",
    "standby_ready",
    "standby_died",
    "standby_off",
    "draining",
    "drained",
    "handed_over",
    "stopped",
]


def path_of(log_dir: Path, port: int) -> Path:
    """The journal of the instance on a port. Instances share the folder, so each has a file of its own to rotate."""
    return log_dir / f"journal-{port}.jsonl"


class Journal:
    """Appends events to a rotated file. A failed write is counted and raises no exception."""

    def __init__(
        self, file: RotatedFile, instance: str, on_event: Callable[[Mapping[str, Any]], object] | None = None
    ) -> None:
        """`on_event` is called with each event after it was written."""
        self.path = file.path
        self.instance = instance
        self._on_event = on_event
        self._file = file

    def write(self, event: Event, **fields: object) -> None:
        """Append one event."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        record = {"ts": now, "mono": time.monotonic(), "event": event, "instance": self.instance, **fields}
        self._file.append(json.dumps(record, ensure_ascii=True).encode("ascii") + b"\n")
        if self._on_event:
            self._on_event(record)
